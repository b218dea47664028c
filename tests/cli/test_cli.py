"""The command line itself: quick without the heavy libraries, honest on a pipe, and readable by a program."""

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys

import pytest

import ppo_cli
from tests.terminal import outcome, ppo, process_environment, start, succeed

COMMANDS = (
    "demo",
    "init",
    "sft-check",
    "reward",
    "train",
    "eval",
    "label",
    "compare",
    "report",
    "runs",
    "show",
    "schema",
    "verify-engine",
    "chat",
    "export",
    "doctor",
)
ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[\d;]*3\d")
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")

LOOK = f"""
import sys
from ppo_cli.cli import main
sys.argv = ["ppo", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    code = end.code
loaded = [name for name in {HEAVY} if name in sys.modules]
print(f"LOADED {{loaded}} CODE {{code}}", file=sys.stderr)
"""
"""Types a command and says which of the heavy libraries it imported."""


def typed_lightly(words, cwd):
    """The exit code of a command that must not have imported anything heavy."""
    command = [sys.executable, "-c", LOOK, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=process_environment(), capture_output=True, text=True, check=False)
    found = re.search(r"LOADED (\[.*\]) CODE (\w+)", done.stderr)
    assert found, done.stderr
    assert found[1] == "[]", f"{words} imported {found[1]}"
    return int(found[2] if found[2] != "None" else 0)


@pytest.mark.process
def test_help_mistakes_runs_and_compare_answer_without_importing_torch(trained, tmp_path):
    a, b = trained(), trained("kl.coef=0.5")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: x\nkl: {ceof: 1}\n")
    light = {
        ("--help",): 0,
        ("train", "--help"): 0,
        ("--version",): 0,
        ("schema",): 0,
        ("train", broken): 2,
        ("train", "none.yaml", "kl.coef=1"): 2,
        ("demo", "kl.coeff=1"): 2,
        ("runs", "--runs-dir", a.parent): 0,
        ("compare", a, b): 0,
        ("compare", a, "none"): 2,
        ("init", "refusal", tmp_path / "exp", "--no-fetch-model"): 0,
    }
    for words, code in light.items():
        assert typed_lightly(words, tmp_path) == code, words


@pytest.mark.parametrize("words", [[], *([command] for command in COMMANDS)], ids=["", *COMMANDS])
def test_every_help_says_what_the_command_is_for(words):
    screen = succeed(*words, "--help")
    assert screen.out.startswith("Usage: ppo")
    assert "--help" in screen.out
    assert screen.err == ""
    for command in COMMANDS if not words else ():
        assert f"\n  {command} " in screen.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples_whose_options_exist(command):
    screen = succeed(command, "--help")
    text, examples = screen.out.split("Examples:\n")
    lines = [line for line in examples.splitlines() if line.strip()]
    assert lines
    for line in lines:
        program, name, *words = shlex.split(line)
        assert (program, name) == ("ppo", command)
        assert all(word in text for word in words if word.startswith("--")), line


@pytest.mark.process
def test_help_names_no_file_that_is_not_there(tmp_path):
    for words in (["--help"], ["train", "--help"]):
        shown = outcome(start(*words, cwd=tmp_path)).out
        assert "-m ppo_cli train my-exp/experiment.yaml" in " ".join(shown.split())
        assert "configs/" not in shown


def test_the_first_commands_that_are_suggested_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = succeed("runs").out.splitlines()
    assert shown == [
        "No runs in runs.",
        f"{'start one':<16}  ppo init refusal my-exp",
        f"{'then':<16}  ppo train my-exp/experiment.yaml",
    ]
    succeed("init", "refusal", "my-exp", "--no-fetch-model")
    assert (tmp_path / "my-exp" / "experiment.yaml").is_file()


def test_the_version_is_the_version_of_the_package():
    assert succeed("--version").out == f"ppo {ppo_cli.__version__}\n"


def test_no_words_at_all_show_the_help():
    screen = ppo()
    assert "Usage: ppo" in screen.out + screen.err


def test_json_stands_alone_on_stdout(trained, shared_config, tmp_path):
    a, b = trained(), trained("kl.coef=0.5")
    checkpoint = a / "checkpoints" / "step-000004"
    commands = {
        ("init", "refusal", tmp_path / "exp", "--no-fetch-model"): "config",
        ("train", shared_config): "checkpoint",
        ("train", shared_config, "--dry-run"): "cost",
        ("eval", "--checkpoint", checkpoint, "--config", shared_config): "estimates",
        ("compare", a, b): "comparison",
        ("runs", "--runs-dir", a.parent): "state",
        ("train", "none.yaml"): "next_step",
    }
    for words, key in commands.items():
        screen = ppo(*words, "--json")
        result = json.loads(screen.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert key in (result[0] if isinstance(result, list) else result), words
        assert "error: " not in screen.err


def test_progress_goes_to_stderr_when_stdout_carries_json(shared_config):
    screen = succeed("train", shared_config, "--json")
    assert "update 4/4" in screen.err
    assert "update 4/4" not in screen.out


@pytest.mark.process
def test_a_pipe_gets_plain_lines_without_escape_codes(shared_config, tmp_path):
    screen = outcome(start("train", shared_config, cwd=tmp_path, TERM="xterm-256color"))
    assert screen.code == 0
    assert ESCAPE not in screen.out + screen.err
    assert "\r" not in screen.out + screen.err
    lines = screen.out.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("update ")] == [
        f"update {n}/4" for n in range(1, 5)
    ]
    assert max(map(len, lines)) < 400
    assert screen.err == ""


def on_a_terminal(words, cwd, **extra):
    """What a command writes on a terminal of 120 columns."""
    here, there = pty.openpty()
    environment = process_environment(TERM="xterm-256color", COLUMNS="120", LINES="50", **extra)
    process = subprocess.Popen(
        [sys.executable, "-m", "ppo_cli", *map(str, words)], cwd=cwd, env=environment, stdout=there, stderr=there
    )
    os.close(there)
    written = b""
    while True:
        try:
            piece = os.read(here, 1 << 16)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(here)
    return process.wait(timeout=60), written.decode(errors="replace")


@pytest.mark.process
def test_no_color_keeps_colours_off_a_terminal(trained, tmp_path):
    words = ("compare", trained(), trained("kl.coef=0.5"))
    code, screen = on_a_terminal(words, tmp_path)
    assert code == 0
    assert COLOUR.search(screen)
    code, screen = on_a_terminal(words, tmp_path, NO_COLOR="1")
    assert code == 0
    assert not COLOUR.search(screen)
    code, screen = on_a_terminal(("train", "none.yaml"), tmp_path, NO_COLOR="1")
    assert code == 2
    assert not COLOUR.search(screen)


def test_ctrl_c_ends_every_command_with_130(trained, shared_config, tmp_path, monkeypatch):
    def ctrl_c(*words, **settings):
        raise KeyboardInterrupt

    run, other = shutil.copytree(trained(), tmp_path / "copies" / trained().name), trained("kl.coef=0.5")
    new_prompts = tmp_path / "prompts.jsonl"
    new_prompts.write_text('{"prompt": "Say something new."}\n')
    monkeypatch.setattr("ppo_cli.evaluation.compare.compare_groups", ctrl_c)
    monkeypatch.setattr("ppo_cli.evaluation.evaluate.sample_answers", ctrl_c)
    monkeypatch.setattr("ppo_cli.preflight.sft_check.read_inputs", ctrl_c)
    monkeypatch.setattr("ppo_cli.evaluation.run_list.list_runs", ctrl_c)
    for words in (
        ["compare", run, other],
        ["eval", "--checkpoint", run / "checkpoints" / "step-000004", "--prompts", new_prompts],
        ["sft-check", shared_config],
        ["runs"],
        ["train", shared_config],
    ):
        screen = ppo(*words)
        assert screen.code == 130, (words, screen)
        assert "nterrupted" in screen.err
        assert "Traceback" not in screen.err


@pytest.mark.process
def test_a_reader_that_goes_away_is_no_error_of_ours(trained, tmp_path):
    command = f"{sys.executable} -m ppo_cli runs --runs-dir {trained().parent} | true"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=process_environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
