"""A user's own file or dataset as training and evaluation prompts: read as it is, tidied, split without a leak.

Not here: the formats (`prompts.importing`), the split itself (`prompts.splitting`), writing the files (`init`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import PromptError
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.prompts.csv_import import Rows, own_rows, with_known_columns
from ppo_cli.prompts.formats import import_prompts
from ppo_cli.prompts.leakage import normalise
from ppo_cli.prompts.sources import HUB, dataset_rows, slug
from ppo_cli.prompts.split import Split, split, stratum
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.splits import SplitCounts, StratumCount
from ppo_cli.stats.power import minimum_detectable_change, missing_expectations, required_prompts
from ppo_cli.text.similarity import near_duplicate_pairs

MAX_PROMPTS = 5000
"""Prompts that are used of a larger set; an experiment asks for about a thousand episodes."""
MIN_PROMPTS = 10
"""Different prompts below which there is nothing to split."""
NEAR_DUPLICATE_SIMILARITY = 0.8
"""TF-IDF cosine from which a prompt is another one in other order, as `ppo sft-check` counts it."""
SPLITS = ("train", "test", "validation")
"""Which split of a dataset is taken where none is named: the first of these that there is."""
MIN_SPLIT_PROMPTS = 0.8
"""Share of the evaluation prompts asked for below which there is something to say."""
EMPTY, TWICE, BEYOND = "without a prompt", "there already in the same words", f"beyond the {MAX_PROMPTS} that are used"


@dataclass(frozen=True, kw_only=True)
class SplitDataset:
    """Two sets of prompts and what there is to say of them."""

    train: list[Prompt]
    evaluation: list[Prompt]
    counts: SplitCounts
    notices: tuple[str, ...]


def split_user_dataset(
    source: str, share: float, *, learnt: Sequence[Prompt] = (), need_answers: bool = False
) -> SplitDataset:
    """Reads and splits.

    Args:
        source: a CSV or JSONL file, or hf:NAME[:SPLIT], where NAME may be a folder.
        share: of the prompts that should go to evaluation.
        learnt: prompts that the policy learns from besides; nothing like them may evaluate.
        need_answers: every row must have an `answer`.

    Raises:
        PromptError: the file cannot be used, or cannot be split.
    """
    rows, said = _rows(source)
    total = len(rows)
    if not total:
        raise PromptError(f"{source} holds no prompts.", "Write a heading with `prompt`, and a prompt a line.")
    rows, columns = with_known_columns(rows)
    notices = [*said, *columns]
    rows = [(where, _tidied(row)) for where, row in rows]
    filled = [(where, row) for where, row in rows if row.get("prompt") or row.get("goal")]
    if not filled and any("prompt" in row or "goal" in row for _, row in rows):
        raise PromptError(f"{source}: none of its {total} rows has a prompt.", "Fill the column `prompt`.")
    if not _ids_are_usable(filled):
        filled = [(where, {key: value for key, value in row.items() if key != "id"}) for where, row in filled]
        notices.append("Its ids are not all there or not unique, so the prompts are numbered anew.")
    found, kind = import_prompts(filled or rows, source, slug(Path(source.removeprefix(HUB)).stem), need_answers)
    once, contradicting = _without_duplicates(found)
    if contradicting:
        notices.append(
            f"Prompts there again with another `expect` or category: {contradicting}. The first of each counts."
        )
    used = stratified_subset(once, MAX_PROMPTS)
    divided = _split_rows(used, share, learnt, source)
    asked = round(share * len(used))
    if len(divided.evaluation) < MIN_SPLIT_PROMPTS * asked:
        notices.append(
            f"Of {asked} evaluation prompts asked for, {len(divided.evaluation)} could be kept apart: the others are "
            "variants of one another, or like what the warm start teaches, and stay in training."
        )
    dropped = {EMPTY: total - len(filled), TWICE: len(found) - len(once), BEYOND: len(once) - len(used)}
    counts = SplitCounts(
        source=source,
        format=kind,
        rows=total,
        dropped=tuple((why, count) for why, count in dropped.items() if count),
        train=len(divided.train),
        evaluation=len(divided.evaluation),
        strata=_strata(divided),
        largest_group=divided.largest,
    )
    return SplitDataset(train=divided.train, evaluation=divided.evaluation, counts=counts, notices=tuple(notices))


def power_notices(evaluation: Sequence[Prompt], settings: Evaluation) -> list[str]:
    """What there is to warn of: a measure without data, or too few prompts for the effect looked for."""
    measure = measure_named(settings.primary)
    if missing := missing_expectations(measure, evaluation):
        return [
            f"{measure.name} cannot be measured: no evaluation prompt has `expect` {' or '.join(missing)}. "
            "Add that column, or choose another evaluation.primary."
        ]
    smallest = minimum_detectable_change(measure, evaluation)
    wanted, shown, unit = settings.smallest_effect, 1, ""
    if measure.unit == "%":  # the config says points, the statistics shares
        wanted, shown, unit = wanted / 100, 100, " points"
    if smallest is None or smallest <= wanted:
        return []
    return [
        f"{len(evaluation)} evaluation prompts are likely to show no change of {measure.name} below about "
        f"{shown * smallest:.2g}{unit}; for evaluation.smallest_effect = {settings.smallest_effect:g} it takes about "
        f"{required_prompts(len(evaluation), smallest, wanted)}."
    ]


def _rows(source: str) -> tuple[Rows, list[str]]:
    if not source.startswith(HUB):
        return own_rows(Path(source))
    name, _, part = source.removeprefix(HUB).partition(":")
    return [(f"{source}, row {n}", dict(row)) for n, row in enumerate(dataset_rows(name, part, SPLITS), start=1)], []


def _tidied(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without blanks around, `expect` in small letters, lists of words as lists; of a conversation its first turn."""
    tidy: dict[str, Any] = {
        name: value.strip() or None if isinstance(value, str) else value for name, value in row.items()
    }
    said, expect = tidy.get("prompt"), tidy.get("expect")
    if isinstance(said, list):
        turns = [turn for turn in said if isinstance(turn, Mapping) and turn.get("role") == "user"]
        tidy["prompt"] = str(turns[0].get("content") or "").strip() or None if turns else None
    if isinstance(expect, str):
        tidy["expect"] = expect.lower()
    if isinstance(tidy.get("mentions"), str):
        tidy["mentions"] = [word.strip() for word in re.split(r"[,;|]", tidy["mentions"]) if word.strip()]
    return tidy


def _ids_are_usable(rows: Rows) -> bool:
    ids = [row.get("id") for _, row in rows]
    return not any(ids) or (all(ids) and len(set(map(str, ids))) == len(ids))


def _without_duplicates(prompts: Sequence[Prompt]) -> tuple[list[Prompt], int]:
    """Each text once, the first; and how many others said something else of the same text."""
    first: dict[str, Prompt] = {}
    contradicting = 0
    for prompt in prompts:
        kept = first.setdefault(normalise(prompt.text) or prompt.text, prompt)
        contradicting += stratum(kept) != stratum(prompt)
    return list(first.values()), contradicting


def _split_rows(prompts: Sequence[Prompt], share: float, learnt: Sequence[Prompt], source: str) -> Split:
    texts = [*(prompt.text for prompt in prompts), *(prompt.text for prompt in learnt)]
    pairs = near_duplicate_pairs(texts, NEAR_DUPLICATE_SIMILARITY)
    own = len(prompts)
    held = {one for one, other in pairs if one < own <= other}
    taught = {prompt.pair_id for prompt in learnt if prompt.pair_id}
    held |= {place for place, prompt in enumerate(prompts) if prompt.pair_id in taught}
    found = split(prompts, share, alike=[pair for pair in pairs if pair[1] < own], learnt=held)
    if own < MIN_PROMPTS:
        raise PromptError(
            f"{source} holds {own} different prompts, too few to split.", "Add prompts; some hundred are usual."
        )
    if not found.train or not found.evaluation:
        raise PromptError(
            f"{source}: its {own} different prompts cannot be split, for {found.largest} of them are variants of one "
            "another and must stay together.",
            "Add prompts with other wording.",
        )
    return found


def _strata(found: Split) -> tuple[StratumCount, ...]:
    train, evaluation = (Counter(map(stratum, side)) for side in (found.train, found.evaluation))
    kinds = sorted({*train, *evaluation}, key=lambda kind: (-train[kind] - evaluation[kind], kind))
    return tuple(
        StratumCount(category=kind[0], expect=kind[1], train=train[kind], evaluation=evaluation[kind]) for kind in kinds
    )
