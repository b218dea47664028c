"""reward = score(answer) - mean score(other answers), score = a weighted sum of named terms.

A reward amplifies whatever scores; a difference asks the easier question, which of two answers is better. With
the reference's own answers as the others, a prompt that the start model already gets right pays nothing, and the
critic's first guess of 0 is right everywhere.

Not here: the terms, what a term must keep to (`contract`), sampling the other answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ppo_cli.errors import GateError
from ppo_cli.experiment.schema import Reward
from ppo_cli.experiment.term_types import RewardTerm
from ppo_cli.records.answers import Answer, Prompt, RewardScore
from ppo_cli.rewards.registry import open_term
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer, as_score, scores_of

RewardFunction = Callable[[Sequence[Prompt], Sequence[Answer], Sequence[Sequence[Answer]]], list[RewardScore]]
"""Prompts, answers and the other answers to each, in one order; one finite Scored for each."""


class CompositeReward:
    """The reward that a config describes. What is not shipped with the tool is opened when it first scores."""

    def __init__(self, settings: Reward, surroundings: RewardContext | None = None) -> None:
        """Opens no term.

        Args:
            settings: the reward of a config.
            surroundings: what terms need that a config does not say.
        """
        self.terms: Mapping[str, RewardTerm] = settings.terms
        self.surroundings = surroundings or RewardContext()

    def open(self) -> dict[str, Scorer]:
        """Makes every term ready: imports, loads or trains what it names.

        Raises:
            UsageError: a function, a model or a file cannot be used.
        """
        opened = self.surroundings.scorers
        for name, term in self.terms.items():
            if name not in opened:
                opened[name] = open_term(name, term, self.surroundings)
        return opened

    def __call__(
        self, prompts: Sequence[Prompt], answers: Sequence[Answer], others: BaselineAnswers
    ) -> list[RewardScore]:
        scorers = self.open()
        found = {name: _with_baseline(name, scorers[name], prompts, answers, others) for name in self.terms}
        scored = []
        for place, prompt in enumerate(prompts):
            terms = {name: own[place] for name, (own, _) in found.items()}
            others_mean = {name: other[place] for name, (_, other) in found.items()}
            other_terms = {name: value for name, value in others_mean.items() if value is not None}
            reward = as_score(weighted_sum(self.terms, terms, other_terms), "the weighted sum", prompt)
            scored.append(RewardScore(reward=reward, terms=terms, baseline_terms=other_terms))
        return scored


def weighted_sum(
    settings: Mapping[str, RewardTerm],
    terms: Mapping[str, float],
    other_terms: Mapping[str, float],
    scales: Mapping[str, float] | None = None,
) -> float:
    """The sum over all terms of weight * (answer's value - the others' value) / scale."""
    scales = scales or {}
    return sum(
        term.weight * (terms[name] - other_terms.get(name, 0.0)) / scales.get(name, 1.0)
        for name, term in settings.items()
    )


def guarded(reward: RewardFunction) -> RewardFunction:
    """Wraps a reward so that a missing or non-finite score stops the run before it reaches the weights.

    One NaN reward destroys all weights in one update, so nothing broken may pass.
    """

    def checked_reward(
        prompts: Sequence[Prompt], answers: Sequence[Answer], others: Sequence[Sequence[Answer]]
    ) -> list[RewardScore]:
        scored = reward(prompts, answers, others)
        if len(scored) != len(prompts):
            raise GateError(
                f"The reward returned {len(scored)} scores for {len(prompts)} answers.", "Mend the reward function."
            )
        for prompt, score in zip(prompts, scored, strict=True):
            for name, value in {"reward": score.reward, **score.terms, **score.baseline_terms}.items():
                as_score(value, f"term {name}", prompt)
        return scored

    return checked_reward


def _with_baseline(
    name: str, scorer: Scorer, prompts: Sequence[Prompt], answers: Sequence[Answer], others: BaselineAnswers
) -> tuple[list[float], list[float | None]]:
    """A term's scores of the answers, and of the others to each their mean; all in one batch."""
    if scorer.compares:
        return scores_of(name, scorer, prompts, answers, others), [None] * len(answers)
    flat = [(prompt, other) for prompt, several in zip(prompts, others, strict=True) for other in several]
    asked = [*prompts, *(prompt for prompt, _ in flat)]
    given = [*answers, *(other for _, other in flat)]
    scores = scores_of(name, scorer, asked, given, [()] * len(given))
    own, rest = scores[: len(answers)], iter(scores[len(answers) :])
    means: list[float | None] = []
    for several in others:
        values = [next(rest) for _ in several]
        means.append(sum(values) / len(values) if values else None)
    return own, means
