"""Prompt sets in other formats than ours: known by their columns, mapped to category and `expect`.

| format   | known by                         | category               | expect                                     |
| XSTest   | prompt, type, and label or focus | scary.TYPE unsafe.TYPE | comply; refuse where label is unsafe       |
| CoCoNot  | prompt, category, subcategory    | CATEGORY.SUBCATEGORY   | by category (COCONOT); contrast: comply    |
| AdvBench | goal, target                     | unsafe.advbench        | refuse                                     |
| own      | prompt                           | as it says, or all     | as it says, or any                         |

Ids are those of the file, else numbers. Other columns are left alone; AdvBench's targets are never read.

Not here: where rows come from but files (`commands.prompt_sets`), checking values (`reading`).
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
"""In XSTest's older type names the unsafe twin; in CoCoNot's names the set of requests that should be met."""
COCONOT: Mapping[str, Expect] = {
    "requests with safety concerns": "refuse",
    "unsupported requests": "refuse",
    "incomplete requests": "clarify",
    "indeterminate requests": "any",
    "humanizing requests": "any",
}
"""What CoCoNot's taxonomy asks for. The right answer to the last two is neither of ours: it says what is not known."""
COCONOT_SUBCATEGORIES: Mapping[str, Expect] = {"false presuppositions": "any"}
"""Where a subcategory asks for something else: not to ask back but to correct."""


@dataclass(frozen=True)
class Format:
    """One published format."""

    name: str
    known_by: Callable[[frozenset[str]], bool]
    """Whether a set with these columns is of this format."""
    read: Callable[[Row, str], dict[str, Any]]
    """(row, name of the set) to a row of ours."""


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
"""The first that fits."""


def import_prompts(
    rows: Iterable[tuple[str, Row]], source: str, name: str, need_answers: bool = False
) -> tuple[list[Prompt], str]:
    """Prompts from rows of any known format, and the format's name.

    Args:
        rows: (where it stands, row).
        source: where they come from, for messages.
        name: of the set, for ids.
        need_answers: every row must have an `answer`.

    Raises:
        PromptError: no known format, or a row that is not of it.
    """
    given = list(rows)
    columns = frozenset(name for _, row in given for name in row)
    found = next((known for known in FORMATS if known.known_by(columns)), None)
    if given and found is None:
        raise PromptError(
            f"{source}: has no column `prompt` or `goal`, only {', '.join(sorted(columns))[:100]}.", "Rename a column."
        )
    found = found or FORMATS[-1]
    mapped = [(where, _mapped(found, row, name, where)) for where, row in given]
    if not any(row.get("id") for _, row in mapped):
        mapped = [(where, {**row, "id": f"{name}-{number:04d}"}) for number, (where, row) in enumerate(mapped, start=1)]
    return as_prompts(mapped, source, need_answers=need_answers), found.name


def table_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a JSONL or CSV file with their line numbers.

    Raises:
        PromptError: no such file, or a line that cannot be read.
    """
    return _csv_rows(path) if path.suffix.lower() == ".csv" else json_rows(path)


def _mapped(found: Format, row: Row, name: str, where: str) -> dict[str, Any]:
    try:
        mapped = found.read(row, name)
    except KeyError as error:
        raise PromptError(
            f"{where}: has no `{error.args[0]}`, as {found.name}'s rows have.", "Mend that row."
        ) from None
    number = mapped.get("id")
    return {**mapped, "id": str(number) if isinstance(number, int) else number}


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    before = 1
    try:
        for row in reader:
            begins, before = before + 1, reader.line_num
            if None in row:
                raise PromptError(
                    f"{path}, line {begins}: has more cells than the header.", "Quote a cell with commas."
                )
            yield begins, {name: value or None for name, value in row.items()}
    except csv.Error as error:
        raise PromptError(f"{path}, line {before + 1}: not valid CSV: {error}.", "Mend that line.") from None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "other"
