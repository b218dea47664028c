"""Tasks of lm-evaluation-harness: a guard that is measured before and after, and no measure of answers."""

import json
from types import SimpleNamespace

import pytest

from ppo_cli.behaviours.measures import measures_of, require_primary
from ppo_cli.errors import ConfigError, UsageError
from ppo_cli.evaluation import capabilities
from ppo_cli.evaluation.capabilities import capability_changes, measured_capabilities, require_harness
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.records.comparisons import CapabilityValue
from ppo_cli.reports.capabilities import capability_lines
from tests import made_runs

TASK = """
task: letters
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{label}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def experiment(**changes):
    task = {"type": "lm_eval", "task": "letters", "better": "higher", "unit": "%", **changes}
    return made_runs.experiment(evaluation=Evaluation(measures={"other": task}))


def value(share, error=0.03):
    return {"own.other": CapabilityValue(value=share, standard_error=error, examples=100)}


def test_the_interval_is_that_of_two_independent_values():
    (change,) = capability_changes(experiment(), [value(0.6)], [value(0.4, 0.04)])
    assert (change.before, change.after) == (0.6, 0.4)
    assert change.low_95 == pytest.approx(-0.2 - 1.959964 * 0.05)
    assert change.high_95 == pytest.approx(-0.2 + 1.959964 * 0.05)
    (line,) = capability_lines(SimpleNamespace(capabilities=[change]))
    assert line == "other: 60.0 % → 40.0 %, −20.0 pp [−29.8, −10.2], WORSE (100 questions)"
    (same,) = capability_changes(experiment(), [value(0.6)], [value(0.59)])
    assert "no certain change" in capability_lines(SimpleNamespace(capabilities=[same]))[0]


def test_seeds_are_averaged_and_a_policy_without_a_value_leaves_the_task_out():
    (change,) = capability_changes(experiment(), [value(0.6), value(0.8)], [value(0.7), value(0.7)])
    assert (change.before, change.after) == (pytest.approx(0.7), 0.7)
    assert capability_changes(experiment(), [value(0.6), {}], [value(0.7), value(0.7)]) == ()


def test_it_is_no_measure_of_answers_and_no_run_is_judged_by_it():
    assert not [measure for measure in measures_of(experiment()) if measure.family == "own"]
    evaluation = experiment().evaluation.model_copy(update={"primary": "own.other"})
    with pytest.raises(ConfigError, match=r"own\.other is one value per evaluation"):
        require_primary(experiment().model_copy(update={"evaluation": evaluation}))


def test_without_the_harness_a_config_with_a_task_is_refused(monkeypatch):
    monkeypatch.setattr(capabilities.importlib.util, "find_spec", lambda name: None)
    require_harness(made_runs.experiment())
    with pytest.raises(UsageError, match=r"evaluation\.measures\.other: lm-evaluation-harness is not installed"):
        require_harness(experiment())


def test_a_task_of_ones_own_is_answered_by_the_policy(tmp_path):
    pytest.importorskip("lm_eval")
    from contextlib import nullcontext

    import torch

    from tests.tiny_models import tiny_lm, tiny_tokenizer

    choices = ["x", "yes"]
    rows = [{"question": f"and after {c}?", "choices": choices, "label": i % 2} for i, c in enumerate("abcdefgh")]
    (tmp_path / "letters.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "letters.yaml").write_text(TASK.format(file=tmp_path / "letters.jsonl"))
    model, tokenizer = tiny_lm(), tiny_tokenizer()
    models = SimpleNamespace(policy=lambda: nullcontext(model), tokenizer=SimpleNamespace(tokenizer=tokenizer))
    state = torch.get_rng_state()
    given = experiment(tasks_folder=str(tmp_path), batch_size=2)
    measured = measured_capabilities(given, models, lambda event: None)["own.other"]

    def logprob(question, choice):
        ids, start = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (question + choice, question))
        with torch.no_grad():
            logprobs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        return sum(float(logprobs[at - 1, ids[at]]) for at in range(len(start), len(ids)))

    shares = [[logprob(row["question"], f" {choice}") for choice in choices] for row in rows]
    right = [share.index(max(share)) == row["label"] for share, row in zip(shares, rows, strict=True)]
    assert measured["value"] == pytest.approx(sum(right) / len(right))
    assert measured["examples"] == 8
    assert measured["standard_error"] > 0
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ConfigError, match=r"there is no task 'numbers'"):
        measured_capabilities(experiment(tasks_folder=str(tmp_path), task="numbers"), models, lambda event: None)
    with pytest.raises(ConfigError, match=r"letters has no metric 'f1'\. It has acc"):
        measured_capabilities(experiment(tasks_folder=str(tmp_path), metric="f1"), models, lambda event: None)
