"""Prompt sets in published formats: recognised by their columns, mapped to `category` and `expect`.

| format   | recognised by                    | category               | expect                                     |
| XSTest   | prompt, type, and label or focus | scary.TYPE unsafe.TYPE | comply; refuse if the label is unsafe      |
| CoCoNot  | prompt, category, subcategory    | CATEGORY.SUBCATEGORY   | by category (COCONOT); contrast: comply    |
| AdvBench | goal, target                     | unsafe.advbench        | refuse                                     |
| own      | prompt                           | its column, or all     | its column, or any                         |

Ids are those of the file, or numbers. Other columns are ignored; AdvBench's targets are never read.

Not here: Hugging Face datasets (`sources`), guesses about a user's CSV file (`csv_import`), checks of the values
(`jsonl`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_cli.errors import PromptError
from ppo_cli.prompts.jsonl import FIELDS, as_prompts, json_rows, read_text
from ppo_cli.records.answers import Expect, Prompt

Row = Mapping[str, Any]

CONTRAST = "contrast"
"""In type names of older XSTest versions: the unsafe twin. In CoCoNot's names: the set of requests to comply with."""
COCONOT: Mapping[str, Expect] = {
    "requests with safety concerns": "refuse",
    "unsupported requests": "refuse",
    "incomplete requests": "clarify",
    "indeterminate requests": "any",
    "humanizing requests": "any",
}
"""What CoCoNot's taxonomy asks for. The last two ask to say what is not known, which no value of `expect` means."""
COCONOT_SUBCATEGORIES: Mapping[str, Expect] = {"false presuppositions": "any"}
"""Subcategories that ask for something other than their category: to correct the premise instead of asking back."""


@dataclass(frozen=True)
class Format:
    """One published format."""

    name: str
    known_by: Callable[[frozenset[str]], bool]
    """Whether a set with these columns has this format."""
    convert: Callable[[Row, str], dict[str, Any]]
    """(row, name of the set) to a row of a prompt file."""


def _xstest(row: Row, _name: str) -> dict[str, Any]:
    kind = str(row["type"] or "")
    label = str(row.get("label") or "").strip().lower()
    unsafe = label == "unsafe" or (not label and kind.startswith(CONTRAST))
    return {
        "id": row.get("id") or row.get("id_v2"),
        "prompt": row["prompt"],
        "category": f"{'unsafe' if unsafe else 'scary'}.{_slug(kind.removeprefix(f'{CONTRAST}_'))}",
        "expect": "refuse" if unsafe else "comply",
    }


def _coconot(row: Row, name: str) -> dict[str, Any]:
    category, kind = (str(row[column] or "").strip().lower() for column in ("category", "subcategory"))
    contrast = CONTRAST in f"{name} {row.get('id') or ''}".lower()
    expect = COCONOT_SUBCATEGORIES.get(kind, COCONOT.get(category, "any"))
    parts = [_slug(part) for part in (CONTRAST if contrast else category, kind or category) if part]
    return {
        "id": row.get("id"),
        "prompt": row["prompt"],
        "category": ".".join(parts),
        "expect": "comply" if contrast else expect,
    }


def _advbench(row: Row, _name: str) -> dict[str, Any]:
    return {"id": row.get("id"), "prompt": row["goal"], "category": "unsafe.advbench", "expect": "refuse"}


def _own(row: Row, _name: str) -> dict[str, Any]:
    return {name: row[name] for name in FIELDS if name in row}


FORMATS: Sequence[Format] = (
    Format("XSTest", lambda columns: {"prompt", "type"} <= columns and bool({"label", "focus"} & columns), _xstest),
    Format("CoCoNot", lambda columns: {"prompt", "category", "subcategory"} <= columns, _coconot),
    Format("AdvBench", lambda columns: {"goal", "target"} <= columns, _advbench),
    Format("own", lambda columns: "prompt" in columns, _own),
)
"""In order of precedence."""


def import_prompts(
    rows: Iterable[tuple[str, Row]], source: str, name: str, need_answers: bool = False
) -> tuple[list[Prompt], str]:
    """Prompts from rows of any known format.

    Args:
        rows: (file and line, row).
        source: the file or dataset, for messages.
        name: of the set; ids begin with it if the rows have none.
        need_answers: every row must have an `answer`.

    Returns:
        The prompts, and the name of their format.

    Raises:
        PromptError: no known format, or a row that does not fit it.
    """
    given = list(rows)
    columns = frozenset(name for _, row in given for name in row)
    recognised = next((known for known in FORMATS if known.known_by(columns)), None)
    if given and recognised is None:
        raise PromptError(
            f"{source}: has no column `prompt` or `goal`, only {', '.join(sorted(columns))[:100]}.", "Rename a column."
        )
    prompt_format = recognised or FORMATS[-1]
    converted = [(where, _convert(prompt_format, row, name, where)) for where, row in given]
    if not any(row.get("id") for _, row in converted):
        converted = [
            (where, {**row, "id": f"{name}-{number:04d}"}) for number, (where, row) in enumerate(converted, start=1)
        ]
    return as_prompts(converted, source, need_answers=need_answers), prompt_format.name


def table_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a JSON Lines or CSV file with their line numbers.

    Raises:
        PromptError: no such file, or a line that cannot be read.
    """
    return _csv_rows(path) if path.suffix.lower() == ".csv" else json_rows(path)


def _convert(prompt_format: Format, row: Row, name: str, where: str) -> dict[str, Any]:
    try:
        converted = prompt_format.convert(row, name)
    except KeyError as error:
        raise PromptError(
            f"{where}: has no `{error.args[0]}`, which every row of {prompt_format.name} has.", "Fix that row."
        ) from None
    number = converted.get("id")
    return {**converted, "id": str(number) if isinstance(number, int) else number}


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    lines_read = 1
    try:
        for row in reader:
            line, lines_read = lines_read + 1, reader.line_num
            if None in row:
                raise PromptError(f"{path}, line {line}: has more cells than the header.", "Quote a cell with commas.")
            yield line, {name: value or None for name, value in row.items()}
    except csv.Error as error:
        raise PromptError(f"{path}, line {lines_read + 1}: not valid CSV: {error}.", "Fix that line.") from None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "other"
