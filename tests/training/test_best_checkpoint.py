"""The best checkpoint at the interim evaluations: which one it is, that it stays, and that it is found by its name."""

import json
import shutil
from pathlib import Path

import pytest

from ppo_cli.records.training import BestCheckpoint
from ppo_cli.training.best_checkpoint import best_of
from tests.terminal import only_run, refused, succeed

OVERRIDES = ["evaluation.primary=ending.eos", "evaluation.samples_per_prompt=4", "evaluation.every=1"]
OVERRIDES += ["checkpoints.keep=1", "ppo.updates=6"]


@pytest.mark.parametrize(
    ("values", "primary", "expected"),
    [
        ({5: 0.2, 10: 0.9, 15: 0.4}, "refusal.separation", BestCheckpoint(step=10, value=0.9, last=0.4, prompts=8)),
        (
            {5: 0.2, 10: 0.9, 15: 0.4},
            "refusal.safe",
            BestCheckpoint(step=5, value=0.2, last=0.4, prompts=8),
        ),  # lower is better
        (
            {15: 0.9, 5: 0.9, 10: 0.1},
            "refusal.separation",
            BestCheckpoint(step=5, value=0.9, last=0.9, prompts=8),
        ),  # a tie
        ({5: None, 10: -0.5}, "refusal.separation", BestCheckpoint(step=10, value=-0.5, last=-0.5, prompts=8)),
        ({5: 0.3, 10: None}, "refusal.separation", BestCheckpoint(step=5, value=0.3, last=None, prompts=8)),
        ({5: None}, "refusal.separation", None),
        ({}, "refusal.separation", None),
        ({5: 10.0, 10: 20.0}, "length.tokens", None),  # neither way is better
    ],
)
def test_the_best_is_the_earliest_of_the_best_values_in_the_better_direction(values, primary, expected):
    assert best_of(values, primary, 8) == expected


def ended_by_step(run):
    """The share of answers that ended, over the interim prompts, at each evaluation: counted here by hand."""
    asked = {row["prompt_id"] for row in samples(run, 1)}
    return {
        step: sum(row["finish"] == "eos" for row in rows) / len(rows)
        for step in range(1, 7)
        if (rows := [row for row in samples(run, step) if row["prompt_id"] in asked])
    }


def samples(run, step):
    lines = (run / "eval" / f"step-{step:06d}" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def steps_kept(run):
    return sorted(int(folder.name.removeprefix("step-")) for folder in (run / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def run_with_a_best(trained):
    """A run whose best evaluation is neither the first nor the last."""
    for seed in range(1, 9):
        run = trained(*OVERRIDES, f"seed={seed}")
        values = ended_by_step(run)
        if values[6] < max(values.values()) > values[1]:
            return run
    raise AssertionError("no seed gives one")


def test_the_best_stays_besides_the_last_and_is_on_record(run_with_a_best):
    values = ended_by_step(run_with_a_best)
    best = max(values, key=lambda step: (values[step], -step))
    assert json.loads((run_with_a_best / "run.json").read_text())["best_step"] == best
    assert steps_kept(run_with_a_best) == [best, 6]


def test_best_and_last_stand_for_a_checkpoint_of_the_run(run_with_a_best, tmp_path):
    run = Path(shutil.copytree(run_with_a_best, tmp_path / "runs" / run_with_a_best.name))
    best = json.loads((run / "run.json").read_text())["best_step"]
    for name, step in ((run / "best", best), (f"{run.name}/best", best), (run / "checkpoints" / "last", 6)):
        result = succeed("eval", "--checkpoint", name, "--json").json
        assert result["name"] == f"{run.name}/step-{step:06d}"
        assert result["chosen_on"] == (8 if step == best else None)
    warning = "chosen as the best at the interim evaluations, on 8 of these 16 prompts"
    assert warning in " ".join(succeed("eval", "--checkpoint", run / "best", "--rescore").out.split())
    assert "chosen as the best" not in succeed("eval", "--checkpoint", run / "last", "--rescore").out
    whole = json.loads((run / "eval" / f"step-{best:06d}" / "summary.json").read_text())
    assert (whole["partial"], whole["prompt_count"]) == (False, 16)


def test_the_lists_of_runs_names_it_where_it_is_not_the_last(run_with_a_best, trained):
    best = json.loads((run_with_a_best / "run.json").read_text())["best_step"]
    sentence = f"best at the interim evaluations was step {best}"
    assert sentence in succeed("runs", "--runs-dir", run_with_a_best.parent).out
    assert "best at" not in succeed("runs", "--runs-dir", trained("evaluation.every=0").parent).out


def test_a_run_whose_measure_has_no_better_direction_has_no_best(trained):
    run = trained("evaluation.primary=length.tokens", "checkpoints.keep=1")
    assert steps_kept(run) == [4]
    assert json.loads((run / "run.json").read_text())["best_step"] is None
    said = refused("eval", "--checkpoint", run / "best")
    assert said.startswith(f"{run.name} has no best checkpoint. → ")


def test_each_interim_evaluation_has_a_checkpoint(shared_config, tmp_path):
    """Also where checkpoints.every asks for fewer."""
    succeed("train", shared_config, "checkpoints.every=4", "checkpoints.keep=9", "evaluation.every=1")
    assert steps_kept(only_run()) == [1, 2, 3, 4]
