"""Prompts to evaluate on, from a file of any form or a Hugging Face dataset.

Not here: what the columns mean (`columns`), the prompt files of a config (`prompt_files`).
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
from ppo_cli.prompts.chat_markup import markup_notices
from ppo_cli.prompts.columns import Rows, StandardRows, standard_rows
from ppo_cli.prompts.jsonl import as_prompts, as_row, numbered
from ppo_cli.prompts.prompt_files import read_standard_rows, require_different
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
    notices: tuple[str, ...] = ()
    """What was guessed, put together or left out."""


def read_prompt_set(source: str) -> PromptSet:
    """Reads prompts to evaluate on.

    Args:
        source: a file as for `prompt_files.read_prompts`, or hf:NAME[:SPLIT] or hf:NAME:CONFIG/SPLIT, where NAME may
            be a folder.

    Raises:
        PromptError: no such file, dataset or split, rows that are not prompts, or two prompts that say the same.
    """
    standard = source_rows(source, SPLITS)
    if source.startswith(HUB):
        name, _, split = source.removeprefix(HUB).partition(":")
        label = slug(f"{Path(name).name}-{split}" if split else Path(name).name)
    else:
        label = Path(source).stem
    prompts = as_prompts(numbered(standard.rows, label), source)
    require_different(prompts, source)
    digest = sha256_of([as_row(prompt) for prompt in prompts]) if source.startswith(HUB) else sha256_file(Path(source))
    notices = (*standard.notices, *markup_notices(prompts))
    return PromptSet(name=label, digest=digest, format=standard.format, prompts=prompts, notices=notices)


def source_rows(source: str, default_splits: Sequence[str]) -> StandardRows:
    """The rows of a file or dataset with the columns of a prompt file, before their values are checked.

    Args:
        source: as for `read_prompt_set`.
        default_splits: the split of a dataset to take if none is named is the first of these that it has.

    Raises:
        PromptError: no such file, dataset or split, or no column with the prompt.
    """
    if not source.startswith(HUB):
        return read_standard_rows(Path(source))
    name, _, split = source.removeprefix(HUB).partition(":")
    rows: Rows = [
        (f"{source}, row {number}", dict(row))
        for number, row in enumerate(dataset_rows(name, split, default_splits), start=1)
    ]
    label = slug(f"{Path(name).name}-{split}" if split else Path(name).name)
    return standard_rows(rows, source, label)


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
