"""Runs that may be read and not written: each command that looks at one writes to another place and says where."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import fingerprint, process_environment
from tests.tiny_models import rows, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.process]

DROP_FROM_BOUNDING_SET, OVERRIDE_PERMISSIONS = 24, (1, 2)
"""Of prctl: with this, root is held to permissions as everybody is (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""


def held_to_permissions():
    """Runs in a new process before its program starts."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in OVERRIDE_PERMISSIONS:
            if libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) != 0:
                os._exit(77)


@pytest.fixture
def read_only_run(trained, tmp_path):
    """A finished run in a folder that may not be written, and a working folder of one's own beside it."""
    run = Path(shutil.copytree(trained(), tmp_path / "theirs" / "runs" / trained().name))
    for path in (run, *run.rglob("*"), run.parent):
        path.chmod(path.stat().st_mode & ~0o222)
    (tmp_path / "mine").mkdir()
    yield run
    for path in (run.parent, run, *run.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def ppo(*words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "ppo_cli", *map(str, words)],
        check=False,
        cwd=cwd,
        env=process_environment(),
        capture_output=True,
        text=True,
        preexec_fn=held_to_permissions,
    )
    if done.returncode == 77:
        pytest.skip("this process may not give up root's rights")
    return done


@pytest.mark.long
def test_an_evaluation_goes_to_a_spare_folder_and_is_found_there_again(read_only_run, tmp_path):
    mine, before = tmp_path / "mine", fingerprint(read_only_run)
    write_rows(mine / "other.jsonl", rows("other", 6, start=200))
    words = ("eval", "--checkpoint", f"{read_only_run}/last", "--prompts", "other.jsonl")
    first = ppo(*words, cwd=mine)
    assert first.returncode == 0, first.stderr
    spare = sorted(path for path in (mine / "runs" / "evaluations").iterdir() if not path.name.startswith("."))
    assert [path.name.rpartition("--")[0] for path in spare] == [
        f"{read_only_run.name}-step-000000",
        f"{read_only_run.name}-step-000004",
    ]
    said = " ".join((first.stdout + first.stderr).split())
    for folder in spare:
        place = folder.relative_to(mine)
        assert f"{read_only_run.name} may not be written, so its evaluation goes to {place}." in said
        assert len((folder / "samples.jsonl").read_text().splitlines()) == 12
    written = fingerprint(mine / "runs")
    again = ppo(*words, "--json", cwd=mine)
    assert again.returncode == 0, again.stderr
    assert Path(json.loads(again.stdout)["folder"]).name == spare[1].name
    assert fingerprint(mine / "runs") == written
    assert fingerprint(read_only_run) == before


def test_its_page_goes_to_the_current_folder_and_new_scores_are_shown(read_only_run, tmp_path):
    mine, before = tmp_path / "mine", fingerprint(read_only_run)
    report = ppo("report", read_only_run, cwd=mine)
    assert report.returncode == 0, report.stderr
    assert (mine / f"{read_only_run.name}-report.html").is_file()
    scored = ppo("eval", read_only_run, "--rescore", cwd=mine)
    assert scored.returncode == 0, scored.stderr
    assert fingerprint(read_only_run) == before
