"""An evaluation category by category: what each kind of prompt gets, and how that changed.

Categories are small, so nothing is judged here: an interval stands beside every change, and no verdict.

Not here: which measures are shown (`behaviours.catalog`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.records.measures import Category, CategoryValue, LabelledAnswer, Measure
from ppo_cli.stats.intervals import estimate, paired_difference
from ppo_cli.stats.label_matrix import LabelMatrix, label_matrix


def by_category(
    labelled: Sequence[LabelledAnswer], before: Sequence[LabelledAnswer], measures: Sequence[Measure]
) -> tuple[Category, ...]:
    """A line for each category, in the order of their names; none where there is only one.

    Args:
        labelled: answers of a policy.
        before: answers of the policy it is compared with to the same prompts, or nothing.
        measures: means, over all prompts of the category.
    """
    table, was = label_matrix(labelled), label_matrix(before)
    names = sorted(set(table.categories))
    return tuple(_line(name, table, was, measures) for name in names) if len(names) > 1 else ()


def _line(category: str, table: LabelMatrix, before: LabelMatrix, measures: Sequence[Measure]) -> Category:
    ids = [prompt for prompt, found in zip(table.prompt_ids, table.categories, strict=True) if found == category]
    now = table.select(ids)
    both = [prompt for prompt in ids if prompt in set(before.prompt_ids)]
    values = []
    for measure in measures:
        paired = paired_difference(measure, before.select(both), now.select(both)) if both else None
        values.append(
            CategoryValue(
                estimate=estimate(measure, now),
                before=estimate(measure, before.select(both)).value if both else None,
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
