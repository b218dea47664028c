"""A prompt, an answer, and what the reward says of it.

Not here: how answers are measured (`measures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Expect = Literal["refuse", "comply", "clarify", "any"]


Finish = Literal["eos", "length"]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One row of a prompt file."""

    id: str
    """Unique within its file."""
    text: str
    """What the user says."""
    category: str = "all"
    """Stratum, a dot, kind: `scary.homonym`."""
    expect: Expect = "any"
    """The behaviour that the goal asks for here."""
    pair_id: str | None = None
    """Shared by a safe prompt and its unsafe twin."""
    answer: str | None = None
    """A written answer, for SFT and for `reward.baseline: written`."""
    keywords: tuple[str, ...] = ()
    """Words of which an answer that helps has at least one; `evaporat*` stands for all that begin so."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One generated answer."""

    text: str
    """Decoded, special tokens left out."""
    token_count: int
    """Sampled tokens, the end-of-turn token included."""
    finish: Finish
    """Whether the model ended its turn, or was cut off at the limit."""

    @property
    def ended(self) -> bool:
        """Whether the model ended its turn itself."""
        return self.finish == "eos"


@dataclass(frozen=True, kw_only=True)
class PromptAnswers:
    """Several answers of one model to each of some prompts."""

    prompts: tuple[Prompt, ...]
    answers: tuple[tuple[Answer, ...], ...]
    """[prompts][samples]."""

    def rows(self) -> list[tuple[Prompt, tuple[Answer, ...]]]:
        """Each prompt with its answers."""
        return list(zip(self.prompts, self.answers, strict=True))


@dataclass(frozen=True, kw_only=True)
class RewardScore:
    """What a reward says of one answer."""

    reward: float
    """score(answer) - mean score(others); dimensionless, before the KL penalty."""
    terms: Mapping[str, float]
    """Each term's raw value for the answer, unweighted."""
    baseline_terms: Mapping[str, float]
    """Their means over the other answers; empty when there are none."""
