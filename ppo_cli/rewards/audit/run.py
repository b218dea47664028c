"""The whole reward audit: on samples of the start model, without a model, and on a run's baseline answers.

Not here: the single checks (the files beside this one), sampling and the command `ppo reward`
(`preflight.audit_reward`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers, RewardScore
from ppo_cli.records.checks import Check, RewardExploit
from ppo_cli.rewards.audit.cases import Case, baseline_for, score, start_model_cases
from ppo_cli.rewards.audit.exploits import EXPLOITS, exploit_check, try_exploits
from ppo_cli.rewards.audit.preference_accuracy import known_pairs, pair_check
from ppo_cli.rewards.audit.scorer_checks import MAX_CASES, scorer_checks
from ppo_cli.rewards.audit.shortcuts import shortcut_checks, spread_checks
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.scaling import with_fitted_scales

PROMPTS_WITHOUT_MODEL = 12
"""Prompts of the audit that needs no model."""
MIN_PROMPTS = 8
"""Prompts needed for an interval over them."""


@dataclass(frozen=True, kw_only=True)
class AuditedReward:
    """A reward to audit, with what its config says of prompts and answers."""

    reward: CompositeReward
    baseline: str
    """As `reward.baseline`."""
    train: Sequence[Prompt]
    """Training prompts."""
    written: Sequence[Prompt]
    """Prompts with a written answer, in order of trust: those written as good examples first."""
    max_new_tokens: int
    """Longest answer."""
    episodes_per_update: int


@dataclass(frozen=True, kw_only=True)
class RewardAudit:
    """Results of an audit on samples."""

    checks: list[Check]
    exploits: tuple[RewardExploit, ...] = ()
    scored: tuple[RewardScore, ...] = ()
    """Of every answer of the start model; empty if the reward returned a broken score."""


def audit_on_samples(audited: AuditedReward, samples: PromptAnswers) -> RewardAudit:
    """All checks, on answers of the start model.

    Args:
        audited: the reward.
        samples: several answers to some training prompts.
    """
    cases = start_model_cases(samples, audited.baseline)
    checks = _scorer_checks(audited, _shuffled(cases))
    if checks[0].status == "fail":
        return RewardAudit(checks=checks)
    reward = with_fitted_scales(audited.reward, audited.reward.terms, score(audited.reward, cases))
    scored = score(reward, cases)
    exploits = try_exploits(reward, samples, audited.written, baseline=audited.baseline, limit=audited.max_new_tokens)
    return RewardAudit(
        checks=[
            *checks,
            *spread_checks(cases, scored),
            pair_check(reward, known_pairs(audited.written, samples, audited.baseline)),
            *shortcut_checks(cases, np.array([item.reward for item in scored])),
            exploit_check(exploits),
        ],
        exploits=exploits,
        scored=tuple(scored),
    )


def audit_without_model(audited: AuditedReward) -> list[Check]:
    """The checks of the scores on exploit answers, and written answers against wrong ones; few calls, no model."""
    prompts = stratified_subset(audited.train, PROMPTS_WITHOUT_MODEL)
    makers = list(EXPLOITS.values())
    cases = [
        Case(
            prompt,
            makers[(index + offset) % len(makers)](prompt, audited.max_new_tokens),
            baseline_for(prompt, (), audited.baseline),
        )
        for index, prompt in enumerate(prompts)
        for offset in (0, 4)
    ]
    checks = _scorer_checks(audited, cases)
    written = audited.written[: 4 * PROMPTS_WITHOUT_MODEL]
    pairs = known_pairs(written, PromptAnswers(prompts=(), answers=()), audited.baseline)
    if checks[0].status == "fail" or not pairs.cases:
        return checks
    return [*checks, pair_check(audited.reward, pairs)]


def audit_on_baseline(audited: AuditedReward, baseline_answers: Mapping[str, Sequence[Answer]]) -> Check | None:
    """Whether an exploit beats the reference's answers, which a run has before its first update.

    Args:
        audited: the reward.
        baseline_answers: of the reference, by prompt id.

    Returns:
        The check; None if the baseline is not the reference, or too few prompts have answers.
    """
    prompts = stratified_subset([prompt for prompt in audited.train if baseline_answers.get(prompt.id)], MAX_CASES)
    if audited.baseline != "reference" or len(prompts) < MIN_PROMPTS:
        return None
    samples = PromptAnswers(
        prompts=tuple(prompts), answers=tuple(tuple(baseline_answers[prompt.id]) for prompt in prompts)
    )
    first_scores = score(audited.reward, start_model_cases(samples, "reference"))
    reward = with_fitted_scales(audited.reward, audited.reward.terms, first_scores)
    return exploit_check(
        try_exploits(reward, samples, audited.written, baseline="reference", limit=audited.max_new_tokens)
    )


def _scorer_checks(audited: AuditedReward, cases: Sequence[Case]) -> list[Check]:
    return scorer_checks(
        audited.reward,
        cases,
        episodes=audited.episodes_per_update,
        deterministic=all(scorer.deterministic for scorer in audited.reward.open().values()),
    )


def _shuffled(cases: Sequence[Case]) -> list[Case]:
    """Cases in a fixed random order, so that the first few are of different prompts."""
    return [cases[index] for index in np.random.default_rng(0).permutation(len(cases))]
