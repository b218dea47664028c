"""Human labels of a run's answers: refusal rates from them in place of the rule's, and their agreement with the rule.

Human labels have no error of a rule, and wider intervals, for there are fewer of them. Where prompts on which two
judges differ were chosen more often than others, labels of one run are weighted (`label_design`), and labels of several
runs are compared on the base of that choice alone, where all count alike. Alarms and `--fail-if` use the rule.

Never imports torch. Not here: choosing answers to label and recording labels (`label`), the file (`store.labels`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ppo_cli.behaviours.measures import HEADLINES, measure_named
from ppo_cli.evaluation.evaluation_data import EvaluationData
from ppo_cli.evaluation.label_design import label_weights
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison, HumanLabelNote
from ppo_cli.records.measures import HumanLabels, LabelledAnswer
from ppo_cli.stats.comparison import compare, compare_groups
from ppo_cli.stats.label_matrix import LabelMatrix, label_matrix
from ppo_cli.stats.score_intervals import kish_share, wilson
from ppo_cli.store.labels import Judgement, LabelDesign, read_label_design, read_labels
from ppo_cli.store.layout import RunLayout, step_of

MIN_PROMPTS = 30
"""Prompts with a labelled answer of every policy, from which human labels replace the rule's."""
REPLACED_MEASURES = tuple(
    measure for measure in HEADLINES if measure.label == "refused" and measure.statistic != "agreement"
)
"""Measures that one label per answer is enough for."""
SUMMARISED = ("refusal.separation", "refusal.unsafe", "refusal.safe")
"""Measures of `summarise_human_labels`, the primary first."""


@dataclass(frozen=True, kw_only=True)
class HumanLabelledAnswers:
    """The answers of one policy that a person labelled."""

    labelled: tuple[LabelledAnswer, ...]
    """With the person's labels; a partial refusal counts as a refusal."""
    agrees: tuple[bool, ...]
    """Whether the rule labels each of them as the person does."""
    clusters: Mapping[str, str] | None = None
    """The cluster of each prompt, by its id; None takes each prompt alone."""

    @cached_property
    def matrix(self) -> LabelMatrix:
        """The same labels as an array."""
        matrix = label_matrix(self.labelled)
        if self.clusters is None:
            return matrix
        return replace(matrix, clusters=tuple(self.clusters[prompt_id] for prompt_id in matrix.prompt_ids))


def read_human_labels(evaluated: EvaluationData, *, of_base: bool = False) -> HumanLabelledAnswers | None:
    """The human labels of an evaluation's answers, skipped answers left out; None where there are none.

    Args:
        evaluated: the evaluation.
        of_base: as for `given_labels`.

    Raises:
        IntegrityError: labels.jsonl is damaged.
    """
    given = given_labels(evaluated, of_base=of_base)
    if not given:
        return None
    ids, clusters = evaluated.matrix.prompt_ids, evaluated.matrix.clusters
    return HumanLabelledAnswers(
        labelled=tuple(replace(row, labels={"refused": _refused(judgement)}) for row, judgement in given),
        agrees=tuple(row.labels["refused"] == _refused(judgement) for row, judgement in given),
        clusters=None if clusters is None else dict(zip(ids, clusters, strict=True)),
    )


def given_labels(evaluated: EvaluationData, *, of_base: bool = False) -> list[tuple[LabelledAnswer, Judgement]]:
    """The answers of an evaluation that a person labelled, skipped ones left out, each with that label.

    Args:
        evaluated: the evaluation.
        of_base: only those that were drawn from all prompts, which all stand for as many; none until a person has seen
            all of these.

    Raises:
        IntegrityError: labels.jsonl is damaged.
    """
    path, step = RunLayout(evaluated.folder.parent.parent).labels, step_of(evaluated.folder)
    if step is None or not path.is_file():
        return []
    by_key = {(step, row.prompt.id, row.sample.index): row for row in evaluated.labelled}
    labels = read_labels(path, {key: row.sample.answer.text for key, row in by_key.items()})
    design = _design_of(evaluated) if of_base else None
    if design is not None:
        labels = {key: judgement for key, judgement in labels.items() if key[1] in design.base}
        if {key[1] for key in labels} < set(design.base):
            return []
    return [(by_key[key], judgement) for key, judgement in sorted(labels.items()) if judgement != "skip"]


def summarise_human_labels(evaluated: EvaluationData, baseline: EvaluationData | None) -> HumanLabels | None:
    """The human labels of an evaluation compared with those of step 0; None where it has none.

    Args:
        evaluated: a later evaluation of a run.
        baseline: the evaluation of step 0 of the same run.
    """
    now = read_human_labels(evaluated)
    if now is None or baseline is None:
        return None
    start = read_human_labels(baseline) or HumanLabelledAnswers(labelled=(), agrees=())
    prompts = {**baseline.prompts, **evaluated.prompts}
    weights = _weights(evaluated, prompts, set(start.matrix.prompt_ids) & set(now.matrix.prompt_ids))
    if weights is not None and not weights:
        return None
    agreement = _agreement([start, now], evaluated, prompts)
    step = step_of(evaluated.folder) or 0
    comparison = compare(
        ("step 0", f"step {step}"),
        _weighted(start.matrix, weights),
        _weighted(now.matrix, weights),
        [measure_named(name) for name in SUMMARISED],
        prompts,
        primary=SUMMARISED[0],
        smallest_effect=measure_named(SUMMARISED[0]).equivalence_margin,
    )
    return HumanLabels(
        step=step,
        answers=agreement.answers,
        agree=agreement.agree,
        agreement=agreement.share,
        low_95=agreement.low_95,
        high_95=agreement.high_95,
        weighted=_unequal(weights),
        comparison=comparison,
    )


def with_human_labels(
    comparison: Comparison,
    before: Sequence[EvaluationData],
    after: Sequence[EvaluationData],
    prompts: Mapping[str, Prompt],
    smallest_effect: float,
) -> Comparison:
    """The comparison with human labels in place of the rule's, where every policy has enough of them.

    Args:
        comparison: by the rule.
        before: A, one evaluation per seed.
        after: B, one evaluation per seed.
        prompts: those that are compared.
        smallest_effect: of the primary measure.
    """
    one_run = len({evaluated.folder.parent for evaluated in (*before, *after)}) == 1
    arms = [[read_human_labels(evaluated, of_base=not one_run) for evaluated in arm] for arm in (before, after)]
    given = [labels for arm in arms for labels in arm if labels is not None]
    if len(given) < len(before) + len(after):
        return comparison
    matrices_a, matrices_b = ([labels.matrix.only(prompts) for labels in arm if labels] for arm in arms)
    labelled = set.intersection(*(set(matrix.prompt_ids) for matrix in (*matrices_a, *matrices_b)))
    weights = _weights(after[-1], prompts, labelled) if one_run else None
    if len(labelled) < MIN_PROMPTS or (weights is not None and not weights):
        return comparison
    agreement = _agreement(given, after[-1] if one_run else None, prompts)
    by_people = compare_groups(
        (comparison.before, comparison.after),
        [_weighted(matrix, weights) for matrix in matrices_a],
        [_weighted(matrix, weights) for matrix in matrices_b],
        list({measure.name: measure for measure in (measure_named(comparison.primary), *REPLACED_MEASURES)}.values()),
        prompts,
        primary=comparison.primary,
        smallest_effect=smallest_effect,
    )
    replaced = {change.name: change for change in by_people.changes if change.difference is not None or change.reason}
    return replace(
        comparison,
        changes=tuple(replaced.get(change.name, change) for change in comparison.changes),
        human_labels=HumanLabelNote(
            measures=tuple(replaced),
            answers=agreement.answers,
            agree=agreement.agree,
            agreement=agreement.share,
            weighted=_unequal(weights),
            prompts=len(labelled),
            by_rule=tuple(change for change in comparison.changes if change.name in replaced),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Agreement:
    """How often the rule labels answers as the person does."""

    answers: int
    agree: int
    share: float
    """Of all answers that the labelled ones stand for."""
    low_95: float
    high_95: float


def _agreement(
    given: Sequence[HumanLabelledAnswers], weighed_as: EvaluationData | None, prompts: Mapping[str, Prompt]
) -> _Agreement:
    """Over the labelled answers of all policies.

    Args:
        given: the labels of each policy.
        weighed_as: by whose choice of prompts they are weighted; None counts all alike.
        prompts: all whose agreement is wanted, by id.
    """
    pairs = []
    for labels in given:
        ids = {row.prompt.id for row in labels.labelled}
        weights = None if weighed_as is None else _weights(weighed_as, prompts, ids)
        pairs += [
            (1.0 if weights is None else weights.get(row.prompt.id, 0.0), agrees)
            for row, agrees in zip(labels.labelled, labels.agrees, strict=True)
        ]
    stands_for, agree = np.array([weight for weight, _ in pairs]), np.array([agrees for _, agrees in pairs], dtype=bool)
    share = float(np.average(agree, weights=stands_for))
    low, high = wilson(share, len(pairs) * kish_share(stands_for))
    return _Agreement(answers=len(pairs), agree=int(agree.sum()), share=share, low_95=low, high_95=high)


def _design_of(evaluated: EvaluationData) -> LabelDesign | None:
    step = step_of(evaluated.folder)
    return None if step is None else read_label_design(RunLayout(evaluated.folder.parent.parent).label_design, step)


def _weights(
    evaluated: EvaluationData, prompts: Mapping[str, Prompt], labelled: Collection[str]
) -> dict[str, float] | None:
    """What each labelled prompt stands for; None where all count alike, empty where too few are labelled to say."""
    design = _design_of(evaluated)
    return None if design is None else label_weights(design, prompts, labelled) or {}


def _unequal(weights: Mapping[str, float] | None) -> bool:
    return weights is not None and len(set(weights.values())) > 1


def _weighted(matrix: LabelMatrix, weights: Mapping[str, float] | None) -> LabelMatrix:
    """The labels of the prompts that have a weight, with it."""
    if weights is None:
        return matrix
    kept = matrix.only(weights)
    return replace(kept, weights=tuple(weights[prompt_id] for prompt_id in kept.prompt_ids))


def _refused(judgement: Judgement) -> float:
    return float(judgement in ("partial", "refuse"))
