"""The whole reward audit: on samples of the start model, without a model, and on a run's baseline answers.

Not here: the single checks (the files beside this one), sampling and the command `ppo reward`
(`preflight.audit_reward`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers, RewardScore
from ppo_cli.records.checks import Check, RewardExploit
from ppo_cli.records.events import Phase
from ppo_cli.rewards.audit.cases import Case, baseline_for, pairs_in, score, start_model_cases
from ppo_cli.rewards.audit.exploits import EXPLOITS, exploit_cases, exploit_check, try_exploits
from ppo_cli.rewards.audit.preference_accuracy import Pairs, known_pairs, pair_check
from ppo_cli.rewards.audit.scorer_checks import MAX_CASES, scorer_checks
from ppo_cli.rewards.audit.shortcuts import shortcut_checks, spread_checks
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.scaling import with_fitted_scales
from ppo_cli.rewards.score_memory import ScoredOnce, is_slow

PROMPTS_WITHOUT_MODEL = 12
"""Prompts of the audit that needs no model."""
MIN_PROMPTS = 8
"""Prompts needed for an interval over them."""
SLOW_PROMPTS = 16
"""Prompts that are audited, and written answers, where a term runs code, a model or a service; else all are."""
SLOW_CASES = 12
"""Answers that are scored again, for the checks of the scores, in such an audit."""
AUDITING = "auditing the reward"


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

    @property
    def is_slow(self) -> bool:
        """Whether a term may be slow, so that a sample is audited."""
        return is_slow([*self.reward.terms.values()])

    def sampled(self) -> AuditedReward:
        """The same with written answers for an audit of a sample, evenly from all of them."""
        if not self.is_slow:
            return self
        every = max(1, len(self.written) // SLOW_PROMPTS)
        return replace(self, written=self.written[::every][:SLOW_PROMPTS])


@dataclass(frozen=True, kw_only=True)
class RewardAudit:
    """Results of an audit on samples."""

    checks: list[Check]
    samples: PromptAnswers
    """The answers of the start model that were audited: all, or those to some prompts where a term may be slow."""
    exploits: tuple[RewardExploit, ...] = ()
    scored: tuple[RewardScore, ...] = ()
    """Of every one of these answers; empty if the reward returned a broken score."""


def audit_on_samples(audited: AuditedReward, samples: PromptAnswers) -> RewardAudit:
    """All checks, on answers of the start model.

    Args:
        audited: the reward.
        samples: several answers to some training prompts.
    """
    available, audited = len(samples.prompts), audited.sampled()
    if audited.is_slow:
        samples = _on_some_prompts(samples, SLOW_PROMPTS)
    cases, once = start_model_cases(samples, audited.baseline), ScoredOnce(audited.reward)
    checks = _scorer_checks(audited, _shuffled(cases))
    if checks[0].status == "fail":
        return RewardAudit(checks=checks, samples=samples)
    pairs = known_pairs(audited.written, samples, audited.baseline)
    _score_once(once, audited, samples, [*cases, *_cases_of(pairs)])
    reward = with_fitted_scales(once, audited.reward.terms, score(once, cases))
    scored = score(reward, cases)
    exploits = try_exploits(reward, samples, audited.written, baseline=audited.baseline, limit=audited.max_new_tokens)
    return RewardAudit(
        checks=[
            *checks,
            *spread_checks(cases, scored),
            pair_check(reward, pairs),
            *shortcut_checks(cases, np.array([item.reward for item in scored])),
            _with_size(exploit_check(exploits), len(samples.prompts), available),
        ],
        samples=samples,
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
    written = audited.sampled().written[: 4 * PROMPTS_WITHOUT_MODEL]
    pairs = known_pairs(written, PromptAnswers(prompts=(), answers=()), audited.baseline)
    if checks[0].status == "fail" or not pairs.cases:
        return checks
    once = ScoredOnce(audited.reward)
    once.score_all(pairs_in(_cases_of(pairs)), AUDITING)
    return [*checks, pair_check(once, pairs)]


def audit_on_baseline(audited: AuditedReward, baseline_answers: Mapping[str, Sequence[Answer]]) -> Check | None:
    """Whether an exploit beats the reference's answers, which a run has before its first update.

    Args:
        audited: the reward.
        baseline_answers: of the reference, by prompt id.

    Returns:
        The check; None if the baseline is not the reference, or too few prompts have answers.
    """
    size = SLOW_PROMPTS if audited.is_slow else MAX_CASES
    answered = [prompt for prompt in audited.train if baseline_answers.get(prompt.id)]
    prompts = stratified_subset(answered, size)
    if audited.baseline != "reference" or len(prompts) < MIN_PROMPTS:
        return None
    samples = PromptAnswers(
        prompts=tuple(prompts), answers=tuple(tuple(baseline_answers[prompt.id]) for prompt in prompts)
    )
    cases, once, audited = start_model_cases(samples, "reference"), ScoredOnce(audited.reward), audited.sampled()
    _score_once(once, audited, samples, cases)
    reward = with_fitted_scales(once, audited.reward.terms, score(once, cases))
    exploits = try_exploits(reward, samples, audited.written, baseline="reference", limit=audited.max_new_tokens)
    return _with_size(exploit_check(exploits), len(prompts), min(len(answered), MAX_CASES))


def _score_once(once: ScoredOnce, audited: AuditedReward, samples: PromptAnswers, cases: Sequence[Case]) -> None:
    """Scores each distinct answer of these cases and of every exploit, with progress."""
    exploits = exploit_cases(samples, audited.written, baseline=audited.baseline, limit=audited.max_new_tokens)
    once.score_all(pairs_in([*cases, *exploits]), AUDITING)


def _scorer_checks(audited: AuditedReward, cases: Sequence[Case]) -> list[Check]:
    if audited.is_slow:
        audited.reward.context.on_event(Phase(name="scoring some answers twice"))
        cases = [replace(case, baseline=case.baseline[:1]) for case in cases[:SLOW_CASES]]
    return scorer_checks(
        audited.reward,
        cases,
        episodes=audited.episodes_per_update,
        deterministic=all(scorer.deterministic for scorer in audited.reward.open().values()),
    )


def _on_some_prompts(samples: PromptAnswers, size: int) -> PromptAnswers:
    """The answers to some of the prompts, stratified by category."""
    chosen = {prompt.id for prompt in stratified_subset(samples.prompts, size)}
    rows = [row for row in samples.rows() if row[0].id in chosen]
    return PromptAnswers(prompts=tuple(prompt for prompt, _ in rows), answers=tuple(answers for _, answers in rows))


def _cases_of(pairs: Pairs) -> list[Case]:
    return [case for pair in pairs.cases for case in pair]


def _with_size(check: Check, prompts: int, available: int) -> Check:
    """The same check, which says of how many prompts it is where a sample was taken."""
    if prompts == available:
        return check
    return replace(check, value=f"{check.value}; on {prompts} of {available} prompts, since a term may be slow")


def _shuffled(cases: Sequence[Case]) -> list[Case]:
    """Cases in a fixed random order, so that the first few are of different prompts."""
    return [cases[index] for index in np.random.default_rng(0).permutation(len(cases))]
