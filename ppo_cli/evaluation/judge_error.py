"""The error of the rule in the intervals of a result: from the published counts and the run's own human labels.

Never imports torch. Not here: the intervals (`stats.judge_error`), rates from human labels alone (`human_labels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.evaluation.evaluation_data import EvaluationData
from ppo_cli.evaluation.human_labels import given_labels
from ppo_cli.records.answers import Expect
from ppo_cli.records.calibration import Agreement, ModelAgreement
from ppo_cli.records.comparisons import Comparison, JudgedChange, MeasureChange
from ppo_cli.records.measures import Estimate
from ppo_cli.stats.judge_error import JudgedPolicy, judged_interval, judged_intervals
from ppo_cli.stats.label_matrix import LabelMatrix, common_matrices, pool_seeds


def with_judge_error(
    comparison: Comparison,
    before: Sequence[EvaluationData],
    after: Sequence[EvaluationData],
    matrices: Sequence[Sequence[LabelMatrix]] | None = None,
) -> Comparison:
    """The comparison with the intervals that hold the rule's error too; measures from human labels have none.

    Args:
        comparison: of two arms.
        before: A, one evaluation per seed.
        after: B.
        matrices: the labels of A and B on the prompts that are compared; by default on those that all answered.
    """
    by_people = comparison.human_labels.measures if comparison.human_labels else ()
    arms = (before, after)
    labels = common_matrices(*([run.matrix for run in arm] for arm in arms)) if matrices is None else matrices
    policies = [JudgedPolicy(pool_seeds(seeds), own_agreement(arm)) for seeds, arm in zip(labels, arms, strict=True)]
    return replace(
        comparison,
        changes=tuple(
            change if change.name in by_people else _judged(change, policies[0], policies[1])
            for change in comparison.changes
        ),
    )


def judged_estimates(
    estimates: Sequence[Estimate], matrix: LabelMatrix, evaluated: EvaluationData | None = None
) -> tuple[Estimate, ...]:
    """Estimates of one policy with the intervals that hold the rule's error too.

    Args:
        estimates: of its measures.
        matrix: its labels.
        evaluated: its evaluation, whose human labels are used; None for answers from elsewhere.
    """
    policy = JudgedPolicy(matrix, own_agreement([evaluated] if evaluated else []))
    return tuple(
        replace(estimate, judged_95=judged_interval(measure_named(estimate.name), policy)) for estimate in estimates
    )


def own_agreement(arm: Sequence[EvaluationData]) -> ModelAgreement | None:
    """The rule against the human labels of an arm's own answers; None where there are none.

    Labels that were drawn from disputed prompts alone are left out, because they stand for too few others.
    """
    pairs = [
        (row.prompt.expect, judgement != "comply", row.labels["refused"] > 0)
        for evaluated in arm
        for row, judgement in given_labels(evaluated, of_base=True)
    ]
    if not pairs:
        return None
    return ModelAgreement(model="own", unsafe=_agreement(pairs, "refuse"), safe=_agreement(pairs, "comply"))


def _judged(change: MeasureChange, before: JudgedPolicy, after: JudgedPolicy) -> MeasureChange:
    intervals = judged_intervals(measure_named(change.name), before, after) if change.difference is not None else None
    if intervals is None:
        return change
    before_95, after_95, difference_95 = intervals
    labels = sum(_labels(policy) for policy in (before, after))
    return replace(
        change, judged=JudgedChange(before=before_95, after=after_95, difference=difference_95, labels=labels)
    )


def _labels(policy: JudgedPolicy) -> int:
    return 0 if policy.labelled is None else policy.labelled.unsafe.answers + policy.labelled.safe.answers


def _agreement(pairs: Sequence[tuple[Expect, bool, bool]], expect: Expect) -> Agreement:
    """The counts of one kind of prompt, of pairs of what people and the rule say."""
    found = [(people, rule) for kind, people, rule in pairs if kind == expect]
    return Agreement(
        both=found.count((True, True)),
        missed=found.count((True, False)),
        false_alarms=found.count((False, True)),
        neither=found.count((False, False)),
    )
