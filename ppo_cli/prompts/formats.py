"""Prompt sets in published formats: recognised by their columns, mapped to `category` and `expect`.

| format   | recognised by                    | category               | expect                                     |
| XSTest   | prompt, type, and label or focus | scary.TYPE unsafe.TYPE | comply; refuse if the label is unsafe      |
| CoCoNot  | prompt, category, subcategory    | CATEGORY.SUBCATEGORY   | by category (COCONOT); contrast: comply    |
| AdvBench | goal, target                     | unsafe.advbench        | refuse                                     |
| own      | prompt                           | its column, or all     | its column, or any                         |

Ids are those of the file, or numbers. AdvBench's targets are never read.

Not here: which columns of other names mean the same (`columns`), checks of the values (`jsonl`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ppo_cli.errors import PromptError
from ppo_cli.prompts.jsonl import FIELDS
from ppo_cli.records.answers import Expect

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
    columns: tuple[str, ...]
    """Those that are read."""

    @staticmethod
    def all_columns() -> frozenset[str]:
        """The columns of every format."""
        return frozenset(column for known in FORMATS for column in known.columns)


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


OWN = Format("own", lambda columns: "prompt" in columns, _own, FIELDS)
"""The format of a prompt file."""
FORMATS: Sequence[Format] = (
    Format(
        "XSTest",
        lambda columns: {"prompt", "type"} <= columns and bool({"label", "focus"} & columns),
        _xstest,
        ("id", "id_v2", "prompt", "type", "label", "focus"),
    ),
    Format(
        "CoCoNot",
        lambda columns: {"prompt", "category", "subcategory"} <= columns,
        _coconot,
        ("id", "prompt", "category", "subcategory"),
    ),
    Format("AdvBench", lambda columns: {"goal", "target"} <= columns, _advbench, ("id", "goal")),
    OWN,
)
"""In order of precedence."""


def convert_row(prompt_format: Format, row: Row, name: str, where: str) -> dict[str, Any]:
    """A row of a published format as a row of a prompt file.

    Args:
        prompt_format: of the row.
        row: as published.
        name: of the set.
        where: file and line, for messages.

    Raises:
        PromptError: the row lacks a column.
    """
    try:
        return prompt_format.convert(row, name)
    except KeyError as error:
        raise PromptError(
            f"{where}: has no `{error.args[0]}`, which every row of {prompt_format.name} has.", "Fix that row."
        ) from None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "other"
