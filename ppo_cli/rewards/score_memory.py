"""A reward that scores each distinct answer once, for commands that look at the same answers again and again.

Not here: what is scored (`audit`, `preflight`), the reward itself (`reward_function`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.experiment.term_types import RewardTerm
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import Phase, Progress
from ppo_cli.rewards.registry import SHIPPED
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.scorer import Scorer, scores_of

SCORED_TOGETHER = 32
"""Answers that are scored in one call while progress is shown."""

PromptAndAnswer = tuple[Prompt, Answer]


def is_slow(terms: Sequence[RewardTerm]) -> bool:
    """Whether a term may be slow: it runs code, a model or a service."""
    return any(term.type not in SHIPPED for term in terms)


class ScoredOnce(CompositeReward):
    """The same reward, which remembers the score of every answer by each deterministic term."""

    def __init__(self, reward: CompositeReward) -> None:
        """Shares the opened terms of a reward, and the scores of baseline answers that it knows."""
        self.terms, self.context = reward.terms, reward.context
        self.known = dict(reward.known)

    def score_all(self, pairs: Sequence[PromptAndAnswer], phase: str) -> None:
        """Scores every distinct answer now, with progress, so that it is known when it is asked for.

        Args:
            pairs: prompts with an answer each.
            phase: what the progress is called.

        Raises:
            CheckFailedError: a term fails, or a score is missing or not finite.
        """
        score_with_progress(self, list(dict.fromkeys(pairs)), phase, self.known)

    def scores(self, name: str, scorer: Scorer, pairs: Sequence[PromptAndAnswer]) -> list[float]:
        """A term's scores; those that are not known yet are scored, each once."""
        if not scorer.deterministic:
            return super().scores(name, scorer, pairs)
        new = [pair for pair in dict.fromkeys(pairs) if (name, *pair) not in self.known]
        self.known |= {(name, *pair): score for pair, score in zip(new, super().scores(name, scorer, new), strict=True)}
        return [self.known[name, *pair] for pair in pairs]


def score_with_progress(
    reward: CompositeReward,
    pairs: Sequence[PromptAndAnswer],
    phase: str,
    known: dict[tuple[str, Prompt, Answer], float],
) -> None:
    """Scores answers with every deterministic term that scores an answer by itself.

    Args:
        reward: whose terms score.
        pairs: prompts with an answer each, all different.
        phase: what the progress is called; it is shown where a term may be slow.
        known: gets the scores.

    Raises:
        CheckFailedError: a term fails, or a score is missing or not finite.
    """
    scorers = {name: scorer for name, scorer in reward.open().items() if scorer.deterministic and not scorer.compares}
    shown = bool(pairs) and is_slow([reward.terms[name] for name in scorers if name in reward.terms])
    if shown:
        reward.context.on_event(Phase(name=phase, total=len(pairs), unit="answers"))
    for first in range(0, len(pairs), SCORED_TOGETHER):
        together = pairs[first : first + SCORED_TOGETHER]
        prompts, answers = [prompt for prompt, _ in together], [answer for _, answer in together]
        for name, scorer in scorers.items():
            scores = scores_of(name, scorer, prompts, answers, [()] * len(answers))
            known.update(zip([(name, *pair) for pair in together], scores, strict=True))
        if shown:
            reward.context.on_event(Progress(done=first + len(together)))
