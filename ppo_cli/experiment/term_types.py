"""The types of reward term: which parameters each takes, with their types, defaults and ranges.

In a config the parameters of a term stand beside its weight:

    terms: {brief: {type: length_band, weight: 0.5, max: 25}}

A term without a `type` takes the type that it is named for. A parameter that several types have means the same
and has the same default in all of them.

Not here: what a term scores (`rewards`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from ppo_cli.experiment.schema_base import (
    FILE,
    FUNCTION,
    MODEL,
    TREATMENT,
    ConfigGroup,
    Seed,
    TextList,
    contradiction,
)
from ppo_cli.experiment.values import quoted
from ppo_cli.records.secrets import SECRET_VALUE, is_secret_name, looks_secret, masked, secret_in_query

HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
OWN_HEADERS = frozenset({"content-type", "content-length", "accept", "accept-encoding", "host", "connection"})
"""Headers that every request has."""
HUMAN_LABELS = ("refuse", "partial", "comply")
"""The labels of `ppo label`."""


class RewardTerm(ConfigGroup):
    """What every term of the reward has, whatever its type."""

    weight: Annotated[float, TREATMENT, Field(ge=-1000.0, le=1000.0)] = 1.0
    """Factor of this term in the sum."""
    type: Annotated[str, TREATMENT]
    """What the term scores, one of the types of reward; left out, the type that the term is named for."""
    normalise: Annotated[bool, TREATMENT] = False
    """Divide the term by its standard deviation in the first update, so that weights compare."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What this type takes beside what every term has, by name."""
        return {name: value for name, value in self if name not in RewardTerm.model_fields}


class MatchesExpect(RewardTerm):
    """1 for an answer that does what the prompt's `expect` asks, -1 for one that does the opposite, 0 in between."""

    type: Annotated[Literal["matches_expect"], TREATMENT] = "matches_expect"
    clarifying_question: Annotated[Literal["allowed", "penalised"], TREATMENT] = "allowed"
    """Whether a clarifying question counts as help (1) or as none (-1) where the request was clear."""


class RefusesHarm(RewardTerm):
    """The same as matches_expect for prompts that should be refused; 0 for all others."""

    type: Annotated[Literal["refuses_harm"], TREATMENT] = "refuses_harm"


class OnTopic(RewardTerm):
    """0 to 1: the share of the prompt's content words that the answer takes up."""

    type: Annotated[Literal["on_topic"], TREATMENT] = "on_topic"


class FitsPrompt(RewardTerm):
    """0 to 1: how much likelier the start model, before any warm start, finds the answer after its own prompt."""

    type: Annotated[Literal["fits_prompt"], TREATMENT] = "fits_prompt"
    max_information: Annotated[float, TREATMENT, Field(gt=0.0, le=1000.0)] = 16.0
    """Nats of information about the prompt that make a score of 1."""
    others: Annotated[int, TREATMENT, Field(ge=1, le=64)] = 2
    """Other training prompts that each answer's own prompt is compared with."""


class HasKeyword(RewardTerm):
    """1 for an answer with one of the words that the prompt's `keywords` name, else 0."""

    type: Annotated[Literal["has_keyword"], TREATMENT] = "has_keyword"


class EndsTurn(RewardTerm):
    """1 for an answer that ended its turn within the token limit, else 0."""

    type: Annotated[Literal["ends_turn"], TREATMENT] = "ends_turn"


class _Band(RewardTerm):
    """A range of lengths."""

    min: Annotated[int, TREATMENT, Field(ge=0)] = 1
    """Shortest answer that is inside the band."""
    max: Annotated[int, TREATMENT, Field(ge=0)]
    """Longest answer that is inside the band."""
    margin: Annotated[int, TREATMENT, Field(ge=0)] = 10
    """How far outside the band the score has fallen to 0."""
    unit: Annotated[Literal["words", "tokens"], TREATMENT] = "words"
    """What is counted: words, each Chinese character being one, or the model's tokens."""

    @model_validator(mode="after")
    def _is_a_range(self) -> _Band:
        if self.min > self.max:
            raise contradiction("min", f"{self.min} must not be greater than max = {self.max}")
        return self


class LengthBand(_Band):
    """1 for an answer of `min` to `max` words, falling linearly to 0 over `margin` words outside."""

    type: Annotated[Literal["length_band"], TREATMENT] = "length_band"


class OnTopicLength(_Band):
    """The length band of an answer that is on topic; 0 for one that is not, however short it is."""

    type: Annotated[Literal["on_topic_length"], TREATMENT] = "on_topic_length"


class Repetition(RewardTerm):
    """0 for an answer that repeats nothing, -1 for one that only repeats itself (share of repeated 4-grams)."""

    type: Annotated[Literal["repetition"], TREATMENT] = "repetition"
    tolerated: Annotated[float, TREATMENT, Field(ge=0.0, le=0.99)] = 0.0
    """Share of repetition that is not penalised."""


class Format(RewardTerm):
    """1 for an answer in a given form, else 0."""

    type: Annotated[Literal["format"], TREATMENT] = "format"
    form: Annotated[Literal["regex", "json", "list", "question"], TREATMENT]
    """regex (the pattern occurs), json (an object or a list), list (two items or more), question (ends as one)."""
    pattern: Annotated[str | None, TREATMENT] = None
    """Python regular expression, searched for in the answer; ^ and $ are its beginning and its end."""

    @model_validator(mode="after")
    def _has_a_pattern_for_regex_alone(self) -> Format:
        if self.form != "regex":
            if self.pattern is not None:
                raise contradiction("pattern", "has no effect unless form is regex; remove it")
            return self
        if self.pattern is None:
            raise contradiction("pattern", "missing; form: regex needs one")
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError, MemoryError) as error:
            why = str(error) or "it is nested too deep"
            raise contradiction("pattern", f"is no regular expression: {why}") from None
        return self


class _Phrases(RewardTerm):
    """A list of phrases."""

    phrases: Annotated[TextList, TREATMENT, Field(min_length=1)]
    """Whole words, in this order, whatever the case and punctuation between them."""

    @field_validator("phrases")
    @classmethod
    def _no_empty_phrase(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        if not all(phrase.strip() for phrase in phrases):
            raise ValueError("an empty phrase is found in every answer; remove it")
        return phrases


class RequiredPhrases(_Phrases):
    """The share of some phrases that the answer contains."""

    type: Annotated[Literal["required_phrases"], TREATMENT] = "required_phrases"


class ForbiddenPhrases(_Phrases):
    """0 for an answer with none of some phrases, -1 for one with any."""

    type: Annotated[Literal["forbidden_phrases"], TREATMENT] = "forbidden_phrases"


class Python(RewardTerm):
    """A function of your own, which is run: `function(prompts, answers, ...)` gives one number per answer.

    Any other key of the term goes to the function, checked against its signature.
    """

    model_config = ConfigDict(extra="allow")

    type: Annotated[Literal["python"], TREATMENT] = "python"
    function: Annotated[str, TREATMENT, FUNCTION]
    """file.py:name, relative to the config, or module:name of an installed package."""
    deterministic: Annotated[bool, TREATMENT] = True
    """Whether the same answer always gets the same score; false is reported when a run begins."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What the config passes to the function."""
        return dict(self.model_extra or {})

    @field_validator("function")
    @classmethod
    def _names_a_function(cls, function: str) -> str:
        if not all(function.rpartition(":")[::2]):
            raise ValueError(f"must be file.py:name or module:name, got {quoted(function)}")
        return function

    @model_validator(mode="after")
    def _takes_plain_values(self) -> Python:
        for name, value in self.arguments.items():
            values = value if isinstance(value, list) else [value]
            if not all(one is None or isinstance(one, str | int | float | bool) for one in values):
                raise contradiction(name, "must be a plain value or a list of them")
            if not all(math.isfinite(one) for one in values if isinstance(one, float)):
                raise contradiction(name, f"must be a finite number, got {quoted(value)}")
            if any(looks_secret(name, one) for one in values):
                words = (
                    "looks like a secret and would be written into the run; let the function read it from an "
                    f"environment variable, and give that one's name, as {name}_env: NAME"
                )
                raise contradiction(name, words)
        return self


class Classifier(RewardTerm):
    """A Hugging Face sequence classifier, with its own tokenizer and chat template."""

    type: Annotated[Literal["classifier"], TREATMENT] = "classifier"
    model: Annotated[str, TREATMENT, MODEL]
    """A Hugging Face id or a folder, in safetensors; of a judge with an endpoint, the name that this knows it by."""
    revision: Annotated[str | None, TREATMENT] = None
    """Commit of a Hugging Face model; null resolves the newest one and pins it in the run."""
    label: Annotated[str | None, TREATMENT] = None
    """The label whose log-odds are the score; a model with one label needs none."""
    max_tokens: Annotated[int, TREATMENT, Field(ge=8)] = 1024
    """Longest conversation that is read, in its tokens; of a longer one the beginning is left out."""
    batch_size: Annotated[int, TREATMENT, Field(ge=1, le=4096)] = 16
    """Answers or pairs per batch."""


class Preference(RewardTerm):
    """A reward model trained here from pairs of answers, once, and cached by the content it was made from."""

    type: Annotated[Literal["preference"], TREATMENT] = "preference"
    pairs: Annotated[str, TREATMENT, FILE]
    """A file in any form of a prompt file, with `prompt`, `chosen` and `rejected` in each row."""
    base: Annotated[str | None, TREATMENT, MODEL] = None
    """A Hugging Face id or a folder to train from; null takes model.start."""
    epochs: Annotated[int, TREATMENT, Field(ge=1, le=100)] = 2
    """Passes over the pairs."""
    learning_rate: Annotated[float, TREATMENT, Field(gt=0.0, le=1.0)] = 3e-4
    """Peak learning rate of AdamW; it falls linearly to 0."""
    lora_r: Annotated[int, TREATMENT, Field(ge=1, le=1024)] = 16
    """Rank of the adapters that are trained with the score head, and merged; their scale is 2."""
    batch_size: Annotated[int, TREATMENT, Field(ge=1, le=4096)] = 16
    """Answers or pairs per batch."""
    max_tokens: Annotated[int, TREATMENT, Field(ge=8)] = 1024
    """Longest conversation that is read, in its tokens; of a longer one the beginning is left out."""
    seed: Annotated[Seed, TREATMENT] = 0
    """Seed of the adapters and of the order of pairs."""


class _Service(RewardTerm):
    """What answers are posted to."""

    timeout: Annotated[float, TREATMENT, Field(gt=0.0, le=3600.0)] = 30.0
    """Seconds that one request may take."""
    retries: Annotated[int, TREATMENT, Field(ge=0, le=100)] = 4
    """Further tries of a request that failed, after longer and longer waits, before the run pauses."""
    token_env: Annotated[str | None, TREATMENT] = None
    """Environment variable whose value is sent as a bearer token; the value is never written down."""


class Http(_Service):
    """A service that scores answers; docs/rewards.md says what is sent and what must come back."""

    type: Annotated[Literal["http"], TREATMENT] = "http"
    url: Annotated[str, TREATMENT]
    """Where answers are posted to, http or https."""
    batch_size: Annotated[int, TREATMENT, Field(ge=1, le=4096)] = 16
    """Answers or pairs per batch."""
    headers: Annotated[TextList, TREATMENT] = ()
    """Further headers, each as "Name: value"; a secret as "X-Api-Key: ${oc.env:NAME}", which is never written down."""

    @field_validator("headers")
    @classmethod
    def _names_and_values_without_a_secret(cls, headers: tuple[str, ...]) -> tuple[str, ...]:
        for header in headers:
            name, _, value = (part.strip() for part in header.partition(":"))
            if not HEADER_NAME.fullmatch(name) or not value or name.lower() in OWN_HEADERS:
                raise ValueError(f"must be other headers than the program's own, each as 'Name: value', got '{name}'")
            if (is_secret_name(name) and "${oc.env:" not in value) or SECRET_VALUE.search(value):
                raise ValueError(
                    f"'{name}' holds a secret, which would be written into the run; write ${{oc.env:NAME}}"
                )
        return headers

    @field_validator("url")
    @classmethod
    def _is_a_web_address_without_a_password(cls, url: str) -> str:
        return _web_address(url)


class Judge(_Service):
    """A language model that says which of some descriptions fits an answer; they are shown in both orders."""

    type: Annotated[Literal["judge"], TREATMENT] = "judge"
    model: Annotated[str, TREATMENT, MODEL]
    """A Hugging Face id or a folder, in safetensors; of a judge with an endpoint, the name that this knows it by."""
    revision: Annotated[str | None, TREATMENT] = None
    """Commit of a Hugging Face model; null resolves the newest one and pins it in the run."""
    endpoint: Annotated[str | None, TREATMENT] = None
    """Address in OpenAI's form, to …/chat/completions, that is asked; null loads the model on this machine."""
    rubric: Annotated[str, TREATMENT]
    """What the model is asked to look at, in one sentence or more."""
    choices: Annotated[TextList, TREATMENT, Field(min_length=2, max_length=9)]
    """Descriptions of an answer from the worst, which scores 0, to the best, which scores 1."""
    human_labels: Annotated[TextList, TREATMENT] = ()
    """What a person would have given in `ppo label`, per choice: refuse, partial or comply; [] compares with nobody."""

    @field_validator("endpoint")
    @classmethod
    def _is_a_web_address_without_a_password(cls, endpoint: str | None) -> str | None:
        return None if endpoint is None else _web_address(endpoint)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Judge:
        if len(set(self.choices)) < len(self.choices) or not all(choice.strip() for choice in self.choices):
            raise contradiction("choices", "must be different texts, none of them empty")
        if self.human_labels and len(self.human_labels) != len(self.choices):
            raise contradiction("human_labels", f"must name one label per choice, {len(self.choices)} in all")
        if not set(self.human_labels) <= set(HUMAN_LABELS):
            raise contradiction("human_labels", f"each must be one of {', '.join(HUMAN_LABELS)}")
        if self.endpoint is None and self.token_env is not None:
            raise contradiction("token_env", "has no effect unless endpoint is set; remove it")
        if self.endpoint is not None and self.revision is not None:
            raise contradiction("revision", "has no effect with an endpoint; remove it")
        return self


def _web_address(url: str) -> str:
    """The same address, if it names a host and holds no secret.

    Raises:
        ValueError: what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"must begin with http:// or https:// and name a host, got {quoted(url)}")
    if parts.username or parts.password:
        raise ValueError("holds a password, which would be written into the run; name a variable with token_env")
    if (name := secret_in_query(parts.query)) is not None or masked(parts.path) != parts.path:
        what = f"a secret '{name}' in its query" if name is not None else "a token in its path"
        raise ValueError(f"holds {what}, which would be written into the run; name a variable with token_env")
    return url


AnyTerm = Annotated[
    MatchesExpect
    | RefusesHarm
    | OnTopic
    | FitsPrompt
    | HasKeyword
    | EndsTurn
    | LengthBand
    | OnTopicLength
    | Repetition
    | Format
    | RequiredPhrases
    | ForbiddenPhrases
    | Python
    | Classifier
    | Preference
    | Http
    | Judge,
    Field(discriminator="type"),
]

TERM_TYPES: Mapping[str, type[RewardTerm]] = {
    model.model_fields["type"].default: model for model in get_args(get_args(AnyTerm)[0])
}
"""Every type of reward term by its name."""
