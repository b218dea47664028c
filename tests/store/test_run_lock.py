"""Which process holds a run: living, gone, of another program, or unknown."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from ppo_cli.errors import PpoError, UsageError
from ppo_cli.store.file_locks import is_locked
from ppo_cli.store.run_lock import RunLock
from ppo_cli.store.runs import (
    find_run,
)
from tests.store.test_runs import add_updates

GONE = {"status": "interrupted", "reason": "its process is gone"}


def test_a_run_whose_process_is_gone_shows_as_interrupted(claim, abandon):
    run = claim()
    abandon(run)
    shown = run.state()
    assert {"status": shown.status, "reason": shown.reason} == GONE
    run.reopen()
    assert run.state().status == "running"
    assert run.state().reason is None


@pytest.mark.process
def test_a_process_that_was_killed_holds_nothing(claim, tmp_path):
    run = claim()
    run.close("interrupted", exit_code=130)
    script = (
        f"import sys, time; from ppo_cli.store.runs import Run; from pathlib import Path; "
        f"r = Run(Path({str(run.layout.root)!r})); r.reopen(); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    assert run.state().status == "running"
    with pytest.raises(UsageError, match="is still running"):
        run.reopen()
    process.kill()
    process.communicate()
    shown = run.state()
    assert {"status": shown.status, "reason": shown.reason} == GONE


def test_two_readers_do_not_take_each_other_for_the_runs_process(claim):
    run = claim()
    run.close("interrupted", exit_code=130)
    with run.layout.run_lock.open() as first_reader:
        fcntl.flock(first_reader, fcntl.LOCK_SH)  # as `is_locked` does for a moment
        assert not is_locked(run.layout.run_lock)


def test_a_reader_without_the_right_to_write_sees_that_a_run_is_running(claim):
    run = claim()
    run.layout.run_lock.chmod(0o444)
    run.layout.root.chmod(0o555)
    assert is_locked(run.layout.run_lock)
    assert run.state().status == "running"
    run.layout.root.chmod(0o755)


@pytest.mark.process
def test_a_lock_is_not_inherited_by_a_program_that_the_process_starts(claim):
    run = claim()
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    run.close("interrupted", exit_code=130)
    run.reopen()
    child.kill()
    child.communicate()


@pytest.mark.parametrize("writes", range(6))
def test_a_folder_that_a_full_disk_left_without_its_state_is_taken_over(claim, monkeypatch, writes):
    fsync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(PpoError, match="No space is left"):
            claim()
    run = claim()
    assert run.name == "x-s1"
    run.verify()
    run.close("interrupted", exit_code=130)


def test_a_folder_without_its_state_is_left_to_the_process_that_makes_it(claim, tmp_path):
    folder = tmp_path / "runs" / "x-s1"
    folder.mkdir(parents=True)
    lock = RunLock(folder / ".running")
    with pytest.raises(UsageError, match="Another process is making"):
        claim()
    assert claim(repeat=True).name == "x-s1-2"
    lock.release()
    assert claim().name == "x-s1"


def test_a_run_that_lost_its_state_is_not_taken_over(claim):
    run = claim()
    add_updates(run, 1)
    run.close("interrupted", exit_code=130)
    run.layout.state.unlink()
    with pytest.raises(UsageError, match="exists already, and is not a run"):
        claim()
    with pytest.raises(UsageError, match=r"it has no run\.json"):
        find_run(run.layout.root)


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EIO])
def test_a_file_system_without_locks_is_refused_and_nothing_is_left_in_the_way(claim, monkeypatch, tmp_path, number):
    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as without_locks:
        without_locks.setattr(fcntl, "flock", unsupported)
        with pytest.raises(UsageError) as caught:
            claim()
    folder = tmp_path / "runs" / "x-s1"
    assert caught.value.message.startswith(f"{folder} cannot be locked against a second process: ")
    assert caught.value.message.count(".") == str(folder).count(".") + 1
    assert "Choose a folder on a local disk with --runs-dir DIR" in caught.value.next_step
    assert claim().layout.root == folder


def test_a_gone_process_does_not_change_how_a_run_ended(claim):
    run = claim()
    run.close("finished", exit_code=0)
    assert run.state().status == "finished"
