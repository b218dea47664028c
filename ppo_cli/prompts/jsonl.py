"""Prompt files in JSON Lines: from text to records, with the line number in every error.

Not here: other formats (`formats`), CSV files of users (`csv_import`), overlaps between sets (`leakage`), tokenization.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from ppo_cli.errors import PromptError, reason_of
from ppo_cli.records.answers import Expect, Prompt

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which a JSON escape can write and UTF-8 cannot."""
TEXT_FIELDS = ("id", "prompt", "category", "expect", "pair_id", "answer")
FIELDS = (*TEXT_FIELDS, "keywords")


@dataclass(frozen=True)
class PromptFile:
    """A prompt file as it was read once: its prompts and its text."""

    text: str
    """Decoded, without a byte order mark."""
    prompts: list[Prompt]


def read_prompts(path: Path, *, need_answers: bool = False) -> list[Prompt]:
    """Reads a prompt file.

    Args:
        path: JSON Lines, one {id, prompt, category, expect, pair_id, answer, keywords} per line; the last five may be
            missing.
        need_answers: every row must have an `answer` (SFT examples, written baseline answers).

    Raises:
        PromptError: no such file, a broken line, an empty prompt, a duplicate id, a wrong value.
    """
    return read_prompt_file(path, need_answers=need_answers).prompts


def read_prompt_file(path: Path, *, need_answers: bool = False) -> PromptFile:
    """Reads a prompt file once and gives its text beside its prompts, so that a copy holds what was read.

    Args:
        path: as for `read_prompts`.
        need_answers: every row must have an `answer`.

    Raises:
        PromptError: as `read_prompts`.
    """
    text = read_text(path)
    rows = ((f"{path}, line {number}", row) for number, row in json_lines(text, path))
    return PromptFile(text=text, prompts=as_prompts(rows, str(path), need_answers=need_answers))


def as_prompts(rows: Iterable[tuple[str, dict[str, Any]]], source: str, *, need_answers: bool = False) -> list[Prompt]:
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


def as_row(prompt: Prompt) -> dict[str, Any]:
    """The row of a prompt, in the order of the format; `answer` and `keywords` only if the prompt has any."""
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
        row["keywords"] = list(prompt.keywords)
    return row


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file with their line numbers.

    Raises:
        PromptError: no such file, not text, a line that is not a JSON object.
    """
    return json_lines(read_text(path), path)


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
                f"{path}, line {number}: not valid JSON: {error.msg} at column {error.colno}.", "Fix that line."
            ) from None
        if not isinstance(row, dict):
            raise PromptError(f"{path}, line {number}: is not a JSON object.", 'Write {"id": …, "prompt": …}.')
        yield number, row


def read_text(path: Path) -> str:
    """The text of a prompt file.

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
    for name in TEXT_FIELDS:
        if name in row and row[name] is not None and not isinstance(row[name], str):
            raise PromptError(f"{where}: `{name}` must be text, got {json.dumps(row[name])[:40]}.", "Quote it.")
        if isinstance(row.get(name), str) and LONE_SURROGATE.search(row[name]):
            raise PromptError(
                f"{where}: `{name}` holds half a character (a lone \\ud… escape).", "Write the whole character."
            )
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
        keywords=_keywords(row.get("keywords") or [], where),
    )


def _keywords(given: Any, where: str) -> tuple[str, ...]:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(given, list) or not all(isinstance(word, str) and re.search(r"\w", word) for word in given):
        raise PromptError(f"{where}: `keywords` must be a list of words.", 'Write it like ["steam", "boil*"].')
    if any(LONE_SURROGATE.search(word) for word in given):
        raise PromptError(
            f"{where}: `keywords` holds half a character (a lone \\ud… escape).", "Write the whole character."
        )
    return tuple(given)
