"""Reads a file of rows of any form: CSV, JSON Lines, a JSON array, Parquet, a plain list; compressed or not.

The form is seen from the content, not only from the name. Encoding and separator are guessed, and each guess is
reported. Where a guess could lose or change a prompt, it is an error that names the line.

Not here: what the columns mean (`columns`), Hugging Face datasets (`sources`).
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes

from ppo_cli.errors import PromptError, reason_of
from ppo_cli.prompts.columns import Rows, is_heading
from ppo_cli.prompts.conversations import from_text
from ppo_cli.prompts.jsonl import json_lines

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
ENCODINGS = {
    "cp1252": "Windows-1252",
    "gb18030": "GB 18030",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
}
"""Encodings other than UTF-8 that are read, with their usual names."""
COMPRESSED: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
}
"""First bytes of a compressed file, and what unpacks it."""
COMPRESSED_ENDINGS = (".gz", ".bz2", ".xz")
PARQUET = b"PAR1"
NOT_TEXT = {
    b"PK\x03\x04": ("a spreadsheet or an archive", "Save it as CSV (UTF-8), or unpack it."),
    b"\xd0\xcf\x11\xe0": ("a spreadsheet", "Save it as CSV (UTF-8)."),
    b"\x89PNG": ("a picture", "Name a file of prompts."),
    b"\xff\xd8\xff": ("a picture", "Name a file of prompts."),
    b"GIF8": ("a picture", "Name a file of prompts."),
    b"%PDF": ("a PDF", "Copy the prompts into a CSV file, one per line."),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "Unpack it with `unzstd`."),
    b"ARROW1": ("an Arrow file", "Name its folder as hf:FOLDER, or save it as Parquet."),
    b"SQLite format 3": ("a database", "Export the table as CSV."),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "Fetch the file with `git lfs pull`."),
    b"<!DOCTYPE": ("a web page", "Download the file itself: on the hub, its `resolve` address."),
    b"<html": ("a web page", "Download the file itself: on the hub, its `resolve` address."),
}
"""First bytes of what holds no rows as text: what it is, and the next step."""
WRAPPERS = ("data", "rows", "prompts", "examples", "train", "items", "instances")
"""Keys of a JSON object that hold its list of rows."""
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
MIN_UTF_16_BYTES, MIN_ZERO_SHARE = 8, 0.6
MAX_CELL_CHARACTERS = 10_000_000


def read_rows(path: Path) -> tuple[Rows, list[str]]:
    """Reads the rows of a file.

    Args:
        path: a .csv, .tsv, .txt, .jsonl, .json or .parquet file, perhaps compressed with gzip, bzip2 or xz.

    Returns:
        The rows, each with its file and line, and one sentence per guess (encoding, separator).

    Raises:
        PromptError: no such file, not text, a broken line.
    """
    return rows_of(read_content(path), path)


def rows_of(content: bytes, path: Path) -> tuple[Rows, list[str]]:
    """The rows of a file that was read; otherwise as `read_rows`."""
    content = _unpacked(content, path)
    if content.startswith(PARQUET):
        return _parquet_rows(content, path), []
    text, guesses = _decode(content, path)
    endings = [ending.lower() for ending in path.suffixes if ending.lower() not in COMPRESSED_ENDINGS]
    ending = endings[-1] if endings else ""
    first = text.lstrip()[:1]
    if ending in (".jsonl", ".ndjson", ".json") or first == "{":
        return [*_json_rows(text, path)], guesses
    if first == "[" and _is_json(text):
        return [*_json_rows(text, path)], guesses
    if ending not in (".csv", ".tsv") and _is_plain_list(text):
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        guesses.append("It has no heading, so each line is a prompt.")
        return [(f"{path}, line {number}", {"prompt": line}) for number, line in lines], guesses
    rows, separator = _parse_csv(text, path)
    if separator != ",":
        guesses.append(f"Its cells are separated by {SEPARATORS[separator]}.")
    return rows, guesses


def read_content(path: Path) -> bytes:
    """The bytes of a prompt file.

    Raises:
        PromptError: no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PromptError(
            f"{path}: no such prompt file.", "Check the path; in a config, prompts.* and model.warm_start."
        ) from None
    except IsADirectoryError:
        raise PromptError(
            f"{path} is a directory, not a prompt file.", "Name a file in it, or the folder of a dataset as hf:FOLDER."
        ) from None
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {reason_of(error)}.", "Check the path and who owns it.") from None


def _unpacked(content: bytes, path: Path) -> bytes:
    for start, unpack in COMPRESSED.items():
        if content.startswith(start):
            try:
                return unpack(content)
            except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error):
                raise PromptError(f"{path}: its compression is broken.", "Copy or download the file again.") from None
    return content


def _parquet_rows(content: bytes, path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
    except (pa.lib.ArrowException, OSError, ValueError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise PromptError(f"{path}: not valid Parquet: {why}.", "Copy or download the file again.") from None
    return [
        (f"{path}, row {number}", {name: from_text(value) for name, value in row.items()})
        for number, row in enumerate(rows, start=1)
    ]


def _json_rows(text: str, path: Path) -> Rows:
    """The rows of JSON Lines, of a JSON array, or of an object that holds the rows."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        first_line = text.lstrip().partition("\n")[0].strip()
        if first_line in ("[", "{") or (first_line[:1] == "[" and not _is_json(first_line)):
            where = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
            why = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
            raise PromptError(
                f"{path}, {where}not valid JSON: {why}.", "Fix that place; an array separates its rows with commas."
            ) from None
        return [(f"{path}, line {number}", row) for number, row in json_lines(text, path)]
    if isinstance(whole, dict) and "\n" not in text.strip() and not _list_in(whole):
        return [(f"{path}, line {number}", row) for number, row in json_lines(text, path)]
    rows = _list_in(whole) if isinstance(whole, dict) else whole
    if not isinstance(rows, list):
        rows = [whole]
    result: Rows = []
    for number, item in enumerate(rows, start=1):
        row = {"prompt": item} if isinstance(item, str) else item
        if not isinstance(row, dict):
            raise PromptError(f"{path}, row {number}: is not a JSON object.", 'Write {"id": …, "prompt": …}.')
        result.append((f"{path}, row {number}", row))
    return result


def _list_in(whole: Mapping[str, Any]) -> list[Any] | None:
    """The list of rows within an object: under a usual key, as its only list of objects, or as lists by column."""
    lists = {
        name: value for name, value in whole.items() if isinstance(value, list) and value and isinstance(value[0], dict)
    }
    named = next((lists[name] for name in WRAPPERS if name in lists), None)
    if named is not None:
        return named
    columns = list(whole.values())
    as_long = bool(columns) and all(isinstance(each, list) and len(each) == len(columns[0]) for each in columns)
    if as_long and not lists:
        return [dict(zip(whole, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_plain_list(text: str) -> bool:
    """Whether no line can be a heading: the first holds no name that a column of prompts has."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return not is_heading(re.split(r"[,;\t|]", first))


def _decode(content: bytes, path: Path) -> tuple[str, list[str]]:
    """The text of a file, and a sentence if it is not UTF-8."""
    for start, (kind, step) in NOT_TEXT.items():
        if content.startswith(start):
            raise PromptError(f"{path} is {kind}.", step)
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise PromptError(f"{path}: not readable as text at byte {error.start}.", "Save it as UTF-8.") from None
    if "\0" in text or (encoding != "utf-8-sig" and _NO_TEXT.search(text)):
        raise PromptError(f"{path} is not text.", "Save it as CSV, JSON Lines or Parquet.")
    if encoding == "utf-8-sig":
        return text, []
    check = "" if encoding.startswith("utf-16") else "; check that its letters are right"
    return text, [f"It is not UTF-8 and was read as {ENCODINGS[encoding]}{check}."]


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    start = content[:400]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # without the mark, the zeros of Latin letters show it
        if len(start) >= MIN_UTF_16_BYTES and start[offset::2].count(0) > MIN_ZERO_SHARE * len(start) / 2:
            return name
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
    return {name: from_text(cell) if cell.strip() else None for name, cell in zip(heading, cells, strict=False)}


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
