"""People's labels in place of the rule's: the refusals of a comparison, made anew from what was labelled blind.

They have no error of a rule in them, and rest on fewer answers. Alarms and conditions for CI stay with the rule.

Not here: labelling (`label`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ppo_cli.behaviours.measures import HEADLINES, measure_named
from ppo_cli.evaluation.label import MIN_ANSWERS, read_human_labels
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison, HumanLabelNote
from ppo_cli.stats.comparison import compare_groups
from ppo_cli.store.runs import Run

MIN_PROMPTS = MIN_ANSWERS // 2
"""Prompts with a labelled answer of every policy, from which labels count before the rule."""
REPLACED_MEASURES = tuple(
    measure for measure in HEADLINES if measure.label == "refused" and measure.statistic != "agreement"
)
"""What one label an answer can say."""

LabelledPolicy = tuple[Run, int]
"""A run at a step."""


def with_human_labels(
    comparison: Comparison,
    before: Sequence[LabelledPolicy],
    after: Sequence[LabelledPolicy],
    prompts: Mapping[str, Prompt],
    smallest_effect: float,
) -> Comparison:
    """The comparison with people's labels where there are enough of them, of every policy; else as it is.

    Args:
        comparison: by the rule.
        before: the seeds of A.
        after: the seeds of B.
        prompts: those that are compared.
        smallest_effect: of the primary measure.
    """
    arms = [[read_human_labels(run, step) for run, step in arm] for arm in (before, after)]
    given = [labels for arm in arms for labels in arm if labels is not None]
    if len(given) < len(before) + len(after):
        return comparison
    rows_a, rows_b = (
        [[row for row in labels.labelled if row.prompt_id in prompts] for labels in arm if labels] for arm in arms
    )
    labelled = set.intersection(*({row.prompt_id for row in policy} for policy in (*rows_a, *rows_b)))
    if len(labelled) < MIN_PROMPTS:
        return comparison
    by_people = compare_groups(
        (comparison.before, comparison.after),
        rows_a,
        rows_b,
        list({measure.name: measure for measure in (measure_named(comparison.primary), *REPLACED_MEASURES)}.values()),
        prompts,
        primary=comparison.primary,
        smallest_effect=smallest_effect,
    )
    theirs = {change.name: change for change in by_people.changes if change.difference is not None}
    return replace(
        comparison,
        changes=tuple(theirs.get(change.name, change) for change in comparison.changes),
        human_labels=HumanLabelNote(
            measures=tuple(theirs),
            answers=sum(len(labels.labelled) for labels in given),
            agree=sum(labels.agree for labels in given),
            prompts=len(labelled),
            by_rule=tuple(change for change in comparison.changes if change.name in theirs),
        ),
    )
