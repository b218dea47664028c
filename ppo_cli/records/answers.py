"""Prompts, generated answers, and the reward of an answer.

Not here: measures of answers (`measures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.reasoning import split_reasoning

Expect = Literal["refuse", "comply", "clarify", "any"]
"""The behaviour that a prompt expects."""

Finish = Literal["eos", "length"]
"""How an answer ended: with the end-of-turn token, or at the limit of tokens."""


Role = Literal["system", "user", "assistant"]
"""Who speaks in a turn."""


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One row of a prompt file."""

    id: str
    """Unique within its file."""
    text: str
    """What the user says; of a conversation, all of its turns as `transcript` writes them."""
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
    messages: tuple[ChatMessage, ...] = ()
    """The turns of a conversation; empty for a single turn of the user, which is `text`."""

    @property
    def chat(self) -> tuple[ChatMessage, ...]:
        """The turns that the model answers, whether one or several."""
        return self.messages or (ChatMessage(role="user", content=self.text),)


def transcript(messages: Sequence[ChatMessage]) -> str:
    """The turns of a conversation as one text, each after the name of its speaker."""
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One generated answer."""

    text: str
    """What follows the reasoning, without special tokens and outer blanks: all that rules, rewards and people judge."""
    token_count: int
    """Sampled tokens, those of the reasoning and the end-of-turn token included."""
    finish: Finish
    reasoning: str = ""
    """What the model wrote between reasoning tags before its answer (`records.reasoning`), without the tags."""
    reasoning_tokens: int = 0
    """Of the sampled tokens, those before the answer: the reasoning and its tags."""

    def __post_init__(self) -> None:
        """Separates reasoning that `text` still holds, so that nobody judges it as the answer.

        Where the tokens of the reasoning were not counted, they are estimated from its share of the characters.
        """
        if not self.reasoning:
            reasoning, text = split_reasoning(self.text)
            if reasoning or text != self.text:
                object.__setattr__(self, "reasoning", reasoning)
                object.__setattr__(self, "text", text)
        if self.reasoning and not self.reasoning_tokens:
            share = len(self.reasoning) / (len(self.reasoning) + len(self.text))
            object.__setattr__(self, "reasoning_tokens", round(self.token_count * share))

    @property
    def answer_tokens(self) -> int:
        """Sampled tokens of the answer itself, the end-of-turn token included: what measures and terms count."""
        return self.token_count - self.reasoning_tokens

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
