"""Chats with models: the models that answer, their answers, votes on them, and the win rate from votes.

Not here: how votes are kept (`store.votes`), the win rate's interval (`stats.win_rate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.short_repr import short_repr

Choice = Literal["before", "after", "tie"]
"""Which of two models answered better: the first, the second, or neither."""
Ties = Literal["half", "ignore"]
"""How a tie counts: as half a win, or not at all."""


@dataclass(frozen=True, kw_only=True)
class ChatOptions:
    """Who answers in a chat, and how."""

    alone: bool = False
    """Leave the start model out."""
    blind: bool = False
    """Two models are voted on: the start model and one checkpoint, or two checkpoints."""
    system: str | None = None
    """The system prompt; None takes that of the first run's config, an empty one adds none."""
    temperature: float | None = None
    """Of sampling; None takes that of the first run's evaluations."""
    max_tokens: int | None = None
    """Longest answer; None takes 200, or that of the run's evaluations if it is more."""
    seed: int | None = None
    """Of the draws; None takes that of the first run's evaluations."""


RUN_AND_START = ChatOptions()
"""The checkpoints and the start model, sampled as in the first run's evaluations."""


@dataclass(frozen=True, kw_only=True)
class VotedModel:
    """A model that was voted on: a checkpoint of a run, or the run's start model, which is its step 0."""

    run: str
    """Its name when the vote was given; a folder may be renamed."""
    lock: str
    """Fingerprint of the run's lock."""
    step: int
    checkpoint: str | None
    """Digest of the checkpoint's files; None of a start model, which the lock pins."""

    def is_same(self, other: VotedModel) -> bool:
        """Whether both are one model, whatever the run's folder is called now."""
        return (self.lock, self.step, self.checkpoint) == (other.lock, other.step, other.checkpoint)


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One vote on the answers of two models to one prompt, given without knowing which is which."""

    time: str
    """UTC."""
    voter: str
    before: VotedModel
    after: VotedModel
    vote: Choice
    shown_first: Literal["before", "after"]
    turns: tuple[str, ...]
    """What the user said in the conversation, the prompt that was voted on last."""
    system: str | None
    answer_before: str
    answer_after: str
    temperature: float
    max_new_tokens: int
    seed: int

    @property
    def opening(self) -> str:
        """What the conversation began with; votes on one such conversation are not independent."""
        return self.turns[0]


@dataclass(frozen=True, kw_only=True)
class WinRate:
    """How often the second model was preferred to the first."""

    wins: int
    """Votes for the second model."""
    losses: int
    """Votes for the first."""
    ties: int
    ties_count: Ties
    rate: float | None
    """Share of wins; None without votes."""
    low_95: float | None
    high_95: float | None
    settled: bool
    """Whether the 95 % interval leaves out one half."""
    more_votes: int | None
    """Votes that would settle it with a chance of 80 % if `rate` is the true one; None where that is unknown or too
    many, or where it is settled."""
    voters: int

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties


@dataclass(frozen=True, kw_only=True)
class ChatAnswer:
    """One model's answer in a chat."""

    model: str
    text: str
    reasoning: str
    finish: Literal["eos", "length", "stopped"]
    """`stopped` where the user stopped it."""


@dataclass(frozen=True, kw_only=True)
class ChatTurn:
    """What the user said, and the answers of all models."""

    conversation: int
    """Counted from 1."""
    prompt: str
    answers: tuple[ChatAnswer, ...]
    vote: Choice | None = None


@short_repr("models", "votes")
@dataclass(frozen=True, kw_only=True)
class ChatResult:
    """A chat as a whole."""

    models: tuple[str, ...]
    turns: tuple[ChatTurn, ...]
    votes: WinRate | None = None
    """All votes on these two models, those of earlier chats included; None where nobody votes."""
