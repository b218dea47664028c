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
        self.known: dict[tuple[str, Prompt, Answer], float] = {}
        """Scores of baseline answers, by term; they are not scored again."""

    def open(self) -> dict[str, Scorer]:
        """Makes every term ready: imports, loads or trains what the config names.

        Raises:
            UsageError: a function, a model or a file cannot be used.
        """
        opened = self.context.scorers
        for name, term in self.terms.items():
            if name not in opened:
                opened[name] = open_term(f"reward.terms.{name}", term, self.context)
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
        results = {name: self._with_baseline(name, scorers[name], prompts, answers, baseline) for name in self.terms}
        scored = []
        for index, prompt in enumerate(prompts):
            terms = {name: own[index] for name, (own, _) in results.items()}
            means = {name: mean[index] for name, (_, mean) in results.items()}
            baseline_terms = {name: value for name, value in means.items() if value is not None}
            reward = as_score(weighted_sum(self.terms, terms, baseline_terms), "the weighted sum", prompt)
            scored.append(RewardScore(reward=reward, terms=terms, baseline_terms=baseline_terms))
        return scored

    def scores(self, name: str, scorer: Scorer, pairs: Sequence[tuple[Prompt, Answer]]) -> list[float]:
        """The scores of answers by a term that scores each by itself, all in one batch.

        Raises:
            CheckFailedError: the term fails, or a score is missing or not finite.
        """
        if not pairs:
            return []
        prompts, answers = [prompt for prompt, _ in pairs], [answer for _, answer in pairs]
        return scores_of(name, scorer, prompts, answers, [()] * len(answers))

    def _with_baseline(
        self,
        name: str,
        scorer: Scorer,
        prompts: Sequence[Prompt],
        answers: Sequence[Answer],
        baseline: BaselineAnswers,
    ) -> tuple[list[float], list[float | None]]:
        """A term's score of each answer, and its mean score of each answer's baseline answers."""
        if scorer.compares:
            return scores_of(name, scorer, prompts, answers, baseline), [None] * len(answers)
        own = list(zip(prompts, answers, strict=True))
        of_baseline = [(prompt, answer) for prompt, row in zip(prompts, baseline, strict=True) for answer in row]
        new = [pair for pair in of_baseline if (name, *pair) not in self.known]
        scores = self.scores(name, scorer, [*own, *new])
        fresh = iter(scores[len(own) :])
        rest = iter([self.known[name, *pair] if (name, *pair) in self.known else next(fresh) for pair in of_baseline])
        means: list[float | None] = []
        for row in baseline:
            values = [next(rest) for _ in row]
            means.append(sum(values) / len(values) if values else None)
        return scores[: len(own)], means


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
