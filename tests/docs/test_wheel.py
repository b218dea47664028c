"""The wheel: it holds the recipes and what they need, nothing of this machine, and runs without a checkout."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by hatchling without a network; skipped where the build backend is not installed."""
    build = pytest.importorskip("hatchling.build")
    folder = tmp_path_factory.mktemp("dist")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return folder / build.build_wheel(str(folder))
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_the_program_and_the_recipes_with_their_prompts(unpacked):
    held = files_below(unpacked / "ppo_cli")
    sources = {path.relative_to(ROOT / "ppo_cli").as_posix() for path in (ROOT / "ppo_cli").rglob("*.py")}
    assert sources <= held
    recipes = {f"configs/{path.relative_to(ROOT / 'configs').as_posix()}" for path in (ROOT / "configs").rglob("*.*l")}
    assert len(recipes) > 10
    assert recipes <= held
    assert {"reports/html/template.html", "alarms/rates.json", "py.typed"} <= held


def test_it_holds_nothing_else(unpacked, wheel):
    tops = {name.split("/")[0] for name in files_below(unpacked)}
    assert len(tops) == 2
    assert all(re.fullmatch(r"ppo_cli(-[\w.]+\.dist-info)?", top) for top in tops)
    assert not [name for name in files_below(unpacked) if "test" in Path(name).name.split("_") or name.endswith(".pyc")]
    assert wheel.stat().st_size < 2_000_000


def test_it_holds_no_path_of_this_machine(unpacked):
    machine = [str(ROOT), str(Path.home()), str(unpacked.parent)]
    for path in unpacked.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [place for place in machine if place != "/" and f"{place}/" in text], path


@pytest.mark.process
def test_it_runs_in_an_empty_folder_without_a_checkout(unpacked, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import ppo_cli; sys.argv[0] = 'ppo'; "
        "print(ppo_cli.__file__, file=sys.stderr); from ppo_cli.cli import main; main()"
    )

    def typed(*words):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-c", program, str(unpacked), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    made = typed("init", "refusal", "my-exp", "--no-fetch-model")
    assert made.returncode == 0, made.stderr
    assert str(unpacked) in made.stderr
    assert (tmp_path / "my-exp/prompts/train.jsonl").is_file()
    assert typed("demo", "kl.coeff=1").returncode == 2
