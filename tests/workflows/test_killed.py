"""Runs that were killed again and again, at moments drawn by chance, and came to the same end as one that was not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import fingerprint, only_run, process_environment, refused, succeed
from tests.workflows import killing

SEED = 20
RUNS = 6
SETTINGS = [
    "ppo.updates=6",
    "ppo.warmup_updates=3",
    "kl.target=0.5",  # the controller moves kl.coef in every update
    "kl.horizon=64",
    "checkpoints.every=1",
    "checkpoints.keep=1",
    "evaluation.primary=length.empty",  # an early checkpoint is the best, and has to stay
]
MAY_DIFFER = ("run.json", "provenance.json", "timings.jsonl", ".running")
"""Files of a run with times and process numbers."""


@pytest.fixture(scope="module")
def killed(shared_config, tmp_path_factory):
    """The folder that the script worked in, and what it says of itself."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-P", killing.__file__, str(shared_config), str(SEED), str(RUNS), *SETTINGS]
    done = subprocess.run(command, cwd=folder, env=process_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.process
def test_many_processes_were_killed_also_while_they_wrote_checkpoints(killed):
    kills = killed[1]["kills"]
    assert sum(kills.values()) >= 2 * RUNS
    assert min(kills.values()) >= RUNS // 2, kills


@pytest.mark.long
@pytest.mark.process
@pytest.mark.parametrize("number", range(RUNS))
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(killed, number):
    """Weights, critic, optimizer, schedule, KL controller, records, evaluations, and which checkpoints are there."""
    folder, _ = killed
    whole, run = only_run(folder / "whole"), only_run(folder / f"killed-{number}")
    expected, found = fingerprint(whole), fingerprint(run)
    for name in MAY_DIFFER:
        del expected[name], found[name]
    assert found == expected
    states = [json.loads((each / "run.json").read_text()) for each in (whole, run)]
    for state in states:
        assert (state["status"], state["updates_done"]) == ("finished", 6)
    assert states[0]["best_step"] == states[1]["best_step"]


@pytest.mark.long
@pytest.mark.process
def test_what_the_killed_runs_are_compared_with_is_all_there(killed):
    """So that equal bytes mean something."""
    run = only_run(killed[0] / "whole")
    best = json.loads((run / "run.json").read_text())["best_step"]
    assert best < 6
    names = set(fingerprint(run))
    for step in (best, 6):
        for name in ("model.safetensors", "state/training.safetensors", "state/training.json", "checkpoint.json"):
            assert f"checkpoints/step-{step:06d}/{name}" in names
    assert {"metrics.jsonl", "rollouts.jsonl", "eval/step-000002/samples.jsonl"} <= names
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len({row["kl_coef"] for row in rows}) == len({row["kl"] for row in rows}) == 6
    assert len({row["learning_rate"] for row in rows}) == 4


def test_a_run_killed_before_it_was_whole_does_not_stand_in_the_way(trained, shared_config, tmp_path):
    run = Path(shutil.copytree(trained(), tmp_path / "runs" / trained().name))
    (run / "run.json").unlink()  # it is written last of what makes a folder a run
    assert succeed("runs", "--json").json == []
    message = refused("train", shared_config)
    assert "exists already, and is not a run. → " in message
    assert "--repeat" in message
