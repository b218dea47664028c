"""reward = score(answer) - mean score(other answers), score = a weighted sum of named terms.

A reward amplifies whatever scores; a difference asks the easier question, which of two answers is better. With
the reference's own answers as the others, a prompt that the start model already gets right pays nothing, and the
critic's first guess of 0 is right everywhere.

Not here: the terms, sampling the other answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ppo_cli.errors import ConfigError, GateError
from ppo_cli.experiment import schema
from ppo_cli.experiment.parameters import checked, kind_of
from ppo_cli.experiment.schema import Reward
from ppo_cli.records.answers import Answer, Prompt, Scored
from ppo_cli.rewards.shaped import SHAPED
from ppo_cli.rewards.terms import TERMS, Term

RewardFunction = Callable[[Sequence[Prompt], Sequence[Answer], Sequence[Sequence[Answer]]], list[Scored]]
"""Prompts, answers and the other answers to each, in one order; one finite Scored for each, deterministic."""


def build_reward(settings: Reward) -> RewardFunction:
    """The reward that a config describes, guarded.

    Raises:
        ConfigError: a kind of term is not known, or one of its parameters cannot be used.
    """
    weighted = [(name, _term(name, term), term.weight) for name, term in settings.terms.items()]

    def reward(
        prompts: Sequence[Prompt], answers: Sequence[Answer], others: Sequence[Sequence[Answer]]
    ) -> list[Scored]:
        return [_score(weighted, *case) for case in zip(prompts, answers, others, strict=True)]

    return guarded(reward)


def guarded(reward: RewardFunction) -> RewardFunction:
    """Wraps a reward so that a missing or non-finite score stops the run before it reaches the weights.

    One NaN reward destroys all weights in one update, so nothing broken may pass.
    """

    def checked(
        prompts: Sequence[Prompt], answers: Sequence[Answer], others: Sequence[Sequence[Answer]]
    ) -> list[Scored]:
        scored = reward(prompts, answers, others)
        if len(scored) != len(prompts):
            raise GateError(
                f"The reward returned {len(scored)} scores for {len(prompts)} answers.", "Mend the reward function."
            )
        for prompt, score in zip(prompts, scored, strict=True):
            values = {"reward": score.reward, **score.terms, **score.other_terms}
            broken = [name for name, value in values.items() if not math.isfinite(value)]
            if broken:
                raise GateError(
                    f"The reward of prompt '{prompt.id}' is {values[broken[0]]} (term {broken[0]}).",
                    "Mend that term; no update was made with it.",
                )
        return scored

    return checked


def _score(
    weighted: Sequence[tuple[str, Term, float]], prompt: Prompt, answer: Answer, others: Sequence[Answer]
) -> Scored:
    terms = {name: float(term(prompt, answer)) for name, term, _ in weighted}
    other_terms = {
        name: sum(float(term(prompt, other)) for other in others) / len(others) for name, term, _ in weighted if others
    }
    reward = sum(weight * (terms[name] - other_terms.get(name, 0.0)) for name, _, weight in weighted)
    return Scored(reward=reward, terms=terms, other_terms=other_terms)


def _term(name: str, settings: schema.Term) -> Term:
    typed, problems = checked(name, settings)
    if problems:
        raise ConfigError(problems[0], "Correct the term.")
    kind = kind_of(name, typed)
    return SHAPED[kind](typed.parameters) if kind in SHAPED else TERMS[kind]
