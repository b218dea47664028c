"""How often a judge of the config chooses what a person did."""

from dataclasses import replace

import pytest

from ppo_cli.evaluation.evaluation_data import label_evaluation
from ppo_cli.evaluation.judge_agreement import judge_agreements
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.score_intervals import wilson
from ppo_cli.store.labels import add_label
from tests import made_runs
from tests.answers import sample

JUDGE = {"type": "judge", "model": "some/model", "rubric": "Does it help?", "choices": ["no", "partly", "yes"]}
HUMAN = {"human_labels": ["refuse", "partial", "comply"]}


def test_agreement_counts_the_labelled_answers_whose_choice_stands_for_the_persons_label(tmp_path):
    experiment = made_runs.experiment(
        evaluation=Evaluation(measures={"helps": {**JUDGE, **HUMAN}, "silent": JUDGE, "ends_turn": {}})
    )
    prompts = [Prompt(id=str(index), text=f"Well, {index}?") for index in range(5)]
    choices, labels = [0.0, 1.0, 2.0, 2.0, 0.0], ["refuse", "partial", "refuse", "skip", None]
    samples = [
        replace(sample(prompt.id, 0, f"answer {prompt.id}"), own={"helps": 0.5, "helps.choice": choice})
        for prompt, choice in zip(prompts, choices, strict=True)
    ]
    evaluated = label_evaluation(
        tmp_path / "eval" / "step-000002", "step 2", prompts, samples, experiment, partial=False, second_labels={}
    )
    for one, label in zip(samples, labels, strict=True):
        if label is not None:
            add_label(tmp_path / "labels.jsonl", (2, one.prompt_id, 0), one.answer.text, label)
    (found,) = judge_agreements(experiment, [evaluated])
    assert (found.name, found.answers, found.agree) == ("own.helps", 3, 2)
    assert found.agreement == pytest.approx(2 / 3)
    assert (found.low_95, found.high_95) == wilson(2 / 3, 3)
