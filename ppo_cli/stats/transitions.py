"""How often each prompt's answers have a label, before and after, and how many prompts went from where to where.

Not here: whether a change can be told from chance (`comparison`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from ppo_cli.records.answers import Expect
from ppo_cli.records.comparisons import Frequency, PromptChange, Transitions
from ppo_cli.stats.label_matrix import LabelMatrix, common_matrices


def prompt_changes(before: LabelMatrix, after: LabelMatrix, label: str) -> tuple[PromptChange, ...]:
    """The share of a prompt's answers that have a label, before and after, in the order of prompt ids.

    Args:
        before: labels of A.
        after: labels of B.
        label: a yes/no label.

    Returns:
        Prompts that both answered; none where A or B has no such label.
    """
    ((a,), (b,)) = common_matrices([before], [after])
    common = a.prompt_ids
    if not common or label not in a.labels or label not in b.labels:
        return ()
    rates = zip(a.labels[label].mean(axis=1), b.labels[label].mean(axis=1), strict=True)
    return tuple(
        PromptChange(prompt_id=prompt_id, before=float(was), after=float(now))
        for prompt_id, (was, now) in zip(common, rates, strict=True)
    )


def transitions(changes: Sequence[PromptChange], expects: dict[str, Expect]) -> tuple[Transitions, ...]:
    """Counts of prompts by how often they had the label before and after, for each expected behaviour that occurs.

    Args:
        changes: from `prompt_changes`.
        expects: the expected behaviour of each prompt, by id.
    """
    result = []
    for expect in get_args(Expect):
        chosen = [change for change in changes if expects[change.prompt_id] == expect]
        if chosen:
            counts = Counter((_frequency(change.before), _frequency(change.after)) for change in chosen)
            result.append(Transitions(expect=expect, counts=dict(counts), prompts=len(chosen)))
    return tuple(result)


def prompt_means(matrix: LabelMatrix, label: str) -> dict[str, float]:
    """The mean of a label over each prompt's answers, by prompt id, for the prompts whose answers have it."""
    if label not in matrix.labels:
        return {}
    means = matrix.labels[label].mean(axis=1)
    return {key: float(mean) for key, mean in zip(matrix.prompt_ids, means, strict=True) if math.isfinite(mean)}


def _frequency(rate: float) -> Frequency:
    if rate in (0.0, 1.0):
        return "always" if rate else "never"
    return "sometimes"
