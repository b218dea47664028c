"""How often a config's judges choose what a person did in `ppo label`.

Never imports torch. Not here: the labels' file (`store.labels`), the judge (`rewards.judge`), the rule's agreement
(`human_labels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppo_cli.behaviours.measures.own import CHOICE
from ppo_cli.evaluation.evaluation_data import EvaluationData
from ppo_cli.evaluation.human_labels import given_labels, summarise_human_labels
from ppo_cli.experiment.measure_types import own_name
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.term_types import Judge
from ppo_cli.records.measures import HumanLabels, JudgeAgreement
from ppo_cli.stats.score_intervals import wilson


def human_label_summary(
    experiment: Experiment, evaluated: EvaluationData, baseline: EvaluationData | None
) -> HumanLabels | None:
    """The human labels of an evaluation compared with those of step 0, the rule and the judges; None without labels.

    Args:
        experiment: names the judges.
        evaluated: a later evaluation of a run.
        baseline: the evaluation of step 0 of the same run.
    """
    labels = summarise_human_labels(evaluated, baseline)
    if labels is None or baseline is None:
        return labels
    return replace(labels, judges=judge_agreements(experiment, [evaluated, baseline]))


def judge_agreements(experiment: Experiment, evaluations: Sequence[EvaluationData]) -> tuple[JudgeAgreement, ...]:
    """The agreement of each judge whose choices stand for human labels, over the labelled answers of all evaluations.

    Args:
        experiment: whose measures these are.
        evaluations: of one run.
    """
    labelled = [pair for evaluated in evaluations for pair in given_labels(evaluated, of_base=True)]
    found = []
    for name, measure in experiment.evaluation.measures.items():
        if not isinstance(measure, Judge) or not measure.human_labels:
            continue
        choice = own_name(f"{name}.{CHOICE}")
        pairs = [
            (measure.human_labels[int(row.labels[choice])], judgement)
            for row, judgement in labelled
            if choice in row.labels
        ]
        if pairs:
            agree = sum(chosen == judgement for chosen, judgement in pairs)
            low, high = wilson(agree / len(pairs), len(pairs))
            found.append(
                JudgeAgreement(
                    name=own_name(name),
                    answers=len(pairs),
                    agree=agree,
                    agreement=agree / len(pairs),
                    low_95=low,
                    high_95=high,
                )
            )
    return tuple(found)
