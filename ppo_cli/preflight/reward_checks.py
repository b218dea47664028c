"""The reward audit on a start model's answers, and the part of it that needs no model.

Not here: the single looks (`rewards.audit`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Answer, Prompt, Scored, Trial
from ppo_cli.records.checks import Check, Trick
from ppo_cli.rewards.audit.cases import BEFORE_A_RUN, Case, honest_cases, others_of, score
from ppo_cli.rewards.audit.exploits import BLIND, trick_check, try_tricks
from ppo_cli.rewards.audit.preference_accuracy import known_pairs, pair_check
from ppo_cli.rewards.audit.scorer_checks import TRIED, contract_checks
from ppo_cli.rewards.audit.shortcuts import leaning_checks, spread_checks
from ppo_cli.rewards.scaling import normalised
from ppo_cli.setup.resolve import Inputs

LEAST_PROMPTS = 8
"""Prompts from which an interval over them says something."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found of a reward."""

    checks: list[Check]
    tricks: tuple[Trick, ...] = ()
    scored: tuple[Scored, ...] = ()
    """Of every answer of the start model; empty where the reward broke its contract."""


def audit_reward(inputs: Inputs, trial: Trial) -> Audit:
    """Everything, on the start model's answers.

    Args:
        inputs: reward and prompts of the config.
        trial: several answers to some training prompts.
    """
    experiment = inputs.experiment
    cases = honest_cases(trial, experiment.reward.other)
    contract = _contract(inputs, _mixed(cases))
    if contract[0].outcome == "stop":
        return Audit(checks=contract)
    reward = normalised(inputs.reward, inputs.reward.terms, score(inputs.reward, cases))
    scored = score(reward, cases)
    tricks = try_tricks(
        reward,
        trial,
        _written(inputs),
        other=experiment.reward.other,
        limit=experiment.rollout.max_new_tokens,
    )
    return Audit(
        checks=[
            *contract,
            *spread_checks(cases, scored),
            pair_check(reward, known_pairs(_written(inputs), trial, experiment.reward.other)),
            *leaning_checks(cases, np.array([item.reward for item in scored])),
            trick_check(tricks),
        ],
        tricks=tricks,
        scored=tuple(scored),
    )


def audit_without_a_model(inputs: Inputs) -> list[Check]:
    """The contract on made answers, and written answers against wrong ones: no model, few calls."""
    experiment = inputs.experiment
    prompts = stratified_subset(inputs.train, BEFORE_A_RUN)
    limit, other = experiment.rollout.max_new_tokens, experiment.reward.other
    ways = list(BLIND.values())
    cases = [
        Case(prompt, ways[(place + turn) % len(ways)](prompt, limit), others_of(prompt, (), other))
        for place, prompt in enumerate(prompts)
        for turn in (0, 4)
    ]
    checks = _contract(inputs, cases)
    pairs = known_pairs(_written(inputs)[: 4 * BEFORE_A_RUN], Trial(prompts=(), answers=()), other)
    if checks[0].outcome == "stop" or not pairs.cases:
        return checks
    return [*checks, pair_check(inputs.reward, pairs)]


def audit_on_reference(inputs: Inputs, others: Mapping[str, Sequence[Answer]]) -> Check | None:
    """Whether a trick beats the reference's own answers, which a run has before its first update.

    Args:
        inputs: reward and prompts of the run.
        others: the reference's answers by prompt id.
    """
    experiment = inputs.experiment
    prompts = stratified_subset([prompt for prompt in inputs.train if others.get(prompt.id)], TRIED)
    if experiment.reward.other != "reference" or len(prompts) < LEAST_PROMPTS:
        return None
    trial = Trial(prompts=tuple(prompts), answers=tuple(tuple(others[prompt.id]) for prompt in prompts))
    limit = experiment.rollout.max_new_tokens
    reward = normalised(inputs.reward, inputs.reward.terms, score(inputs.reward, honest_cases(trial, "reference")))
    return trick_check(try_tricks(reward, trial, _written(inputs), other="reference", limit=limit))


def _contract(inputs: Inputs, cases: Sequence[Case]) -> list[Check]:
    return contract_checks(
        inputs.reward,
        cases,
        episodes=inputs.experiment.ppo.episodes_per_update,
        deterministic=all(scorer.deterministic for scorer in inputs.reward.open().values()),
    )


def _written(inputs: Inputs) -> Sequence[Prompt]:
    """Prompts with a written answer, the warm start's first, for those were written as good ones."""
    prompts = [*inputs.sft, *inputs.train, *inputs.evaluation]
    return [prompt for prompt in prompts if prompt.answer]


def _mixed(cases: Sequence[Case]) -> list[Case]:
    """Neighbours of different prompts first, so that a few of them differ."""
    return [cases[place] for place in np.random.default_rng(0).permutation(len(cases))]
