"""Prompts to evaluate on, from wherever they are: a JSONL or CSV file, or a Hugging Face dataset.

Not here: the formats (`prompts.importing`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_cli.errors import PromptError
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.prompts.formats import import_prompts, table_rows
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.records.answers import Prompt

HUB = "hf:"
SPLITS = ("test", "validation", "train")
"""Which split is taken where none is named: the first of these that there is."""


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """Prompts with what names them."""

    name: str
    """Fit for a folder's name."""
    digest: str
    """Of the content."""
    format: str
    prompts: list[Prompt]


def read_prompt_set(source: str) -> PromptSet:
    """Reads prompts to evaluate on, in any format that `prompts.importing` knows.

    Args:
        source: a .jsonl or .csv file, or hf:NAME[:SPLIT] or hf:NAME:CONFIG/SPLIT, where NAME may be a folder.

    Raises:
        PromptError: no such file, dataset or split, or rows that are no prompts.
    """
    if source.startswith(HUB):
        name, _, split = source.removeprefix(HUB).partition(":")
        label = slug(f"{Path(name).name}-{split}" if split else Path(name).name)
        rows = [(f"{source}, row {number}", row) for number, row in enumerate(dataset_rows(name, split), start=1)]
        prompts, kind = import_prompts(rows, source, label)
        digest = sha256_of([as_row(prompt) for prompt in prompts])
    else:
        path = Path(source)
        label = path.stem
        prompts, kind = import_prompts(
            ((f"{path}, line {number}", row) for number, row in table_rows(path)), str(path), label
        )
        digest = sha256_file(path)
    return PromptSet(name=label, digest=digest, format=kind, prompts=prompts)


def dataset_rows(name: str, split: str, usual: Sequence[str] = SPLITS) -> Iterator[dict[str, Any]]:
    """The rows of a dataset.

    Args:
        name: of the hub, or a folder.
        split: SPLIT or CONFIG/SPLIT; may be empty.
        usual: which split to take where none is named, the first that there is.

    Raises:
        PromptError: no such dataset or split.
    """
    import datasets

    config, _, part = split.rpartition("/")
    folder = Path(name)
    try:
        if any((folder / file).is_file() for file in ("dataset_dict.json", "state.json")):
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name, config or None)
    except (OSError, ValueError, RuntimeError) as error:
        why = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise PromptError(
            f"{HUB}{name} cannot be loaded: {why}.", "Check its name, or download it as a file."
        ) from None
    if isinstance(found, datasets.DatasetDict):
        part = part or next((known for known in usual if known in found), next(iter(found)))
        if part not in found:
            raise PromptError(f"{HUB}{name} has no split {part}.", f"Name one of {', '.join(found)}.")
        found = found[part]
    yield from found


def slug(text: str) -> str:
    """A name fit for a folder and for ids."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or hashlib.sha256(text.encode()).hexdigest()[:6]
