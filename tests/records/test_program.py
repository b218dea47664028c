"""Suggested commands name the program as it was called, and work when they are typed as printed."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ppo_cli.records.program import command, first_commands, portable
from tests.terminal import process_environment

SCRIPT = Path(sys.executable).with_name("ppo")


def typed(line, cwd, **extra):
    """What a shell prints for a command line, both streams together."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env=process_environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.process
@pytest.mark.skipif(not SCRIPT.is_file(), reason="the package is not installed as a script")
@pytest.mark.parametrize(
    ("program", "path"),
    [
        ("ppo", str(SCRIPT.parent)),
        (str(SCRIPT), "/nowhere"),
        ("env/bin/ppo", "/nowhere"),
        ("'my env/bin/ppo'", "/nowhere"),
        (f"{sys.executable} -m ppo_cli", "/nowhere"),
    ],
)
def test_the_next_command_names_the_program_as_it_was_called(tmp_path, program, path):
    for name in ("env", "my env"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "ppo").symlink_to(SCRIPT)
    path = f"{path}{os.pathsep}{os.defpath}"
    shown = typed(f"{program} runs", tmp_path, PATH=path)
    commands = [f"{program} init refusal my-exp", f"{program} train my-exp/experiment.yaml"]
    assert [line[18:] for line in shown.splitlines()[1:]] == commands
    suggested = shown.splitlines()[1].removeprefix("start one").strip()
    assert "Wrote my-exp" in typed(f"{suggested} --no-fetch-model", tmp_path, PATH=path)


def test_a_path_that_leads_to_the_program_on_path_is_that_program(tmp_path, monkeypatch):
    script = tmp_path / "bin" / "ppo"
    script.parent.mkdir()
    script.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", str(script.parent))
    assert command("runs") == "ppo runs"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command("runs") == f"{script} runs"
    assert portable(command("runs", "--sort", "kl.coef")) == "ppo runs --sort kl.coef"
    assert portable("make demo") == "make demo"


@pytest.mark.parametrize("argv", [["/usr/bin/pytest"], ["-c"], [""], []])
def test_in_another_program_it_is_plain_ppo(monkeypatch, argv):
    monkeypatch.setattr(sys, "argv", argv)
    assert command("show", "a run; rm -rf x") == f"ppo show {shlex.quote('a run; rm -rf x')}"


def test_the_example_experiment_is_named_only_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert first_commands() == ["ppo init refusal my-exp", "ppo train my-exp/experiment.yaml"]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "refusal.yaml").touch()
    assert first_commands() == ["ppo train configs/refusal.yaml"]


HOSTILE = [
    "a b",
    "x; touch F #",
    "$(touch F)",
    "`touch F`",
    "a'b\nc\x1b]0;title\x07\\d",
    "\u202eabc\u2066",
    "\x9bm",
    "",
    "~x",
    "!h",
    "a\udc80b",
    "🙂",
]


@pytest.mark.process
def test_a_suggested_command_pastes_as_the_words_that_it_names():
    for word in HOSTILE:
        line = command("show", word)
        assert line.isprintable(), line
        pasted = subprocess.run(
            ["bash", "-c", f"printf '%s' {line.partition(' show ')[2]}"], capture_output=True, check=True
        )
        assert pasted.stdout == word.encode("utf-8", "surrogateescape")
    assert command("show", "\ud83d").isprintable()


def test_a_path_that_begins_as_an_option_does_is_no_option():
    assert command("show", Path("-rf")).endswith(" show ./-rf")
    assert command("train", "--resume", Path("runs/-rf")).endswith(" --resume runs/-rf")
