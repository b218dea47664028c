"""Run folders: creating, state, cutting records back, finding and listing."""

import errno
import hashlib
import os
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from ppo_cli.errors import CheckFailedError, IntegrityError, InterruptedRunError, PpoError, UsageError
from ppo_cli.evaluation.run_list import run_rows
from ppo_cli.experiment.load import load_frozen
from ppo_cli.records.answers import Answer
from ppo_cli.records.training import Episode
from ppo_cli.store import runs
from ppo_cli.store.files import read_json, read_lines, write_json
from ppo_cli.store.runs import (
    Run,
    find_run,
    list_runs,
    recording_failure,
    run_of,
)
from tests.reports.records import metrics
from tests.terminal import succeed

GONE = {"status": "interrupted", "reason": "its process is gone"}


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def episode(update, number):
    return Episode(
        update=update,
        episode=number,
        prompt_id="p",
        prompt="好?",
        answer=Answer(text="好", token_count=1, finish="eos"),
        baseline_answer=None,
        reward=0.0,
        terms={},
        baseline_terms={},
        kl=0.0,
    )


def add_updates(run, *updates):
    for update in updates:
        run.add_update(metrics(update), [episode(update, 2 * update - 1), episode(update, 2 * update)], 1.5)


def edit(path, text):
    path.chmod(0o644)
    path.write_text(text, encoding="utf-8")


def test_a_new_run_is_running_frozen_and_verifies(claim):
    run = claim(changed_keys={"kl.coef": "0.05"})
    state = run.state()
    assert (state.id, state.status, state.pid, state.host) == ("x-s1", "running", os.getpid(), socket.gethostname())
    assert state.changed_keys == {"kl.coef": "0.05"}
    experiment, lock = run.verify()
    assert experiment.goal == "g"
    assert set(lock.files) == {"config.yaml", "inputs/eval.jsonl"}
    pinned = [run.layout.lock, run.layout.config, run.layout.inputs / "eval.jsonl"]
    assert [path.stat().st_mode & 0o222 for path in pinned] == [0, 0, 0]


def test_a_run_parses_its_config_once(claim, monkeypatch):
    root = claim().layout.root
    parsed = []
    monkeypatch.setattr(runs, "load_frozen", lambda path: parsed.append(path) or load_frozen(path))
    run = Run(root)
    experiment, _ = run.verify()
    assert run.verify()[0] is run.experiment() is experiment
    assert find_run(run, root.parent) is run
    assert parsed == [run.layout.config]


def test_a_new_run_knows_its_config_as_it_will_be_read(claim):
    run = claim()
    assert run.experiment() == load_frozen(run.layout.config)
    assert run.experiment().prompts.eval == str(run.layout.prompt_file("prompts.eval"))


@pytest.mark.parametrize("name", ["config.yaml", "inputs/eval.jsonl"])
def test_a_pinned_file_that_was_changed_or_removed_is_noticed(claim, name):
    run = claim()
    path = run.layout.root / name
    edit(path, path.read_text(encoding="utf-8") + "\n")
    with pytest.raises(IntegrityError, match=rf"{name} .* was changed after freezing"):
        run.verify()
    path.unlink()
    with pytest.raises(IntegrityError, match=rf"{name} .* is missing after freezing"):
        run.verify()


@pytest.mark.parametrize("name", ["config.yaml", "inputs/eval.jsonl"])
def test_a_digest_of_a_file_that_was_edited_in_the_lock_is_noticed(claim, name):
    run = claim()
    path, lock = run.layout.root / name, run.layout.lock
    before, digest = path.read_text(encoding="utf-8"), run.lock().files[name]
    edit(path, f"{before}\n")
    edit(lock, lock.read_text(encoding="utf-8").replace(digest, _sha256(f"{before}\n")))
    with pytest.raises(IntegrityError, match=r"freeze\.lock was edited after freezing: its files"):
        Run(run.layout.root).verify()


def test_a_run_without_its_lock_is_not_trusted(claim):
    run = claim()
    run.layout.lock.unlink()
    with pytest.raises(IntegrityError, match=r"freeze\.lock is missing"):
        run.verify()


@pytest.mark.parametrize(
    ("status", "sentence", "next_step"),
    [
        ("finished", r"This experiment already has a run: .*x-s1 \(finished\)", "--repeat to repeat it beside x-s1"),
        ("stopped_early", r"This experiment already has a run: .*x-s1 \(stopped early\)", "--repeat"),
        ("running", "This experiment is running now", "Wait for it"),
        ("failed", r"has a run that did not end: .*x-s1 \(failed\)", "ppo train --resume"),
        ("interrupted", r"has a run that did not end: .*x-s1 \(interrupted\)", "ppo train --resume"),
    ],
)
def test_an_existing_run_is_refused_with_what_became_of_it(claim, status, sentence, next_step):
    run = claim()
    run.update_state(status=status)
    with pytest.raises(UsageError, match=sentence) as caught:
        claim()
    assert next_step in caught.value.next_step


def test_a_folder_that_is_no_run_is_refused_and_left_alone(claim, tmp_path):
    folder = tmp_path / "runs" / "x-s1"
    folder.mkdir(parents=True)
    (folder / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        claim()
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def test_again_takes_the_next_free_name_beside_it(claim):
    names = [claim(repeat=True).name for _ in range(3)]
    assert names == ["x-s1", "x-s1-2", "x-s1-3"]
    assert find_run("x-s1-3", claim(repeat=True).layout.root.parent).state().id == "x-s1-3"


@pytest.mark.parametrize("below", ["", "deeper/"])
def test_an_output_folder_that_is_a_file_is_one_sentence(claim, tmp_path, below):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        claim(f"{below}x-s1")


def test_a_run_that_may_not_be_made_is_one_sentence(claim, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UsageError, match="No permission to write"):
        claim()


def test_a_disk_that_fills_up_while_claiming_is_one_sentence(claim, monkeypatch):
    make = Path.mkdir

    def full(self, *words, **named):
        if self.name == "checkpoints":
            raise OSError(errno.ENOSPC, "No space left on device")
        make(self, *words, **named)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(PpoError, match="No space is left"):
        claim()


def test_reopening_removes_half_written_files_and_nothing_else(claim):
    run = claim()
    torn = run.layout.evaluations / ".ppo-partial-summary.json-k3_x9q2z"
    torn.write_text("{")
    before = {path for path in run.layout.root.rglob("*") if path != torn}
    run.close("interrupted", exit_code=130)
    run.reopen()
    assert set(run.layout.root.rglob("*")) == before


def test_reopening_leaves_files_of_the_user_alone(claim, tmp_path):
    run = claim()
    (tmp_path / ".ppo-partial-elsewhere").touch()
    (run.layout.root / "linked").symlink_to(tmp_path)
    mine = [run.layout.root / name for name in (".env.local", ".my.notes", "checkpoints/.keep.me")]
    for path in mine:
        path.write_text("mine")
    run.close("interrupted", exit_code=130)
    run.reopen()
    assert all(path.is_file() for path in [*mine, tmp_path / ".ppo-partial-elsewhere"])


@pytest.mark.parametrize("name", ["checkpoints", "eval", "reports", "metrics.jsonl", "alarms.json", "eval/step-000002"])
def test_a_run_is_not_written_through_a_link(claim, tmp_path, name):
    run = claim()
    run.close("interrupted", exit_code=130)
    path, elsewhere = run.layout.root / name, tmp_path / "elsewhere"
    elsewhere.mkdir()
    if path.is_dir():
        path.rmdir()
    path.symlink_to(elsewhere)
    with pytest.raises(UsageError, match=f"{name} is a link"):
        run.reopen()
    assert run.state().status == "interrupted"


def test_a_renamed_folder_is_shown_under_its_new_name(claim):
    run = claim()
    run.close("interrupted", exit_code=130)
    root = run.layout.root.rename(run.layout.root.with_name("bad run"))
    assert Run(root).state().id == "bad run"
    (row,) = run_rows(root.parent)
    assert find_run(row.state.id, root.parent).layout.root == root
    assert "'" in succeed("runs", "--runs-dir", root.parent).out.partition("--resume ")[2]


def test_a_run_is_found_by_the_beginning_of_its_name_and_as_the_latest(claim, tmp_path):
    first, second = claim("refusal-a"), claim("refusal-b")
    first.update_state(started="2030-01-01T00:00:00+00:00")
    runs_dir = tmp_path / "runs"
    assert find_run("refusal-b", runs_dir).name == find_run("refusal-b"[:9], runs_dir).name == second.name
    assert find_run("latest", runs_dir).name == first.name
    with pytest.raises(UsageError, match="2 runs begin with refus: refusal-b, refusal-a"):
        find_run("refus", runs_dir)
    for name in ("", "other", "refus/x", ".."):
        with pytest.raises(UsageError):
            find_run(name, runs_dir)
    with pytest.raises(UsageError, match="no such run"):
        find_run("refusal", runs_dir, exact=True)


@pytest.mark.parametrize("values", [{"status": "dreaming"}, {"id": None, "started": None}])
def test_a_damaged_state_is_an_integrity_error(claim, values):
    run = claim()
    row = {**read_json(run.layout.state), **values}
    write_json(run.layout.state, {name: value for name, value in row.items() if value is not None})
    with pytest.raises(IntegrityError, match=r"run\.json is damaged"):
        run.state()


def test_an_update_is_recorded_in_every_file(claim):
    run = claim()
    add_updates(run, 1, 2)
    assert run.metrics() == [asdict(metrics(1)), asdict(metrics(2))]
    assert [row["episode"] for row in read_lines(run.layout.rollouts)] == [1, 2, 3, 4]
    assert read_lines(run.layout.timings) == [{"update": 1, "seconds": 1.5}, {"update": 2, "seconds": 1.5}]
    assert run.state().updates_done == 2


def test_truncating_drops_what_came_after_the_checkpoint(claim):
    run = claim()
    add_updates(run, 1, 2, 3)
    with run.layout.rollouts.open("ab") as file:
        file.write('{"update": 4, "prompt": "好'.encode()[:-1])
    run.truncate_records(2, episodes_per_update=2)
    add_updates(run, 3)
    assert [row["update"] for row in run.metrics()] == [1, 2, 3]
    assert [row["episode"] for row in read_lines(run.layout.rollouts)] == [1, 2, 3, 4, 5, 6]
    assert [row["update"] for row in read_lines(run.layout.timings)] == [1, 2, 3]
    assert run.state().updates_done == 3


def test_truncating_to_the_start_leaves_nothing(claim):
    run = claim()
    run.truncate_records(0, episodes_per_update=2)
    add_updates(run, 1)
    run.truncate_records(0, episodes_per_update=2)
    assert (run.metrics(), read_lines(run.layout.rollouts), run.state().updates_done) == ([], [], 0)


def test_truncating_beyond_what_was_recorded_is_an_integrity_error(claim):
    run = claim()
    add_updates(run, 1)
    with pytest.raises(IntegrityError, match=r"rollouts\.jsonl has 2 of 4 lines"):
        run.truncate_records(2, episodes_per_update=2)


@pytest.mark.parametrize(
    ("error", "status", "code", "reason"),
    [
        (CheckFailedError("The reward broke."), "failed", 5, "The reward broke."),
        (InterruptedRunError("Stopped after 2."), "interrupted", 130, "Stopped after 2."),
        (KeyboardInterrupt(), "interrupted", 130, "stopped by the user"),
        (ZeroDivisionError("oh"), "failed", 1, "ZeroDivisionError: oh"),
    ],
)
def test_a_failure_is_recorded_on_the_way_out(claim, error, status, code, reason):
    run = claim()
    with pytest.raises(type(error)), recording_failure(run):
        raise error
    state = run.state()
    assert (state.status, state.exit_code, state.reason) == (status, code, reason)
    assert state.ended is not None


def test_listing_passes_over_junk_and_keeps_the_order_of_starting(claim, tmp_path):
    output = tmp_path / "runs"
    assert list_runs(output) == []
    for name, started in (("b", "2025-01-02"), ("a", "2025-01-03"), ("c", "2025-01-01")):
        claim(name).update_state(started=started)
    (output / "evaluations").mkdir()
    (output / ".x-partial").mkdir()
    (output / "notes.txt").write_text("")
    assert [run.name for run in list_runs(output)] == ["c", "b", "a"]


def test_one_damaged_run_does_not_hide_the_others(claim, tmp_path):
    claim("good")
    claim("torn").layout.state.write_text('{"id": "to')
    assert [run.name for run in list_runs(tmp_path / "runs")] == ["torn", "good"]


def test_a_run_is_found_by_path_and_by_name_even_beside_a_folder_of_that_name(claim, tmp_path):
    root = claim().layout.root
    (tmp_path / "x-s1").mkdir()
    assert find_run("x-s1", tmp_path / "runs").layout.root == root
    assert find_run(str(root), tmp_path / "elsewhere").layout.root == root
    with pytest.raises(UsageError, match="is not a run folder"):
        find_run("x-s1", tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="y: no such run"):
        find_run("y", tmp_path / "runs")


def test_the_run_of_a_checkpoint_is_found_from_inside_it(claim, tmp_path):
    run = claim()
    folder = run.layout.checkpoint(10)
    folder.mkdir()
    assert run_of(folder).layout.root == run.layout.root
    assert run_of(tmp_path) is None
    with pytest.raises(UsageError, match="no such run"):
        Run(tmp_path / "none")
