"""The reward audit on a start model's answers, and the part of it that needs no model.

Not here: the single looks (`rewards.audit`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers, RewardScore
from ppo_cli.records.checks import Check, RewardExploit
from ppo_cli.rewards.audit.cases import BEFORE_A_RUN, Case, baseline_for, score, start_model_cases
from ppo_cli.rewards.audit.exploits import EXPLOITS, exploit_check, try_exploits
from ppo_cli.rewards.audit.preference_accuracy import known_pairs, pair_check
from ppo_cli.rewards.audit.scorer_checks import CASES_SCORED, scorer_checks
from ppo_cli.rewards.audit.shortcuts import shortcut_checks, spread_checks
from ppo_cli.rewards.scaling import with_fitted_scales
from ppo_cli.setup.resolve import ExperimentInputs

MIN_PROMPTS = 8
"""Prompts from which an interval over them says something."""


@dataclass(frozen=True, kw_only=True)
class RewardAudit:
    """What was found of a reward."""

    checks: list[Check]
    exploits: tuple[RewardExploit, ...] = ()
    scored: tuple[RewardScore, ...] = ()
    """Of every answer of the start model; empty where the reward broke its contract."""


def audit_on_samples(inputs: ExperimentInputs, trial: PromptAnswers) -> RewardAudit:
    """Everything, on the start model's answers.

    Args:
        inputs: reward and prompts of the config.
        trial: several answers to some training prompts.
    """
    experiment = inputs.experiment
    cases = start_model_cases(trial, experiment.reward.baseline)
    contract = _scorer_checks(inputs, _shuffled(cases))
    if contract[0].status == "stop":
        return RewardAudit(checks=contract)
    reward = with_fitted_scales(inputs.reward, inputs.reward.terms, score(inputs.reward, cases))
    scored = score(reward, cases)
    tricks = try_exploits(
        reward,
        trial,
        _written(inputs),
        baseline=experiment.reward.baseline,
        limit=experiment.rollout.max_new_tokens,
    )
    return RewardAudit(
        checks=[
            *contract,
            *spread_checks(cases, scored),
            pair_check(reward, known_pairs(_written(inputs), trial, experiment.reward.baseline)),
            *shortcut_checks(cases, np.array([item.reward for item in scored])),
            exploit_check(tricks),
        ],
        exploits=tricks,
        scored=tuple(scored),
    )


def audit_without_a_model(inputs: ExperimentInputs) -> list[Check]:
    """The contract on made answers, and written answers against wrong ones: no model, few calls."""
    experiment = inputs.experiment
    prompts = stratified_subset(inputs.train, BEFORE_A_RUN)
    limit, baseline = experiment.rollout.max_new_tokens, experiment.reward.baseline
    ways = list(EXPLOITS.values())
    cases = [
        Case(prompt, ways[(place + turn) % len(ways)](prompt, limit), baseline_for(prompt, (), baseline))
        for place, prompt in enumerate(prompts)
        for turn in (0, 4)
    ]
    checks = _scorer_checks(inputs, cases)
    pairs = known_pairs(_written(inputs)[: 4 * BEFORE_A_RUN], PromptAnswers(prompts=(), answers=()), baseline)
    if checks[0].status == "stop" or not pairs.cases:
        return checks
    return [*checks, pair_check(inputs.reward, pairs)]


def audit_on_baseline(inputs: ExperimentInputs, others: Mapping[str, Sequence[Answer]]) -> Check | None:
    """Whether a trick beats the reference's own answers, which a run has before its first update.

    Args:
        inputs: reward and prompts of the run.
        others: the reference's answers by prompt id.
    """
    experiment = inputs.experiment
    prompts = stratified_subset([prompt for prompt in inputs.train if others.get(prompt.id)], CASES_SCORED)
    if experiment.reward.baseline != "reference" or len(prompts) < MIN_PROMPTS:
        return None
    trial = PromptAnswers(prompts=tuple(prompts), answers=tuple(tuple(others[prompt.id]) for prompt in prompts))
    limit = experiment.rollout.max_new_tokens
    reward = with_fitted_scales(
        inputs.reward, inputs.reward.terms, score(inputs.reward, start_model_cases(trial, "reference"))
    )
    return exploit_check(try_exploits(reward, trial, _written(inputs), baseline="reference", limit=limit))


def _scorer_checks(inputs: ExperimentInputs, cases: Sequence[Case]) -> list[Check]:
    return scorer_checks(
        inputs.reward,
        cases,
        episodes=inputs.experiment.ppo.episodes_per_update,
        deterministic=all(scorer.deterministic for scorer in inputs.reward.open().values()),
    )


def _written(inputs: ExperimentInputs) -> Sequence[Prompt]:
    """Prompts with a written answer, the warm start's first, for those were written as good ones."""
    prompts = [*inputs.sft, *inputs.train, *inputs.evaluation]
    return [prompt for prompt in prompts if prompt.answer]


def _shuffled(cases: Sequence[Case]) -> list[Case]:
    """Neighbours of different prompts first, so that a few of them differ."""
    return [cases[place] for place in np.random.default_rng(0).permutation(len(cases))]
