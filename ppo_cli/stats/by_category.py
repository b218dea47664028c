"""An evaluation per category of prompts: values, and changes with their intervals.

Categories are small, so changes get intervals and no verdict.

Not here: which measures are shown (`behaviours.measures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppo_cli.records.measures import Category, CategoryValue, Measure
from ppo_cli.stats.intervals import estimate, paired_difference, point_estimate
from ppo_cli.stats.label_matrix import LabelMatrix


def by_category(matrix: LabelMatrix, before: LabelMatrix | None, measures: Sequence[Measure]) -> tuple[Category, ...]:
    """One line per category, in the order of their names; none where there is only one category.

    Args:
        matrix: labels of a policy.
        before: labels of the policy it is compared with, on the same prompts; None without one.
        measures: means, over all prompts of the category.
    """
    names = sorted(set(matrix.categories))
    if matrix.clusters == matrix.categories:  # within a category its prompts are what varies
        matrix, before = replace(matrix, clusters=None), before and replace(before, clusters=None)
    return tuple(_category(name, matrix, before, measures) for name in names) if len(names) > 1 else ()


def _category(category: str, matrix: LabelMatrix, before: LabelMatrix | None, measures: Sequence[Measure]) -> Category:
    ids = [prompt for prompt, name in zip(matrix.prompt_ids, matrix.categories, strict=True) if name == category]
    now = matrix.select(ids)
    answered = set(before.prompt_ids) if before else set()
    both = [prompt for prompt in ids if prompt in answered]
    start = before.select(both) if before and both else None
    values = []
    for measure in measures:
        paired = paired_difference(measure, start, now.select(both)) if start else None
        values.append(
            CategoryValue(
                estimate=estimate(measure, now),
                before=point_estimate(measure, start) if start else None,
                low_95=paired.low_95 if paired else None,
                high_95=paired.high_95 if paired else None,
            )
        )
    expects = set(now.expects)
    return Category(
        name=category,
        expect=now.expects[0] if len(expects) == 1 else "mixed",
        prompts=len(ids),
        values=tuple(values),
    )
