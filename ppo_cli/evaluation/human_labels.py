"""Human labels of a run's answers: refusal rates from them in place of the rule's, and their agreement with the rule.

Human labels have no error of a rule, and wider intervals, for there are fewer of them. Alarms and `--fail-if` use the
rule.

Never imports torch. Not here: choosing answers to label and recording labels (`label`), the file (`store.labels`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ppo_cli.behaviours.measures import HEADLINES, measure_named
from ppo_cli.evaluation.evaluation_data import EvaluationData
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison, HumanLabelNote
from ppo_cli.records.measures import HumanLabels, LabelledAnswer
from ppo_cli.stats.comparison import compare, compare_groups
from ppo_cli.stats.label_matrix import LabelMatrix, label_matrix
from ppo_cli.stats.score_intervals import wilson
from ppo_cli.store.labels import Judgement, read_labels
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
    agree: int
    """Answers that the rule labels as the person does."""
    clusters: Mapping[str, str] | None = None
    """The cluster of each prompt, by its id; None takes each prompt alone."""

    @cached_property
    def matrix(self) -> LabelMatrix:
        """The same labels as an array."""
        matrix = label_matrix(self.labelled)
        if self.clusters is None:
            return matrix
        return replace(matrix, clusters=tuple(self.clusters[prompt_id] for prompt_id in matrix.prompt_ids))


def read_human_labels(evaluated: EvaluationData) -> HumanLabelledAnswers | None:
    """The human labels of an evaluation's answers, skipped answers left out; None where there are none.

    Raises:
        IntegrityError: labels.jsonl is damaged.
    """
    path, step = RunLayout(evaluated.folder.parent.parent).labels, step_of(evaluated.folder)
    if step is None or not path.is_file():
        return None
    by_key = {(step, row.prompt.id, row.sample.index): row for row in evaluated.labelled}
    labels = read_labels(path, {key: row.sample.answer.text for key, row in by_key.items()})
    given = {key: judgement for key, judgement in sorted(labels.items()) if judgement != "skip"}
    if not given:
        return None
    ids, clusters = evaluated.matrix.prompt_ids, evaluated.matrix.clusters
    return HumanLabelledAnswers(
        labelled=tuple(
            replace(by_key[key], labels={"refused": _refused(judgement)}) for key, judgement in given.items()
        ),
        agree=sum(by_key[key].labels["refused"] == _refused(judgement) for key, judgement in given.items()),
        clusters=None if clusters is None else dict(zip(ids, clusters, strict=True)),
    )


def summarise_human_labels(evaluated: EvaluationData, baseline: EvaluationData | None) -> HumanLabels | None:
    """The human labels of an evaluation compared with those of step 0; None where it has none.

    Args:
        evaluated: a later evaluation of a run.
        baseline: the evaluation of step 0 of the same run.
    """
    now = read_human_labels(evaluated)
    if now is None or baseline is None:
        return None
    start = read_human_labels(baseline) or HumanLabelledAnswers(labelled=(), agree=0)
    answers, agree = len(start.labelled) + len(now.labelled), start.agree + now.agree
    low, high = wilson(agree / answers, answers)
    step = step_of(evaluated.folder) or 0
    comparison = compare(
        ("step 0", f"step {step}"),
        start.matrix,
        now.matrix,
        [measure_named(name) for name in SUMMARISED],
        {**baseline.prompts, **evaluated.prompts},
        primary=SUMMARISED[0],
        smallest_effect=measure_named(SUMMARISED[0]).equivalence_margin,
    )
    return HumanLabels(
        step=step,
        answers=answers,
        agree=agree,
        agreement=agree / answers,
        low_95=low,
        high_95=high,
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
    arms = [[read_human_labels(evaluated) for evaluated in arm] for arm in (before, after)]
    given = [labels for arm in arms for labels in arm if labels is not None]
    if len(given) < len(before) + len(after):
        return comparison
    matrices_a, matrices_b = ([labels.matrix.only(prompts) for labels in arm if labels] for arm in arms)
    labelled = set.intersection(*(set(matrix.prompt_ids) for matrix in (*matrices_a, *matrices_b)))
    if len(labelled) < MIN_PROMPTS:
        return comparison
    by_people = compare_groups(
        (comparison.before, comparison.after),
        matrices_a,
        matrices_b,
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
            answers=sum(len(labels.labelled) for labels in given),
            agree=sum(labels.agree for labels in given),
            prompts=len(labelled),
            by_rule=tuple(change for change in comparison.changes if change.name in replaced),
        ),
    )


def _refused(judgement: Judgement) -> float:
    return float(judgement in ("partial", "refuse"))
