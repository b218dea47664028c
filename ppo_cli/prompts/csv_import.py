"""Tables as people have them: a CSV from a spreadsheet, in any usual encoding, with any usual separator and heading.

What had to be guessed is said. Where a guess could lose or change a prompt, it is an error that names the line.

Not here: what the columns mean (`importing`), tidying the rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ppo_cli.errors import PromptError, reason_of
from ppo_cli.prompts.formats import FORMATS
from ppo_cli.prompts.jsonl import FIELDS, json_lines

Rows = list[tuple[str, dict[str, Any]]]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
PROMPT_COLUMNS = ("question", "instruction", "query", "request", "text", "input", "user", "messages", "问题", "提示")
"""Headings that can only mean the prompt where there is no column of that name; the first that is there."""
NOT_TEXT = {b"PK\x03\x04": "a spreadsheet or an archive", b"\xd0\xcf\x11\xe0": "a spreadsheet", b"%PDF": "a PDF"}
MIN_TEXT_SHARE = 0.8
"""Share of high bytes beside another one from which text that is not UTF-8 is Chinese and not Western."""
MAX_CELL_LETTERS = 10_000_000


def own_rows(path: Path) -> tuple[Rows, list[str]]:
    """The rows of a user's CSV or JSONL file, each with where it stands, and what had to be guessed.

    Raises:
        PromptError: no such file, not text, a broken line.
    """
    text, guessed = _decoded(path)
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        rows = [(f"{path}, line {number}", row) for number, row in json_lines(text, path)]
        return rows, guessed
    rows, separator = _table(text, path)
    if separator != ",":
        guessed.append(f"Its cells are separated by {SEPARATORS[separator]}.")
    return rows, guessed


def with_known_columns(rows: Rows) -> tuple[Rows, list[str]]:
    """The rows with their headings as the formats know them, and what a heading was taken for."""
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    renamed = {name: _plain(name) for name in columns if _plain(name) in FIELDS and _plain(name) not in columns}
    known = frozenset(renamed.get(name, name) for name in columns)
    if any(known_format.known_by(known) for known_format in FORMATS):
        return _renamed(rows, renamed), []
    by_plain = {_plain(name): name for name in reversed(columns)}
    found = next((by_plain[name] for name in PROMPT_COLUMNS if name in by_plain), None)
    if found is None:
        return _renamed(rows, renamed), []
    return _renamed(rows, {**renamed, found: "prompt"}), [f"Its column `{found.strip()}` is taken for the prompt."]


def _decoded(path: Path) -> tuple[str, list[str]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise PromptError(f"{path}: no such file.", "Check the path.") from None
    except IsADirectoryError:
        raise PromptError(f"{path} is a directory, not a file.", "Name a .csv or .jsonl file.") from None
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {reason_of(error)}.", "Check the path and who owns it.") from None
    for start, kind in NOT_TEXT.items():
        if content.startswith(start):
            raise PromptError(f"{path} is {kind}, not a table as text.", "Save it as CSV (UTF-8).")
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise PromptError(f"{path}: not readable as text at byte {error.start}.", "Save it as UTF-8.") from None
    if "\0" in text:
        raise PromptError(f"{path} is not text.", "Save it as CSV (UTF-8).")
    if encoding == "utf-8-sig":
        return text, []
    name = {"cp1252": "Windows-1252", "gb18030": "GB 18030", "utf-16": "UTF-16"}[encoding]
    check = "" if encoding == "utf-16" else "; look whether its letters came out right"
    return text, [f"It is not UTF-8 and was read as {name}{check}."]


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        high = re.findall(rb"[\x80-\xff]+", content)
        beside = sum(len(run) for run in high if len(run) > 1)
        return "gb18030" if beside >= MIN_TEXT_SHARE * sum(map(len, high)) else "cp1252"
    return "utf-8-sig"


def _table(text: str, path: Path) -> tuple[Rows, str]:
    told = re.match(r"sep=(.)\r?\n", text)  # a line that spreadsheets write for themselves
    skipped = 0
    if told:
        text, skipped = text[told.end() :], 1
    separator = told.group(1) if told and told.group(1) in SEPARATORS else _separator(text)
    limit = csv.field_size_limit(MAX_CELL_LETTERS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    heading: Sequence[str] | None = None
    rows: Rows = []
    before = 0
    try:
        for cells in reader:
            line, before = before + 1 + skipped, reader.line_num
            if heading is None:
                heading = _heading(cells, path, line) if any(cell.strip() for cell in cells) else None
                continue
            rows.append((f"{path}, line {line}", _row(heading, cells, separator, f"{path}, line {line}")))
    except csv.Error as error:
        raise PromptError(f"{path}, line {before + 1 + skipped}: not valid CSV: {error}.", "Mend that line.") from None
    finally:
        csv.field_size_limit(limit)
    return rows, separator


def _row(heading: Sequence[str], cells: Sequence[str], separator: str, where: str) -> dict[str, Any]:
    if len(heading) == 1:  # a list of prompts, whose commas need no quotes
        cells = [separator.join(cells)]
    if any(cell.strip() for cell in cells[len(heading) :]):
        raise PromptError(
            f"{where}: has {len(cells)} cells under {len(heading)} headings.",
            "Put quotes around a cell that holds the separator.",
        )
    return {name: cell if cell.strip() else None for name, cell in zip(heading, cells, strict=False)}


def _heading(cells: Sequence[str], path: Path, line: int) -> list[str]:
    named = [name.strip() for name in cells]
    twice = next((name for name in named if name and named.count(name) > 1), None)
    if twice is not None:
        raise PromptError(f"{path}, line {line}: two columns are called `{twice}`.", "Rename one.")
    return [name or f"column {place}" for place, name in enumerate(named, start=1)]


def _separator(text: str) -> str:
    """What stands most often in the heading, outside of quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(SEPARATORS, key=bare.count)


def _plain(name: str) -> str:
    return name.strip().lower()


def _renamed(rows: Rows, names: Mapping[str, str]) -> Rows:
    return [(where, {names.get(name, name): value for name, value in row.items()}) for where, row in rows]
