"""Where each prompt moved between two policies, and how many moved from where to where.

Not here: whether that can be told from chance (`comparison`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from ppo_cli.records.answers import Expect
from ppo_cli.records.comparisons import Frequency, PromptChange, Transitions
from ppo_cli.records.measures import LabelledAnswer
from ppo_cli.stats.label_matrix import label_matrix


def prompt_changes(
    before: Sequence[LabelledAnswer], after: Sequence[LabelledAnswer], label: str
) -> tuple[PromptChange, ...]:
    """The share of a prompt's answers that have a label, before and after, in the order of prompt ids.

    Args:
        before: labelled samples of A.
        after: labelled samples of B.
        label: a yes/no label.
    """
    tables = label_matrix(before), label_matrix(after)
    common = sorted(set(tables[0].prompt_ids) & set(tables[1].prompt_ids))
    a, b = (table.select(common) for table in tables)
    if not common or label not in a.labels or label not in b.labels:
        return ()
    rates = zip(a.labels[label].mean(axis=1), b.labels[label].mean(axis=1), strict=True)
    return tuple(
        PromptChange(prompt_id=prompt_id, before=float(was), after=float(now))
        for prompt_id, (was, now) in zip(common, rates, strict=True)
    )


def transitions(moved: Sequence[PromptChange], expects: dict[str, Expect]) -> tuple[Transitions, ...]:
    """Counts of prompts from never, sometimes or always to the same, for each expected behaviour that occurs.

    Args:
        moved: from `moves`.
        expects: the expected behaviour of each prompt.
    """
    found = []
    for expect in get_args(Expect):
        chosen = [move for move in moved if expects[move.prompt_id] == expect]
        if chosen:
            counts = Counter((_frequency(move.before), _frequency(move.after)) for move in chosen)
            found.append(Transitions(expect=expect, counts=dict(counts), prompts=len(chosen)))
    return tuple(found)


def prompt_means(labelled: Sequence[LabelledAnswer], label: str) -> dict[str, float]:
    """The mean of a label over each prompt's answers, for the prompts whose answers have it."""
    table = label_matrix(labelled)
    if label not in table.labels:
        return {}
    means = table.labels[label].mean(axis=1)
    return {key: float(mean) for key, mean in zip(table.prompt_ids, means, strict=True) if math.isfinite(mean)}


def _frequency(rate: float) -> Frequency:
    if rate in (0.0, 1.0):
        return "always" if rate else "never"
    return "sometimes"
