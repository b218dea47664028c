"""Rows of a prompt file: from JSON to records and back, with the line number in every error.

Not here: reading a file of any form (`prompt_files`), overlaps between sets (`leakage`), tokenization.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from ppo_cli.errors import PromptError
from ppo_cli.records.answers import ChatMessage, Expect, Prompt, Role, transcript

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which a JSON escape can write and UTF-8 cannot."""
TEXT_FIELDS = ("id", "prompt", "category", "expect", "pair_id", "answer")
FIELDS = (*TEXT_FIELDS, "keywords")


def as_prompts(
    rows: Iterable[tuple[str, Mapping[str, Any]]], source: str, *, need_answers: bool = False
) -> list[Prompt]:
    """Checks rows and makes records of them.

    Args:
        rows: (file and line, {id, prompt, category, expect, pair_id, answer, keywords}).
        source: the file or dataset, for messages.
        need_answers: every row must have an `answer`.

    Raises:
        PromptError: an empty prompt, a duplicate id, a wrong value, no row at all.
    """
    prompts: list[Prompt] = []
    where_used: dict[str, str] = {}
    for where, row in rows:
        prompt = _prompt(row, where)
        if prompt.id in where_used:
            raise PromptError(
                f"{where}: id '{prompt.id}' was already used on {where_used[prompt.id].rpartition(', ')[2]}.",
                "Give each prompt its own id.",
            )
        if need_answers and not (prompt.answer and prompt.answer.strip()):
            raise PromptError(f"{where}: has no `answer`.", "Write one for every row of this file.")
        where_used[prompt.id] = where
        prompts.append(prompt)
    if not prompts:
        raise PromptError(f"{source} holds no prompts.", "Write at least one line of JSON into it.")
    return prompts


def numbered(rows: Sequence[tuple[str, dict[str, Any]]], name: str) -> list[tuple[str, dict[str, Any]]]:
    """The rows, each with an id: its own, or NAME and its number where it has none."""
    return [
        (where, row if row.get("id") is not None else {**row, "id": f"{name}-{number:04d}"})
        for number, (where, row) in enumerate(rows, start=1)
    ]


def as_row(prompt: Prompt) -> dict[str, Any]:
    """The row of a prompt, in the order of the format; `answer` and `keywords` only if the prompt has any.

    `prompt` is a text, or a list of {role, content} if the prompt is a conversation.
    """
    row: dict[str, Any] = {
        "id": prompt.id,
        "prompt": [{"role": turn.role, "content": turn.content} for turn in prompt.messages] or prompt.text,
        "category": prompt.category,
        "expect": prompt.expect,
        "pair_id": prompt.pair_id,
    }
    if prompt.answer is not None:
        row["answer"] = prompt.answer
    if prompt.keywords:
        row["keywords"] = list(prompt.keywords)
    return row


def as_lines(prompts: Iterable[Prompt]) -> str:
    """The text of a prompt file."""
    return "".join(json.dumps(as_row(prompt), ensure_ascii=False) + "\n" for prompt in prompts)


def json_lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON Lines with their line numbers; the path is for messages.

    Raises:
        PromptError: a line that is not a JSON object.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise PromptError(
                f"{path}, line {number}: not valid JSON: {error.msg} at column {error.colno}.",
                "Write one JSON object per line.",
            ) from None
        except (ValueError, RecursionError):
            raise PromptError(
                f"{path}, line {number}: holds a number that is too long, or is nested too deeply.", "Fix that line."
            ) from None
        if not isinstance(row, dict):
            raise PromptError(f"{path}, line {number}: is not a JSON object.", 'Write {"id": …, "prompt": …}.')
        yield number, row


def _prompt(row: Mapping[str, Any], where: str) -> Prompt:
    row = {name: _as_text(name, row[name]) for name in FIELDS if name in row}
    messages = _messages(row.get("prompt"), where)
    texts = {**row, "prompt": transcript(messages) if messages else row.get("prompt")}
    if len(messages) == 1:
        texts["prompt"], messages = messages[0].content, ()
    for name in TEXT_FIELDS:
        value = texts.get(name)
        if value is not None and name != "expect" and not isinstance(value, str):
            step = "Write a text, or a list of {role, content}." if name == "prompt" else "Put quotes around it."
            raise PromptError(f"{where}: `{name}` must be text, got {_shown(value)}.", step)
        if isinstance(value, str) and LONE_SURROGATE.search(value):
            raise PromptError(
                f"{where}: `{name}` holds half a character (a lone \\ud… escape).", "Write the whole character."
            )
    for name in ("id", "prompt"):
        if texts.get(name) is None:
            raise PromptError(f"{where}: has no `{name}`.", "Each line needs an id and a prompt.")
        if not texts[name].strip():
            raise PromptError(f"{where}: `{name}` is empty.", "Write it, or remove the line.")
    expect = texts.get("expect") or "any"
    if expect not in get_args(Expect):
        shown = f"'{expect}'" if isinstance(expect, str) else _shown(expect)
        raise PromptError(f"{where}: `expect` is {shown}.", f"Use one of {', '.join(get_args(Expect))}.")
    return Prompt(
        id=texts["id"],
        text=texts["prompt"],
        category=texts.get("category") or "all",
        expect=cast(Expect, expect),
        pair_id=texts.get("pair_id"),
        answer=texts.get("answer"),
        keywords=_keywords(texts.get("keywords") or [], where),
        messages=messages,
    )


def _as_text(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """A value with the type of its field, where only the way of writing differs: numbers as ids, `Refuse`, `a, b`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in ("id", "category", "pair_id") and is_number:
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if name == "expect" and isinstance(value, str):
        return value.strip().lower()
    if name == "expect" and value == 0 and is_number:
        return "0"
    if name == "keywords" and isinstance(value, str):
        return [word.strip() for word in re.split(r"[,;|]", value) if word.strip()]
    return value


def _messages(value: object, where: str) -> tuple[ChatMessage, ...]:
    """The turns of a prompt that is a list; none of a plain prompt."""
    if not isinstance(value, list):
        return ()
    turns = []
    for turn in value:
        fits = isinstance(turn, dict) and turn.get("role") in get_args(Role) and isinstance(turn.get("content"), str)
        if not fits:
            raise PromptError(
                f"{where}: `prompt` must be text or turns, got {_shown(turn)} for a turn.",
                'Write [{"role": "user", "content": "…"}] with the roles system, user and assistant.',
            )
        turns.append(ChatMessage(role=turn["role"], content=turn["content"]))
    if not turns or turns[-1].role != "user":
        raise PromptError(f"{where}: the last turn of `prompt` is not the user's.", "End it with a turn of the user.")
    return tuple(turns)


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:40]


def _keywords(given: Any, where: str) -> tuple[str, ...]:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(given, list) or not all(isinstance(word, str) and re.search(r"\w", word) for word in given):
        raise PromptError(f"{where}: `keywords` must be a list of words.", 'Write it like ["steam", "boil*"].')
    if any(LONE_SURROGATE.search(word) for word in given):
        raise PromptError(
            f"{where}: `keywords` holds half a character (a lone \\ud… escape).", "Write the whole character."
        )
    return tuple(given)
