"""Reads a conversation of a row: OpenAI messages or ShareGPT turns, contents as text or as lists of parts.

The turns up to the last one of the user are the prompt; what the assistant says after it is the written answer.

Not here: which column holds the conversation (`columns`), rendering (`models.control_tokens`).
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ppo_cli.errors import PromptError
from ppo_cli.records.answers import ChatMessage, Role

ROLES: Mapping[str, Role] = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "question": "user",
    "用户": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "bing": "assistant",
    "助手": "assistant",
    "system": "system",
    "developer": "system",
}
"""Names of speakers in published conversations, in small letters."""
ROLE_KEYS, CONTENT_KEYS = ("role", "from", "speaker", "author"), ("content", "value", "text", "message", "parts")
_LIST_OF_OBJECTS = re.compile(r"\s{0,8}\[\s{0,8}\{")


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """The turns of a row."""

    messages: tuple[ChatMessage, ...]
    """Up to the last turn of the user, without empty turns."""
    answer: str | None
    """What the assistant says after it."""
    left_out: Counter[str]
    """Parts that are no text, by their type."""


def is_conversation(value: object) -> bool:
    """Whether a cell holds turns: a list of objects with a speaker, or one such object."""
    if isinstance(value, Mapping):
        return _key(value, ROLE_KEYS) is not None
    return isinstance(value, list) and bool(value) and all(isinstance(turn, Mapping) for turn in value)


def from_text(value: object) -> object:
    """The list that a cell of a table holds as JSON; any other cell as it is."""
    if not isinstance(value, str) or not _LIST_OF_OBJECTS.match(value):
        return value
    for read in (json.loads, ast.literal_eval):  # tables written by pandas hold Python's form
        try:
            turns = read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if is_conversation(turns):
            return turns
    return value


def read_conversation(value: Any, where: str) -> Conversation:  # noqa: ANN401 - whatever JSON holds
    """The turns of a cell for which `is_conversation` holds, and the answer that follows them.

    Raises:
        PromptError: an unknown speaker, a turn without content, a system turn after the user's last.
    """
    messages, left_out = read_turns(value, where)
    users = [index for index, message in enumerate(messages) if message.role == "user"]
    if not users:
        return Conversation(messages=(), answer=None, left_out=left_out)
    after = messages[users[-1] + 1 :]
    late = [message for message in after if message.role == "system"]
    if late:
        raise PromptError(f"{where}: a system turn follows the last turn of the user.", "Put it first, or remove it.")
    answer = "\n\n".join(message.content for message in after) or None
    return Conversation(messages=tuple(messages[: users[-1] + 1]), answer=answer, left_out=left_out)


def read_turns(value: Any, where: str) -> tuple[list[ChatMessage], Counter[str]]:  # noqa: ANN401 - whatever JSON holds
    """The turns of a cell for which `is_conversation` holds, without empty ones, and parts that are no text by type.

    Raises:
        PromptError: an unknown speaker, or a turn whose content is not text.
    """
    left_out: Counter[str] = Counter()
    messages: list[ChatMessage] = []
    for number, turn in enumerate([value] if isinstance(value, Mapping) else value, start=1):
        at = f"{where}, turn {number}"
        messages.append(ChatMessage(role=_role(turn, at), content=_content(turn, at, left_out)))
    return [message for message in messages if message.content.strip()], left_out


def as_prompt(messages: Sequence[ChatMessage]) -> str | list[dict[str, str]] | None:
    """The cell `prompt` of some turns: a text for a single turn of the user, else a list."""
    if not messages:
        return None
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].content
    return [{"role": message.role, "content": message.content} for message in messages]


def _role(turn: Any, at: str) -> Role:  # noqa: ANN401
    key = _key(turn, ROLE_KEYS) if isinstance(turn, Mapping) else None
    if key is None:
        raise PromptError(f"{at}: does not say who speaks.", 'Write {"role": "user", "content": …}.')
    name = str(turn[key]).strip().lower()
    if name not in ROLES:
        raise PromptError(
            f"{at}: is spoken by '{name[:40]}'.",
            "Only system, user and assistant can speak in a prompt; remove that row or that turn.",
        )
    return ROLES[name]


def _content(turn: Mapping[str, Any], at: str, left_out: Counter[str]) -> str:
    key = _key(turn, CONTENT_KEYS)
    content = turn[key] if key is not None else None
    if content is None and not any(turn.get(name) for name in ("tool_calls", "function_call")):
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = []
        for part in content:
            text = part if isinstance(part, str) else part.get("text") if isinstance(part, Mapping) else None
            if isinstance(text, str):
                texts.append(text)
            else:
                left_out[str(part.get("type", "unknown")) if isinstance(part, Mapping) else "unknown"] += 1
        return "\n".join(texts)
    raise PromptError(f"{at}: its content is not text.", "Write text, or remove that row.")


def _key(turn: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in turn), None)
