"""A disk that is full, read-only or shared with another process, while a command runs: one sentence, and no loss."""

import errno
import json
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from ppo_cli.engine import checkpoints
from tests.terminal import fingerprint, only_run, records, refused, succeed
from tests.workflows.test_bad_input import assert_matches, nothing_is_left_behind  # noqa: F401 - an autouse fixture


def test_an_output_folder_that_cannot_be_made_is_refused(tiny_config, tmp_path):
    (tmp_path / "file").write_text("precious")
    for output in ("file/runs", "file"):
        assert_matches(refused("train", tiny_config, f"output={output}"), r"file.* → Choose another folder")
    assert (tmp_path / "file").read_text() == "precious"


def test_an_output_folder_that_may_not_be_written_is_refused(tiny_config, monkeypatch):
    allowed = Path.mkdir

    def forbidden(path, *words, **settings):
        if path.name.startswith("tiny-kl"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return allowed(path, *words, **settings)

    monkeypatch.setattr(Path, "mkdir", forbidden)
    assert_matches(refused("train", tiny_config), r"tiny-kl.* → Choose another folder with --runs-dir DIR")


@pytest.fixture
def resumable():
    """The test makes a run that stays."""


def test_a_run_that_exists_is_refused_and_left_as_it_is(trained, tiny_model, shared_config):
    run = trained()
    before = fingerprint(run)
    message = refused("train", shared_config, "--runs-dir", run.parent)
    assert_matches(message, rf"This experiment already has a run: {run} \(finished\)\. → .*--repeat")
    assert fingerprint(run) == before
    assert list(run.parent.iterdir()) == [run]


def full_disk(*words, **settings):
    raise OSError(errno.ENOSPC, "No space left on device")


def full_disk_as_safetensors_tells_it(*words, **settings):
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("fails", [full_disk, full_disk_as_safetensors_tells_it])
def test_no_space_for_a_checkpoint_keeps_the_last_one_whole_and_names_it(
    tiny_config, trained, monkeypatch, resumable, fails
):
    written, save_file = [], checkpoints.save_file

    def second_time_full(tensors, path):
        written.append(path)
        (fails if len(written) == 2 else save_file)(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", second_time_full)
    message = refused("train", tiny_config, code=1)
    run = only_run()
    last = run / "checkpoints" / "step-000002"
    assert_matches(message, rf"No space is left on the disk of {run}; the last intact checkpoint is {last}\.")
    assert_matches(message, rf" → Free some space, then continue with: ppo train --resume {run}$")
    checkpoints.verify_checkpoint(last)
    state = json.loads((run / "run.json").read_text())
    assert (state["status"], state["exit_code"]) == ("failed", 1)

    succeed("train", "--resume", run)
    assert records(run) == records(trained())


def append_fails_late(monkeypatch, fails):
    real, appended = Path.open, []

    def late(path, mode="r", *words, **named):
        if "a" in mode:
            appended.append(path)
            if len(appended) > 8:
                fails()
        return real(path, mode, *words, **named)

    monkeypatch.setattr(Path, "open", late)


def every_write_fails_late(monkeypatch, fails):
    """From the third update's records on, the write of run.json too."""
    real, late = os.fsync, []

    def fsync(file):
        if late or list(Path("runs").glob("*/checkpoints/step-000002")):
            late.append(file)
        return fails() if len(late) > 20 else real(file)

    monkeypatch.setattr(os, "fsync", fsync)


def forbidden(*words, **settings):
    raise PermissionError(errno.EACCES, "Permission denied")


def forbidden_as_safetensors_tells_it(*words, **settings):
    raise SafetensorError('Error while serializing: I/O error: Permission denied (os error 13) at path "x"')


def read_only(*words, **settings):
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("fails_late", [append_fails_late, every_write_fails_late])
@pytest.mark.parametrize(
    ("fails", "code", "sentence", "remedy"),
    [
        (full_disk, 1, "No space is left on the disk of {run}", "Free some space"),
        (forbidden, 2, r"No permission to write {run}/\S+", "Change the permission"),
        (read_only, 2, r"No permission to write {run}/\S+", "Change the permission"),
    ],
)
def test_what_cannot_be_recorded_ends_the_run_with_its_last_checkpoint_named_and_whole(
    tiny_config, trained, monkeypatch, resumable, fails_late, fails, code, sentence, remedy
):
    with monkeypatch.context() as patch:
        fails_late(patch, fails)
        message = refused("train", tiny_config, code=code)
    run = only_run()
    last = run / "checkpoints" / "step-000002"
    assert_matches(message, rf"{sentence.format(run=run)}; the last intact checkpoint is {last}\. → ")
    assert_matches(message, rf" → {remedy}, then continue with: ppo train --resume {run}$")
    checkpoints.verify_checkpoint(last)
    succeed("train", "--resume", run)
    assert records(run) == records(trained())


@pytest.mark.parametrize("fails", [forbidden, forbidden_as_safetensors_tells_it, read_only])
def test_no_permission_for_a_checkpoint_keeps_the_last_one_whole_and_names_it(
    tiny_config, trained, monkeypatch, resumable, fails
):
    written, save_file = [], checkpoints.save_file

    def second_time_forbidden(tensors, path):
        written.append(path)
        (fails if len(written) == 2 else save_file)(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", second_time_forbidden)
    message = refused("train", tiny_config)
    run = only_run()
    last = run / "checkpoints" / "step-000002"
    refusal = rf"No permission to write {run}/checkpoints/step-000004; the last intact checkpoint is {last}\."
    assert_matches(message, rf"{refusal} → Change the permission, then continue with: ppo train --resume {run}$")
    assert list(last.parent.iterdir()) == [last]
    checkpoints.verify_checkpoint(last)
    succeed("train", "--resume", run)
    assert records(run) == records(trained())


def test_no_permission_before_anything_was_begun_leaves_what_can_be_resumed(
    tiny_config, trained, monkeypatch, resumable
):
    replace = Path.replace

    def not_provenance(path, target):
        return forbidden() if target.name == "provenance.json" else replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", not_provenance)
        message = refused("train", tiny_config)
    run = only_run()
    assert_matches(
        message, rf"there is no checkpoint yet\. → Change the permission, then continue with: ppo train --resume {run}$"
    )
    succeed("train", "--resume", run)
    assert records(run) == records(trained())
