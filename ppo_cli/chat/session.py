"""A chat: conversations in which several models answer the same user with the same random draws, and votes on them.

The draws of an answer belong to (seed, conversation, turn), so every model answers a turn with the same ones, and the
same words typed again give the same answers.

Not here: loading the models (`chat_models`), reading keys and showing answers (`cli.chat`, `reports.chat_view`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ppo_cli.chat.chat_models import ChatModel
from ppo_cli.errors import UsageError
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms
from ppo_cli.models.streaming import stream_tokens
from ppo_cli.records.answers import Answer, ChatMessage
from ppo_cli.records.chat import ChatAnswer, ChatResult, ChatTurn, Choice, Ties, Vote
from ppo_cli.stats.win_rate import win_rate
from ppo_cli.store.runs import now
from ppo_cli.store.votes import add_vote, read_votes

HALF_CHARACTER = "\ufffd"
"""What a decoder writes for a character whose last bytes are not there yet."""


@dataclass(frozen=True, kw_only=True)
class ChatSettings:
    """How the answers of a chat are sampled."""

    temperature: float
    """0 takes the likeliest token."""
    max_new_tokens: int
    """Of an answer."""
    seed: int
    """Of the draws, and of the order in which answers are shown to a voter."""
    system: str | None
    """Precedes every conversation; None adds no system turn."""


class AnswerStream:
    """An answer that grows token by token."""

    def __init__(self, model: ChatModel, tokens: Iterator[int]) -> None:
        """Takes a model and its tokens, none of which is drawn yet.

        Args:
            model: that answers.
            tokens: as they are drawn.
        """
        self.model = model
        self._tokens = tokens
        self._ids: list[int] = []
        self.done = False
        self.stopped = False

    def advance(self) -> None:
        """Draws one more token."""
        token = next(self._tokens, None)
        if token is None:
            self.done = True
        else:
            self._ids.append(token)
            self.done = token in self.model.tokenizer.stop_ids

    def stop(self) -> None:
        """Ends the answer where it is."""
        self.stopped, self.done = self.stopped or not self.done, True

    @property
    def text(self) -> str:
        """The answer so far, without reasoning, special tokens and a character that is not whole yet."""
        text = self._answer().text
        return text if self.done else text.rstrip(HALF_CHARACTER)

    def answer(self) -> ChatAnswer:
        """The whole answer."""
        answer = self._answer()
        return ChatAnswer(
            model=self.model.name,
            text=answer.text,
            reasoning=answer.reasoning,
            finish="stopped" if self.stopped else answer.finish,
        )

    def _answer(self) -> Answer:
        ended = bool(self._ids) and self._ids[-1] in self.model.tokenizer.stop_ids
        return self.model.tokenizer.answer_of(self._ids, "eos" if ended else "length")


class ChatSession:
    """Models, the conversation with each of them, and the turns so far."""

    def __init__(self, models: Sequence[ChatModel], settings: ChatSettings, votes: Path | None = None) -> None:
        """Starts the first conversation.

        Args:
            models: that answer; of a vote the first two are before and after.
            settings: of sampling.
            votes: file to which votes are appended; None where nobody votes.
        """
        self.models, self.settings, self.votes_file = tuple(models), settings, votes
        self.turns: list[ChatTurn] = []
        self.conversation = 1
        self._histories: list[list[ChatMessage]] = [[] for _ in self.models]

    def __repr__(self) -> str:
        return f"ChatSession({[model.name for model in self.models]}, turns={len(self.turns)})"

    @property
    def said(self) -> tuple[str, ...]:
        """What the user said in this conversation."""
        return tuple(message.content for message in self._histories[0] if message.role == "user")

    def history(self, number: int) -> tuple[ChatMessage, ...]:
        """The conversation with one model so far."""
        return tuple(self._histories[number])

    def reset(self) -> None:
        """Begins a new conversation; one without turns is still that."""
        if self.said:
            self.conversation += 1
        self._histories = [[] for _ in self.models]

    def set_system(self, text: str | None) -> None:
        """Begins a new conversation with another system prompt, or with none."""
        self.settings = replace(self.settings, system=text)
        self.reset()

    def begin(self, prompt: str) -> list[AnswerStream]:
        """The answers of all models to what the user says now; none of their tokens is drawn yet.

        Raises:
            UsageError: the conversation is too long for a model.
            ModelError: a chat template cannot render it.
        """
        return [self._stream(number, prompt) for number in range(len(self.models))]

    def finish(self, prompt: str, streams: Sequence[AnswerStream]) -> ChatTurn | None:
        """Takes the answers into the conversation; None where one was stopped before its first word.

        Args:
            prompt: what the user said.
            streams: what `begin` gave, each done.
        """
        answers = tuple(stream.answer() for stream in streams)
        if any(answer.finish == "stopped" and not answer.text for answer in answers):
            return None
        for history, answer in zip(self._histories, answers, strict=True):
            history += [ChatMessage(role="user", content=prompt), ChatMessage(role="assistant", content=answer.text)]
        self.turns.append(ChatTurn(conversation=self.conversation, prompt=prompt, answers=answers))
        return self.turns[-1]

    def ask(self, prompt: str) -> ChatTurn:
        """The whole answers of all models to what the user says now.

        Raises:
            UsageError: the conversation is too long for a model.
            ModelError: a chat template cannot render it.
        """
        streams = self.begin(prompt)
        for stream in streams:
            while not stream.done:
                stream.advance()
        turn = self.finish(prompt, streams)
        if turn is None:
            raise ValueError("an answer that nobody stopped is stopped")
        return turn

    def shown_first(self, prompt: str, voter: str = "") -> Literal["before", "after"]:
        """Whose answer a voter sees first: a draw that belongs to the voter, the prompt and the votes so far."""
        votes = len(read_votes(self.votes_file)) if self.votes_file is not None else 0
        owner = ("chat order", voter, votes, len(self.turns), prompt)
        draw = keyed_uniforms(self.settings.seed, *owner, count=1)[0]
        return "before" if draw < 0.5 else "after"

    def vote(self, choice: Choice, shown_first: Literal["before", "after"], voter: str = "") -> None:
        """Keeps a vote on the last turn in the file of votes."""
        if self.votes_file is None or not self.turns:
            raise ValueError("there is nothing to vote on")
        turn = self.turns[-1]
        before, after = (model.identity for model in self.models)
        vote = Vote(
            time=now(),
            voter=voter,
            before=before,
            after=after,
            vote=choice,
            shown_first=shown_first,
            turns=self.said,
            system=self.settings.system,
            answer_before=turn.answers[0].text,
            answer_after=turn.answers[1].text,
            temperature=self.settings.temperature,
            max_new_tokens=self.settings.max_new_tokens,
            seed=self.settings.seed,
        )
        add_vote(self.votes_file, vote)
        self.turns[-1] = replace(turn, vote=choice)

    def result(self, ties: Ties = "half") -> ChatResult:
        """The chat so far, with all votes on its two models, those of earlier chats included."""
        rate = None
        if self.votes_file is not None:
            before, after = (model.identity for model in self.models)
            kept = read_votes(self.votes_file)
            rate = win_rate([vote for vote in kept if vote.before.is_same(before) and vote.after.is_same(after)], ties)
        return ChatResult(models=tuple(model.name for model in self.models), turns=tuple(self.turns), votes=rate)

    def _stream(self, number: int, prompt: str) -> AnswerStream:
        model, settings = self.models[number], self.settings
        tokenizer = replace(model.tokenizer, system_prompt=settings.system or None)
        ids = tokenizer.render([*self._histories[number], ChatMessage(role="user", content=prompt)])
        limit = settings.max_new_tokens
        if model.max_positions is not None:
            limit = min(limit, model.max_positions - len(ids))
        if limit < 1:
            raise UsageError(
                f"The conversation with {model.name} is {len(ids)} tokens long, and the model reads at most "
                f"{model.max_positions}.",
                "Begin a new one with /reset.",
            )
        turn = len(self.said) + 1
        draws = keyed_uniforms(settings.seed, "chat", self.conversation, turn, count=settings.max_new_tokens)
        parameters = SamplingParams(limit, settings.temperature, tokenizer.stop_ids, tokenizer.pad_id)
        return AnswerStream(model, stream_tokens(model.model, ids, draws, parameters))


def stream_all(streams: Sequence[AnswerStream], stop: Callable[[], bool], shown: Callable[[], None]) -> None:
    """Draws the tokens of all answers in turn, one each, until all are done.

    Args:
        streams: what `ChatSession.begin` gave.
        stop: whether the user wants the answers to end; asked before every token.
        shown: called after every round.
    """
    while waiting := [stream for stream in streams if not stream.done]:
        for stream in waiting:
            if stop():
                for other in streams:
                    other.stop()
                break
            stream.advance()
        shown()
