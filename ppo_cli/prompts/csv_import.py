"""Reads a user's own CSV or JSON Lines file: guesses encoding, separator and column names, and reports each guess.

Where a guess could lose or change a prompt, it is an error that names the line.

Not here: what the columns mean (`formats`), stripping and splitting the rows (`setup.user_dataset`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes

from ppo_cli.errors import PromptError, reason_of
from ppo_cli.prompts.formats import FORMATS
from ppo_cli.prompts.jsonl import FIELDS, json_lines

Rows = list[tuple[str, dict[str, Any]]]
"""Rows, each with its file and line for messages."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
PROMPT_COLUMNS = ("question", "instruction", "query", "request", "text", "input", "user", "messages", "问题", "提示")
"""Headings that mean the prompt if no column is called `prompt`; the first of these that the file has."""
ENCODINGS = {"cp1252": "Windows-1252", "gb18030": "GB 18030", "utf-16": "UTF-16"}
"""Encodings other than UTF-8 that are read, with their usual names."""
NOT_TEXT = {b"PK\x03\x04": "a spreadsheet or an archive", b"\xd0\xcf\x11\xe0": "a spreadsheet", b"%PDF": "a PDF"}
MAX_CELL_CHARACTERS = 10_000_000


def read_rows(path: Path) -> tuple[Rows, list[str]]:
    """Reads a user's CSV or JSON Lines file.

    Returns:
        The rows, each with its file and line, and one sentence per guess (encoding, separator).

    Raises:
        PromptError: no such file, not text, a broken line.
    """
    text, guesses = _decode(path)
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        rows = [(f"{path}, line {number}", row) for number, row in json_lines(text, path)]
        return rows, guesses
    rows, separator = _parse_csv(text, path)
    if separator != ",":
        guesses.append(f"Its cells are separated by {SEPARATORS[separator]}.")
    return rows, guesses


def rename_columns(rows: Rows) -> tuple[Rows, list[str]]:
    """Gives columns the names that the formats know.

    Returns:
        The rows, and a sentence if a column of another name is taken for the prompt.
    """
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    new_names = {name: _fold(name) for name in columns if _fold(name) in FIELDS and _fold(name) not in columns}
    renamed = frozenset(new_names.get(name, name) for name in columns)
    if any(known_format.known_by(renamed) for known_format in FORMATS):
        return _with_names(rows, new_names), []
    by_folded_name = {_fold(name): name for name in reversed(columns)}
    prompt = next((by_folded_name[name] for name in PROMPT_COLUMNS if name in by_folded_name), None)
    if prompt is None:
        return _with_names(rows, new_names), []
    guess = f"Its column `{prompt.strip()}` is taken for the prompt."
    return _with_names(rows, {**new_names, prompt: "prompt"}), [guess]


def _decode(path: Path) -> tuple[str, list[str]]:
    """The text of a file, and a sentence if it is not UTF-8."""
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
    check = "" if encoding == "utf-16" else "; check that its letters are right"
    return text, [f"It is not UTF-8 and was read as {ENCODINGS[encoding]}{check}."]


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        guess = from_bytes(content, cp_isolation=["cp1252", "gb18030"]).best()  # all others would be guessed wrongly
        return guess.encoding if guess is not None else "cp1252"
    return "utf-8-sig"


def _parse_csv(text: str, path: Path) -> tuple[Rows, str]:
    """The rows of a table, and its separator."""
    separator_line = re.match(r"sep=(.)\r?\n", text)  # a line that spreadsheets write for themselves
    skipped_lines = 0
    if separator_line:
        text, skipped_lines = text[separator_line.end() :], 1
    stated = separator_line.group(1) if separator_line else ""
    separator = stated if stated in SEPARATORS else _separator(text)
    limit = csv.field_size_limit(MAX_CELL_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    heading: Sequence[str] | None = None
    rows: Rows = []
    lines_read = skipped_lines
    try:
        for cells in reader:
            line, lines_read = lines_read + 1, reader.line_num + skipped_lines
            if heading is None:
                heading = _heading(cells, path, line) if any(cell.strip() for cell in cells) else None
                continue
            rows.append((f"{path}, line {line}", _row(heading, cells, separator, f"{path}, line {line}")))
    except csv.Error as error:
        raise PromptError(f"{path}, line {lines_read + 1}: not valid CSV: {error}.", "Fix that line.") from None
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
    names = [name.strip() for name in cells]
    repeated = next((name for name in names if name and names.count(name) > 1), None)
    if repeated is not None:
        raise PromptError(f"{path}, line {line}: two columns are called `{repeated}`.", "Rename one.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def _separator(text: str) -> str:
    """The separator that occurs most often in the heading, outside quotes.

    csv.Sniffer takes a comma wherever the heading holds one, and fails on one column and on rows of unequal length.
    """
    heading = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", heading)
    return max(SEPARATORS, key=unquoted.count)


def _fold(name: str) -> str:
    return name.strip().lower()


def _with_names(rows: Rows, names: Mapping[str, str]) -> Rows:
    return [(where, {names.get(name, name): value for name, value in row.items()}) for where, row in rows]
