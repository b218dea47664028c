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
from typing import ClassVar, Literal

from ppo_cli.experiment.schema import LARGEST_SEED, REQUIRED, key


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    """A kind that is told everything by the prompt."""


@dataclass(frozen=True, kw_only=True)
class KeepsToGoal:
    """1 for an answer that does what the prompt's `expect` asks, -1 for one that does the opposite, 0 in between."""

    question: Literal["helps", "fails"] = key("helps", "treatment")
    """What a question back counts as where the request was clear."""


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


@dataclass(frozen=True, kw_only=True)
class Python:
    """A function of your own, which is run: `function(prompts, answers, ...)` gives one number an answer."""

    takes_more: ClassVar[bool] = True
    """What else stands beside it goes to the function, checked against its signature."""

    function: str = key(REQUIRED, "treatment")
    """file.py:name, relative to the config, or module:name of an installed package."""
    deterministic: bool = key(True, "treatment")
    """Whether the same answer always gets the same score; false is said when a run begins."""


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A Hugging Face sequence classifier, with its own tokenizer and chat template."""

    model: str = key(REQUIRED, "treatment")
    """A Hugging Face id or a folder, in safetensors."""
    revision: str | None = key(None, "treatment")
    """Commit of a Hugging Face model; null resolves the newest one and pins it in the run."""
    label: str | None = key(None, "treatment")
    """The label whose log-odds are the score; a model with one label needs none."""
    max_tokens: int = key(1024, "treatment", at_least=8)
    """Longest conversation that is read, in its tokens; of a longer one the beginning is left out."""
    batch_size: int = key(16, "treatment", at_least=1, at_most=4096)
    """Answers or pairs in one batch."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """A reward model trained here from pairs of answers, once, and kept by the content that made it."""

    pairs: str = key(REQUIRED, "treatment", is_path=True)
    """JSONL, one {prompt, chosen, rejected} a line."""
    base: str | None = key(None, "treatment")
    """A Hugging Face id or a folder to train from; null takes model.start."""
    epochs: int = key(2, "treatment", at_least=1, at_most=100)
    """Passes over the pairs."""
    learning_rate: float = key(3e-4, "treatment", above=0.0, at_most=1.0)
    """Peak learning rate of AdamW; it falls linearly to 0."""
    lora_r: int = key(16, "treatment", at_least=1, at_most=1024)
    """Rank of the adapters that are trained beside the score, and merged; their scale is 2."""
    batch_size: int = key(16, "treatment", at_least=1, at_most=4096)
    """Answers or pairs in one batch."""
    max_tokens: int = key(1024, "treatment", at_least=8)
    """Longest conversation that is read, in its tokens; of a longer one the beginning is left out."""
    seed: int = key(0, "treatment", at_least=0, at_most=LARGEST_SEED)
    """Seed of the adapters and of the order of pairs."""


@dataclass(frozen=True, kw_only=True)
class Http:
    """A service that scores answers; docs/rewards.md says what is sent and what must come back."""

    url: str = key(REQUIRED, "treatment")
    """Where answers are posted to, http or https."""
    timeout: float = key(30.0, "treatment", above=0.0, at_most=3600.0)
    """Seconds that one request may take."""
    retries: int = key(4, "treatment", at_least=0, at_most=100)
    """Further tries of a request that failed, after longer and longer waits, before the run pauses."""
    batch_size: int = key(16, "treatment", at_least=1, at_most=4096)
    """Answers or pairs in one batch."""
    token_env: str | None = key(None, "treatment")
    """Environment variable whose value is sent as a bearer token; the value is never written down."""


KINDS: Mapping[str, type] = {
    "keeps_to_goal": KeepsToGoal,
    "refuses_harm": NoParameters,
    "on_topic": NoParameters,
    "mentions": NoParameters,
    "ended": NoParameters,
    "length_band": LengthBand,
    "answers_briefly": LengthBand,  # of an answer that is on topic
    "repetition": Repetition,
    "format": Format,
    "required_phrases": RequiredPhrases,
    "forbidden_phrases": ForbiddenPhrases,
    "python": Python,
    "classifier": Classifier,
    "preference": Preference,
    "http": Http,
}
"""The parameters of each kind, by its name."""
