"""The kinds of reward term: which parameters each takes, with their types, defaults and ranges.

In a config the parameters of a term stand beside its weight:

    terms: {brief: {kind: length_band, weight: 0.5, most: 25}}

A term without a `kind` is of the kind that it is named for. A parameter that several kinds have means the same
and has the same default in all of them.

Not here: what a term scores (`rewards`), the keys that every term has (`schema.Term`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ppo_cli.experiment.schema import REQUIRED, key


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    """A kind that is told everything by the prompt."""


@dataclass(frozen=True, kw_only=True)
class LengthBand:
    """1 for an answer of `least` to `most` words, falling linearly to 0 over `margin` words outside."""

    least: int = key(1, "treatment", at_least=0)
    """Shortest answer that is inside the band."""
    most: int = key(REQUIRED, "treatment", at_least=0)
    """Longest answer that is inside the band."""
    margin: int = key(10, "treatment", at_least=0)
    """How far outside the band the score has fallen to 0."""
    unit: Literal["words", "tokens"] = key("words", "treatment")
    """What is counted: words, each Chinese character being one, or the model's tokens."""


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """0 for an answer that repeats nothing, -1 for one that only repeats itself (share of repeated 4-grams)."""

    tolerated: float = key(0.0, "treatment", at_least=0.0, at_most=0.99)
    """Share of repetition that still costs nothing."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """1 for an answer in a given form, else 0."""

    form: Literal["regex", "json", "list", "question"] = key(REQUIRED, "treatment")
    """regex (the pattern occurs), json (an object or a list), list (two items or more), question (ends as one)."""
    pattern: str | None = key(None, "treatment")
    """Python regular expression, searched for in the answer; ^ and $ are its beginning and its end."""


@dataclass(frozen=True, kw_only=True)
class RequiredPhrases:
    """The share of some phrases that the answer contains."""

    phrases: list[str] = key(REQUIRED, "treatment")  # noqa: RUF009 - key gives a field
    """Whole words, in this order, whatever the case and punctuation between them."""


@dataclass(frozen=True, kw_only=True)
class ForbiddenPhrases:
    """0 for an answer with none of some phrases, -1 for one with any."""

    phrases: list[str] = key(REQUIRED, "treatment")  # noqa: RUF009 - key gives a field
    """Whole words, in this order, whatever the case and punctuation between them."""


KINDS: Mapping[str, type] = {
    "keeps_to_goal": NoParameters,
    "refuses_harm": NoParameters,
    "on_topic": NoParameters,
    "ended": NoParameters,
    "length_band": LengthBand,
    "repetition": Repetition,
    "format": Format,
    "required_phrases": RequiredPhrases,
    "forbidden_phrases": ForbiddenPhrases,
}
"""The parameters of each kind, by its name."""
