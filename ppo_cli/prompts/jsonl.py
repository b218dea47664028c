"""Prompt files: JSONL to records, with the line number of whatever is wrong.

Not here: tokenising, splitting, auditing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast, get_args

from ppo_cli.errors import PromptError, reason_of
from ppo_cli.records.answers import Expect, Prompt

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""What JSON may say and no file can hold."""
TEXTS = ("id", "prompt", "category", "expect", "pair_id", "answer")
FIELDS = (*TEXTS, "mentions")


def read_prompts(path: Path, *, need_answers: bool = False) -> list[Prompt]:
    """Reads a prompt file.

    Args:
        path: JSONL, one {id, prompt, category, expect, pair_id, answer, mentions} a line; the last five may be missing.
        need_answers: every row must have an `answer` (examples for SFT, written other answers).

    Raises:
        PromptError: no such file, a broken line, an empty prompt, a duplicate id, a wrong value.
    """
    rows = ((f"{path}, line {number}", row) for number, row in json_rows(path))
    return as_prompts(rows, str(path), need_answers=need_answers)


def as_prompts(rows: Iterable[tuple[str, dict[str, Any]]], source: str, *, need_answers: bool = False) -> list[Prompt]:
    """Checks rows and makes prompts of them.

    Args:
        rows: (where it stands, {id, prompt, category, expect, pair_id, answer, mentions}).
        source: where they come from.
        need_answers: every row must have an `answer`.

    Raises:
        PromptError: an empty prompt, a duplicate id, a wrong value, no row at all.
    """
    prompts: list[Prompt] = []
    place_of: dict[str, str] = {}
    for where, row in rows:
        prompt = _prompt(row, where)
        if prompt.id in place_of:
            raise PromptError(
                f"{where}: id '{prompt.id}' was already used on {place_of[prompt.id].rpartition(', ')[2]}.",
                "Give each prompt its own id.",
            )
        if need_answers and not (prompt.answer and prompt.answer.strip()):
            raise PromptError(f"{where}: has no `answer`.", "Write one for every row of this file.")
        place_of[prompt.id] = where
        prompts.append(prompt)
    if not prompts:
        raise PromptError(f"{source} holds no prompts.", "Write at least one line of JSON into it.")
    return prompts


def as_row(prompt: Prompt) -> dict[str, Any]:
    """The row of a prompt, in the order of the format; `answer` and `mentions` only where there are any."""
    row: dict[str, Any] = {
        "id": prompt.id,
        "prompt": prompt.text,
        "category": prompt.category,
        "expect": prompt.expect,
        "pair_id": prompt.pair_id,
    }
    if prompt.answer is not None:
        row["answer"] = prompt.answer
    if prompt.keywords:
        row["mentions"] = list(prompt.keywords)
    return row


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers.

    Raises:
        PromptError: no such file, not text, a line that is no JSON object.
    """
    return json_lines(read_text(path), path)


def json_lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON lines with their line numbers; the path is for messages.

    Raises:
        PromptError: a line that is no JSON object.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise PromptError(
                f"{path}, line {number}: not valid JSON: {error.msg} at column {error.colno}.", "Mend that line."
            ) from None
        if not isinstance(row, dict):
            raise PromptError(f"{path}, line {number}: is not a JSON object.", 'Write {"id": …, "prompt": …}.')
        yield number, row


def read_text(path: Path) -> str:
    """The text of a file of prompts.

    Raises:
        PromptError: no such file, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PromptError(
            f"{path}: no such prompt file.", "Check the path; in a config, prompts.* and model.warm_start."
        ) from None
    except IsADirectoryError:
        raise PromptError(f"{path} is a directory, not a prompt file.", "Name a .jsonl file.") from None
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {reason_of(error)}.", "Check the path and who owns it.") from None
    except UnicodeDecodeError as error:
        raise PromptError(f"{path}: not UTF-8 text at byte {error.start}.", "Save it as UTF-8.") from None


def _prompt(row: dict[str, Any], where: str) -> Prompt:
    for name in TEXTS:
        if name in row and row[name] is not None and not isinstance(row[name], str):
            raise PromptError(f"{where}: `{name}` must be text, got {json.dumps(row[name])[:40]}.", "Quote it.")
        if isinstance(row.get(name), str) and LONE_SURROGATE.search(row[name]):
            raise PromptError(f"{where}: `{name}` holds half a character (a lone \\ud… escape).", "Write it whole.")
    for name in ("id", "prompt"):
        if row.get(name) is None:
            raise PromptError(f"{where}: has no `{name}`.", "Each line needs an id and a prompt.")
        if not row[name].strip():
            raise PromptError(f"{where}: `{name}` is empty.", "Write it, or remove the line.")
    expect = row.get("expect") or "any"
    if expect not in get_args(Expect):
        raise PromptError(f"{where}: `expect` is '{expect}'.", f"Use one of {', '.join(get_args(Expect))}.")
    return Prompt(
        id=row["id"],
        text=row["prompt"],
        category=row.get("category") or "all",
        expect=cast(Expect, expect),
        pair_id=row.get("pair_id"),
        answer=row.get("answer"),
        keywords=_mentions(row.get("mentions") or [], where),
    )


def _mentions(given: Any, where: str) -> tuple[str, ...]:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(given, list) or not all(isinstance(word, str) and re.search(r"\w", word) for word in given):
        raise PromptError(f"{where}: `mentions` must be a list of words.", 'Write it like ["steam", "boil*"].')
    if any(LONE_SURROGATE.search(word) for word in given):
        raise PromptError(f"{where}: `mentions` holds half a character (a lone \\ud… escape).", "Write it whole.")
    return tuple(given)
