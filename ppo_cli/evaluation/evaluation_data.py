"""One finished evaluation in memory: its answers, their labels as a matrix, and estimates on request.

Never imports torch. Not here: generating answers (`evaluate`), the files of an evaluation (`store.evaluations`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.embedding_judge import with_second_label
from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import is_headline, measures_of
from ppo_cli.errors import IntegrityError
from ppo_cli.evaluation.capabilities import capability_changes, read_capabilities
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import CapabilityValue, Comparison
from ppo_cli.records.measures import Estimate, LabelledAnswer, Measure, Sample
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.setup.reward_resources import needs_no_resources
from ppo_cli.stats.comparison import compare
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import LabelMatrix, label_matrix
from ppo_cli.store.evaluations import read_samples, read_second_labels, read_summary, require_answers


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """One finished evaluation."""

    folder: Path
    name: str
    """What comparisons call it."""
    prompts: Mapping[str, Prompt]
    """The answered prompts by id."""
    labelled: Sequence[LabelledAnswer]
    matrix: LabelMatrix
    """The labels of the same answers."""
    partial: bool
    """Whether the prompts are a part of the evaluation set."""
    capabilities: Mapping[str, CapabilityValue] = field(default_factory=dict)
    """The policy's values in tasks of lm-evaluation-harness, by name."""
    _estimates: dict[str, Estimate] = field(default_factory=dict, repr=False, compare=False)

    def estimates(self, measures: Sequence[Measure]) -> tuple[Estimate, ...]:
        """These measures with their 95 % intervals, each computed the first time that somebody asks for it."""
        for measure in measures:
            if measure.name not in self._estimates:
                self._estimates[measure.name] = estimate(measure, self.matrix)
        return tuple(self._estimates[measure.name] for measure in measures)

    def only(self, prompt_ids: Collection[str]) -> EvaluationData:
        """The same evaluation on some of its prompts."""
        return replace(
            self,
            prompts={prompt_id: prompt for prompt_id, prompt in self.prompts.items() if prompt_id in prompt_ids},
            labelled=[row for row in self.labelled if row.prompt.id in prompt_ids],
            matrix=self.matrix.only(prompt_ids),
            partial=True,
            _estimates={},
        )


def label_evaluation(
    folder: Path,
    name: str,
    prompts: Sequence[Prompt],
    samples: Sequence[Sample],
    experiment: Experiment | None,
    *,
    partial: bool,
    second_labels: Mapping[tuple[str, int], float] | None = None,
) -> EvaluationData:
    """Labels the answers of an evaluation.

    Args:
        folder: of the evaluation.
        name: what comparisons call it.
        prompts: its set, or more.
        samples: the answers.
        experiment: whose reward scores the answers as one more label; None for none.
        partial: whether the answered prompts are a part of the evaluation set.
        second_labels: what the second judge said of the answers before; None asks it, where it is installed.
    """
    labelled = with_second_label(_label(prompts, samples, experiment), second_labels)
    answered = {sample.prompt_id for sample in samples}
    return EvaluationData(
        folder=folder,
        name=name,
        prompts={prompt.id: prompt for prompt in prompts if prompt.id in answered},
        labelled=labelled,
        matrix=label_matrix(labelled).clustered(
            experiment.evaluation.cluster if experiment else None, {prompt.id: prompt for prompt in prompts}
        ),
        partial=partial,
    )


def read_evaluation(
    folder: Path,
    prompts: Sequence[Prompt],
    name: str,
    experiment: Experiment | None,
    summary: Mapping[str, Any] | None = None,
) -> EvaluationData:
    """Reads an evaluation folder and labels its answers by the current rules.

    Args:
        folder: of the evaluation.
        prompts: its set, or more.
        name: what comparisons call it.
        experiment: whose reward scores the answers as one more label; None for none.
        summary: its summary.json, where that has been read already.

    Raises:
        IntegrityError: the evaluation is not complete, was changed, or answers other prompts.
    """
    summary = read_summary(folder) if summary is None else summary
    samples = read_samples(folder)
    known, answered = {prompt.id: prompt for prompt in prompts}, {sample.prompt_id for sample in samples}
    if not answered <= known.keys():
        raise IntegrityError(f"{folder} answers prompts that are not in its set.", "Evaluate again.")
    require_answers(summary, samples, {prompt_id: known[prompt_id] for prompt_id in answered}, folder)
    evaluated = label_evaluation(
        folder,
        name,
        prompts,
        samples,
        experiment,
        partial=bool(summary.get("partial")),
        second_labels=read_second_labels(folder, summary),
    )
    return replace(evaluated, capabilities=read_capabilities(summary))


def measures_shown(experiment: Experiment, *, partial: bool) -> list[Measure]:
    """All measures; of an interim evaluation the headlines only."""
    primary = experiment.evaluation.primary
    return [measure for measure in measures_of(experiment) if not partial or is_headline(measure, primary)]


def compare_with_baseline(
    baseline: EvaluationData,
    evaluated: EvaluationData,
    experiment: Experiment,
    measures: Sequence[Measure] | None = None,
) -> Comparison:
    """Compares an evaluation with that of step 0, on the prompts that both answered.

    Args:
        baseline: the evaluation of step 0.
        evaluated: a later evaluation.
        experiment: names the primary measure, the smallest effect that matters, and the reward terms.
        measures: what to compare; by default those of `measures_shown`.
    """
    comparison = compare(
        (baseline.name, evaluated.name),
        baseline.matrix,
        evaluated.matrix,
        measures_shown(experiment, partial=evaluated.partial) if measures is None else measures,
        {**baseline.prompts, **evaluated.prompts},
        primary=experiment.evaluation.primary,
        smallest_effect=experiment.evaluation.smallest_effect,
    )
    return replace(
        comparison,
        capabilities=capability_changes(experiment, [baseline.capabilities], [evaluated.capabilities]),
        rewarded_measures=measures_also_rewarded(experiment),
        smallest_effect=experiment.evaluation.smallest_effect,
    )


def _label(prompts: Sequence[Prompt], samples: Sequence[Sample], experiment: Experiment | None) -> list[LabelledAnswer]:
    """The labels of the rules and, where its experiment is known, the reward of each answer without its baseline.

    A reward that runs code, a model or a service is left out: an evaluation runs none of a config's.
    """
    rows = label_sample(prompts, samples)
    if experiment is None or not needs_no_resources(experiment.reward):
        return rows
    answers = [row.sample.answer for row in rows]
    scores = CompositeReward(experiment.reward)([row.prompt for row in rows], answers, [()] * len(rows))
    return [
        replace(row, labels={**row.labels, "reward": score.reward}) for row, score in zip(rows, scores, strict=True)
    ]
