"""The CUDA check at toy size on the CPU; stages that fail or take too long leave the results of the others."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.cuda_check.runner import Runner, Size, Stage

ROOT = Path(__file__).parents[2]
TOY = Size(device="cpu", toy=True)
HERE = f"{__name__}:"


def good(_size):
    yield {"first": 1}
    yield {"second": [2]}


def failing(_size):
    yield {"before": 1}
    raise ValueError("too many cooks")


def endless(_size):
    yield {"before": 1}
    time.sleep(600)


def killed(_size):
    yield {"before": 1}
    import os

    os.kill(os.getpid(), 9)


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.cuda_check.runner.PRELOADED", ())
    monkeypatch.setattr("benchmarks.cuda_check.runner.MIN_SECONDS", 0.0)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*stages, budget=1000.0):
        runner = Runner(TOY, tmp_path / "out.jsonl", method="fork")
        done = runner.run([Stage(name, f"{HERE}{name}", limit) for name, limit in stages], budget)
        return done, lines(tmp_path / "out.jsonl")

    return run


def test_a_stage_that_fails_or_takes_too_long_leaves_the_results_of_the_others(run, capfd):
    done, rows = run(("good", 500), ("failing", 500), ("endless", 3), ("killed", 500), ("good", 500))
    assert not done
    assert [row["status"] for row in rows] == ["done", "failed", "timed out", "failed", "done"]
    assert rows[0] == rows[4] | {"seconds": rows[0]["seconds"]}
    assert (rows[0]["first"], rows[0]["second"]) == (1, [2])
    assert [rows[index]["before"] for index in (1, 3)] == [1, 1]
    assert [row["error"] for row in rows[1:4]] == [
        "ValueError: too many cooks",
        "ran longer than its 3 s",
        "its process ended with code -9",
    ]
    assert [json.loads(line) for line in capfd.readouterr().out.splitlines()] == rows


def test_stages_for_which_no_time_is_left_are_not_begun(run):
    done, rows = run(("good", 500), ("good", 500), budget=-1)
    assert not done
    assert [row["status"] for row in rows] == ["not begun", "not begun"]


@pytest.mark.long
@pytest.mark.process
def test_every_stage_runs_at_toy_size(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "cuda_check"), "--toy", "--out", str(tmp_path / "out.jsonl")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = {row["stage"]: row for row in lines(tmp_path / "out.jsonl")}
    assert {name: row.get("error") for name, row in rows.items()} == dict.fromkeys(rows), result.stderr[-3000:]
    assert result.returncode == 0
    assert all(row["toy"] and row["device"] == "cpu" for row in rows.values())
    assert len(rows) == 11
    assert {row["equal_answers"] for row in rows["families"].values() if isinstance(row, dict)} == {"16 of 16"}
    assert rows["trainer"]["largest_difference"] == 0.0
    assert rows["repeat"]["second_process"]["equal"]
    assert rows["resume"]["same_bytes"]
    assert rows["memory"]["plain"]["estimate_gb"] > 0.5 > rows["memory"]["plain"]["without_program_gb"] > 0
    assert rows["lora-8b"]["answer_tokens"] > 0
    assert rows["trl"]["times_as_fast"] > 0
    assert rows["demo"]["exit_code"] == 0


def test_an_unknown_stage_is_refused():
    command = [sys.executable, str(ROOT / "benchmarks" / "cuda_check"), "--toy", "--stages", "machin"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "no such stage: machin" in result.stderr
