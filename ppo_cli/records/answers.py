"""Prompts, generated answers, and the reward of an answer.

Not here: measures of answers (`measures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Expect = Literal["refuse", "comply", "clarify", "any"]
"""The behaviour that a prompt expects."""

Finish = Literal["eos", "length"]
"""How an answer ended: with the end-of-turn token, or at the limit of tokens."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One row of a prompt file."""

    id: str
    """Unique within its file."""
    text: str
    """What the user says."""
    category: str = "all"
    """Stratum, or stratum and kind: `scary.homonym`."""
    expect: Expect = "any"
    """The behaviour that the goal asks for on this prompt."""
    pair_id: str | None = None
    """The same for a safe prompt and its unsafe counterpart."""
    answer: str | None = None
    """A written answer, for SFT and for `reward.baseline: written`."""
    keywords: tuple[str, ...] = ()
    """A helpful answer has at least one of these words; `evaporat*` stands for all words that begin so."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One generated answer."""

    text: str
    """Without special tokens and outer blanks."""
    token_count: int
    """Sampled tokens, the end-of-turn token included."""
    finish: Finish

    @property
    def ended(self) -> bool:
        """Whether the model ended its turn itself."""
        return self.finish == "eos"


@dataclass(frozen=True, kw_only=True)
class PromptAnswers:
    """Some prompts with several answers of one model to each."""

    prompts: tuple[Prompt, ...]
    answers: tuple[tuple[Answer, ...], ...]
    """[prompts][samples]."""

    def rows(self) -> list[tuple[Prompt, tuple[Answer, ...]]]:
        """Each prompt with its answers."""
        return list(zip(self.prompts, self.answers, strict=True))


@dataclass(frozen=True, kw_only=True)
class RewardScore:
    """The reward of one answer."""

    reward: float
    """score(answer) - mean score(baseline answers); dimensionless, before the KL penalty."""
    terms: Mapping[str, float]
    """Each term's raw value for the answer, unweighted."""
    baseline_terms: Mapping[str, float]
    """The means of the same over the baseline answers; empty without baseline answers."""
