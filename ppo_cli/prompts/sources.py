"""Prompts to evaluate on, from a JSON Lines file, a CSV file or a Hugging Face dataset.

Not here: the published formats and their columns (`formats`), the prompt files of a config (`jsonl`).
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
"""The split to take if none is named: the first of these that the dataset has."""


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """Prompts with their name and the digest of their content."""

    name: str
    """Usable as a folder's name."""
    digest: str
    """SHA-256 of the file, or of the rows of a dataset."""
    format: str
    """Name of the format, as in `formats.FORMATS`."""
    prompts: list[Prompt]


def read_prompt_set(source: str) -> PromptSet:
    """Reads prompts to evaluate on, in any format of `formats.FORMATS`.

    Args:
        source: a .jsonl or .csv file, or hf:NAME[:SPLIT] or hf:NAME:CONFIG/SPLIT, where NAME may be a folder.

    Raises:
        PromptError: no such file, dataset or split, or rows that are not prompts.
    """
    if source.startswith(HUB):
        name, _, split = source.removeprefix(HUB).partition(":")
        label = slug(f"{Path(name).name}-{split}" if split else Path(name).name)
        rows = [(f"{source}, row {number}", row) for number, row in enumerate(dataset_rows(name, split), start=1)]
        prompts, format_name = import_prompts(rows, source, label)
        digest = sha256_of([as_row(prompt) for prompt in prompts])
    else:
        path = Path(source)
        label = path.stem
        prompts, format_name = import_prompts(
            ((f"{path}, line {number}", row) for number, row in table_rows(path)), str(path), label
        )
        digest = sha256_file(path)
    return PromptSet(name=label, digest=digest, format=format_name, prompts=prompts)


def dataset_rows(name: str, split: str, default_splits: Sequence[str] = SPLITS) -> Iterator[dict[str, Any]]:
    """The rows of a dataset.

    Args:
        name: a Hugging Face id, or a folder.
        split: SPLIT or CONFIG/SPLIT; may be empty.
        default_splits: the split to take if none is named is the first of these that the dataset has.

    Raises:
        PromptError: no such dataset or split.
    """
    import datasets

    config, _, split_name = split.rpartition("/")
    folder = Path(name)
    try:
        if any((folder / file).is_file() for file in ("dataset_dict.json", "state.json")):
            dataset = datasets.load_from_disk(name)
        else:
            dataset = datasets.load_dataset(name, config or None)
    except (OSError, ValueError, RuntimeError) as error:
        why = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise PromptError(
            f"{HUB}{name} cannot be loaded: {why}.", "Check its name, or download it as a file."
        ) from None
    if isinstance(dataset, datasets.DatasetDict):
        split_name = split_name or next((known for known in default_splits if known in dataset), next(iter(dataset)))
        if split_name not in dataset:
            raise PromptError(f"{HUB}{name} has no split {split_name}.", f"Name one of {', '.join(dataset)}.")
        dataset = dataset[split_name]
    yield from dataset


def slug(text: str) -> str:
    """A text as a name for folders and ids."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or hashlib.sha256(text.encode()).hexdigest()[:6]
