"""reward = score(answer) - mean score(baseline answers), where the score is a weighted sum of named terms.

A difference asks the easier question: which of two answers is better. With the reference's own answers as the baseline,
a prompt that the start model already answers well has an expected reward of 0, which is also the critic's first value.

Not here: the terms (`registry`), the check of each score (`scorer`), sampling the baseline answers
(`training.baseline_answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ppo_cli.experiment.schema import Reward
from ppo_cli.experiment.term_types import RewardTerm
from ppo_cli.records.answers import Answer, Prompt, RewardScore
from ppo_cli.rewards.registry import open_term
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer, as_score, scores_of

RewardFunction = Callable[[Sequence[Prompt], Sequence[Answer], Sequence[Sequence[Answer]]], list[RewardScore]]
"""(prompts, answers, baseline answers of each prompt) to one finite RewardScore per answer, all in one order."""


class CompositeReward:
    """The reward of a config. Its terms are opened (imported, loaded or trained) when it first scores."""

    def __init__(self, settings: Reward, context: RewardContext | None = None) -> None:
        """Opens no term.

        Args:
            settings: the reward of a config.
            context: what terms need that a config does not say.
        """
        self.terms: Mapping[str, RewardTerm] = settings.terms
        self.context = context or RewardContext()

    def open(self) -> dict[str, Scorer]:
        """Makes every term ready: imports, loads or trains what the config names.

        Raises:
            UsageError: a function, a model or a file cannot be used.
        """
        opened = self.context.scorers
        for name, term in self.terms.items():
            if name not in opened:
                opened[name] = open_term(name, term, self.context)
        return opened

    def __call__(
        self, prompts: Sequence[Prompt], answers: Sequence[Answer], baseline: BaselineAnswers
    ) -> list[RewardScore]:
        """Scores a batch.

        Args:
            prompts: one per answer.
            answers: to score.
            baseline: baseline answers to each prompt; may be empty.

        Raises:
            CheckFailedError: a term fails, or a score is missing or not finite.
            UsageError: a term cannot be opened.
        """
        scorers = self.open()
        results = {name: _with_baseline(name, scorers[name], prompts, answers, baseline) for name in self.terms}
        scored = []
        for index, prompt in enumerate(prompts):
            terms = {name: own[index] for name, (own, _) in results.items()}
            means = {name: mean[index] for name, (_, mean) in results.items()}
            baseline_terms = {name: value for name, value in means.items() if value is not None}
            reward = as_score(weighted_sum(self.terms, terms, baseline_terms), "the weighted sum", prompt)
            scored.append(RewardScore(reward=reward, terms=terms, baseline_terms=baseline_terms))
        return scored


def weighted_sum(
    settings: Mapping[str, RewardTerm],
    terms: Mapping[str, float],
    baseline_terms: Mapping[str, float],
    scales: Mapping[str, float] | None = None,
) -> float:
    """The sum over all terms of weight * (value of the answer - mean value of the baseline) / scale."""
    scales = scales or {}
    return sum(
        term.weight * (terms[name] - baseline_terms.get(name, 0.0)) / scales.get(name, 1.0)
        for name, term in settings.items()
    )


def _with_baseline(
    name: str, scorer: Scorer, prompts: Sequence[Prompt], answers: Sequence[Answer], baseline: BaselineAnswers
) -> tuple[list[float], list[float | None]]:
    """A term's score of each answer, and its mean score of each answer's baseline answers; all in one batch."""
    if scorer.compares:
        return scores_of(name, scorer, prompts, answers, baseline), [None] * len(answers)
    flat = [(prompt, answer) for prompt, row in zip(prompts, baseline, strict=True) for answer in row]
    all_prompts = [*prompts, *(prompt for prompt, _ in flat)]
    all_answers = [*answers, *(answer for _, answer in flat)]
    scores = scores_of(name, scorer, all_prompts, all_answers, [()] * len(all_answers))
    own, rest = scores[: len(answers)], iter(scores[len(answers) :])
    means: list[float | None] = []
    for row in baseline:
        values = [next(rest) for _ in row]
        means.append(sum(values) / len(values) if values else None)
    return own, means
