"""Read a user's own file or dataset, clean its rows, and split it into training and evaluation prompts without leakage.

Not here: reading (`prompts.prompt_files`), the split itself (`prompts.split`), writing the files (`init`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import PromptError
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.prompts.chat_markup import markup_notices
from ppo_cli.prompts.columns import Rows
from ppo_cli.prompts.jsonl import as_prompts, numbered
from ppo_cli.prompts.leakage import comparable_texts, normalise
from ppo_cli.prompts.sources import HUB, slug, source_rows
from ppo_cli.prompts.split import Split, split, stratum
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, Notice, ignore_events
from ppo_cli.records.splits import SplitCounts, StratumCount
from ppo_cli.stats.power import minimum_detectable_change, missing_expectations, required_prompts
from ppo_cli.text.similarity import near_duplicate_pairs

MAX_PROMPTS = 5000
"""Prompts used of a larger set; an experiment needs about a thousand episodes."""
MIN_PROMPTS = 10
"""Different prompts that a split needs."""
NEAR_DUPLICATE_SIMILARITY = 0.8
"""TF-IDF cosine from which two prompts count as near-duplicates, as in `ppo sft-check`."""
SPLITS = ("train", "test", "validation")
"""The split of a dataset that is taken if none is named: the first of these that exists."""
MIN_EVAL_SHARE_REACHED = 0.8
"""Share of the evaluation prompts asked for; below it a notice says so."""
EMPTY, REPEATED, BEYOND = "without a prompt", "repeated in the same words", f"beyond the {MAX_PROMPTS} that are used"


@dataclass(frozen=True, kw_only=True)
class SplitDataset:
    """Two sets of prompts, their counts, and notices about them."""

    train: list[Prompt]
    evaluation: list[Prompt]
    counts: SplitCounts
    notices: tuple[str, ...]


@contextmanager
def notices_before_error(notices: Sequence[str], on_event: EventHandler) -> Iterator[None]:
    """Says what was noticed of the prompts where they turn out not to be usable: it is often the cause."""
    try:
        yield
    except PromptError:
        for notice in notices:
            on_event(Notice(text=notice, level="warning"))
        raise


def split_user_dataset(
    source: str,
    share: float,
    *,
    sft: Sequence[Prompt] = (),
    need_answers: bool = False,
    on_event: EventHandler = ignore_events,
) -> SplitDataset:
    """Reads and splits a user's prompts.

    Args:
        source: a CSV or JSONL file, or hf:NAME[:SPLIT], where NAME may be a folder.
        share: of the prompts that should go to evaluation.
        sft: the warm start's prompts; no evaluation prompt may be similar to them.
        need_answers: every row must have an `answer`.
        on_event: called with the notices where the prompts cannot be used.

    Raises:
        PromptError: the file cannot be used, or cannot be split.
    """
    read = read_user_prompts(source, need_answers=need_answers)
    prompts, total, notices = read.prompts, read.rows, read.notices
    once, contradicting = _without_duplicates(prompts)
    if contradicting:
        notices.append(
            f"Prompts repeated with another `expect` or category: {contradicting}. The first of each is used."
        )
    used = stratified_subset(once, MAX_PROMPTS)
    with notices_before_error(notices, on_event):
        parts = _split_rows(used, share, sft, source)
    asked = round(share * len(used))
    if len(parts.evaluation) < MIN_EVAL_SHARE_REACHED * asked:
        notices.append(
            f"Of {asked} evaluation prompts asked for, {len(parts.evaluation)} could be separated: the others are "
            "variants of one another, or similar to the warm start's prompts, and stay in training."
        )
    dropped = {EMPTY: total - len(prompts), REPEATED: len(prompts) - len(once), BEYOND: len(once) - len(used)}
    counts = SplitCounts(
        source=source,
        format=read.format,
        rows=total,
        dropped=tuple((why, count) for why, count in dropped.items() if count),
        train=len(parts.train),
        evaluation=len(parts.evaluation),
        strata=_strata(parts),
        largest_group=parts.largest,
    )
    return SplitDataset(train=parts.train, evaluation=parts.evaluation, counts=counts, notices=tuple(notices))


@dataclass(frozen=True, kw_only=True)
class UserPrompts:
    """The prompts of a user's own file, and what was seen in it."""

    prompts: list[Prompt]
    rows: int
    """Those without a prompt included, which are left out."""
    format: str
    notices: list[str]


def read_user_prompts(source: str, *, need_answers: bool = False) -> UserPrompts:
    """Reads a user's own prompts, without rows that have none, and with new ids where theirs cannot be used.

    Args:
        source: a file of any form, or hf:NAME[:SPLIT].
        need_answers: every row must have an `answer`.

    Raises:
        PromptError: it cannot be read, or holds no prompt.
    """
    standard = source_rows(source, SPLITS)
    total = len(standard.rows)
    if not total:
        raise PromptError(f"{source} holds no prompts.", "Write a heading with `prompt`, and one prompt per line.")
    notices = list(standard.notices)
    rows = [(where, _stripped(row)) for where, row in standard.rows]
    filled = [(where, row) for where, row in rows if row.get("prompt")]
    if not filled:
        raise PromptError(f"{source}: none of its {total} rows has a prompt.", "Fill the column `prompt`.")
    if not _ids_are_usable(filled):
        filled = [(where, {**row, "id": None}) for where, row in filled]
        notices.append("Ids are missing or not unique, so the prompts get new numbers as ids.")
    name = slug(Path(source.removeprefix(HUB)).name.partition(".")[0])
    prompts = as_prompts(numbered(filled, name), source, need_answers=need_answers)
    return UserPrompts(
        prompts=prompts, rows=total, format=standard.format, notices=[*notices, *markup_notices(prompts)]
    )


def power_notices(evaluation: Sequence[Prompt], settings: Evaluation) -> list[str]:
    """Warnings of a primary measure without data, or of too few prompts for the smallest effect of interest."""
    measure = measure_named(settings.primary)
    if missing := missing_expectations(measure, evaluation):
        return [
            f"{measure.name} cannot be measured: no evaluation prompt has `expect` {' or '.join(missing)}. "
            "Add that column, or choose another evaluation.primary."
        ]
    smallest = minimum_detectable_change(measure, evaluation)
    effect, factor, unit = settings.smallest_effect, 1, ""
    if measure.unit == "%":  # the config gives points, the statistics shares
        effect, factor, unit = effect / 100, 100, " points"
    if smallest is None or smallest <= effect:
        return []
    return [
        f"{len(evaluation)} evaluation prompts are unlikely to show a change of {measure.name} below about "
        f"{factor * smallest:.2g}{unit}; evaluation.smallest_effect = {settings.smallest_effect:g} needs about "
        f"{required_prompts(len(evaluation), smallest, effect)} prompts."
    ]


def _stripped(row: Mapping[str, Any]) -> dict[str, Any]:
    """Texts without outer blanks, and None in place of an empty one."""
    return {name: value.strip() or None if isinstance(value, str) else value for name, value in row.items()}


def _ids_are_usable(rows: Rows) -> bool:
    ids = [row.get("id") for _, row in rows]
    given = [str(name) for name in ids if name not in (None, "")]  # 0 is an id
    return not given or (len(given) == len(ids) and len(set(given)) == len(given))


def _without_duplicates(prompts: Sequence[Prompt]) -> tuple[list[Prompt], int]:
    """The first prompt of each text, and how many later ones have another `expect` or category."""
    first: dict[str, Prompt] = {}
    contradicting = 0
    for prompt in prompts:
        same_text = first.setdefault(normalise(prompt.text) or prompt.text, prompt)
        contradicting += stratum(same_text) != stratum(prompt)
    return list(first.values()), contradicting


def _split_rows(prompts: Sequence[Prompt], share: float, sft: Sequence[Prompt], source: str) -> Split:
    texts = comparable_texts([*prompts, *sft])
    pairs = near_duplicate_pairs(texts, NEAR_DUPLICATE_SIMILARITY)
    count = len(prompts)
    learnt = {one for one, other in pairs if one < count <= other}
    sft_pairs = {prompt.pair_id for prompt in sft if prompt.pair_id}
    learnt |= {index for index, prompt in enumerate(prompts) if prompt.pair_id in sft_pairs}
    parts = split(prompts, share, alike=[pair for pair in pairs if pair[1] < count], learnt=learnt)
    if count < MIN_PROMPTS:
        raise PromptError(
            f"{source} holds {count} different prompt{'s' if count != 1 else ''}, too few to split.",
            "Add prompts; a few hundred are usual.",
        )
    if not parts.train or not parts.evaluation:
        raise PromptError(
            f"{source}: its {count} different prompts cannot be split, for {parts.largest} of them are variants of one "
            "another and must stay together.",
            "Add prompts with other wording.",
        )
    return parts


def _strata(parts: Split) -> tuple[StratumCount, ...]:
    train, evaluation = (Counter(map(stratum, side)) for side in (parts.train, parts.evaluation))
    kinds = sorted({*train, *evaluation}, key=lambda kind: (-train[kind] - evaluation[kind], kind))
    return tuple(
        StratumCount(category=kind[0], expect=kind[1], train=train[kind], evaluation=evaluation[kind]) for kind in kinds
    )
