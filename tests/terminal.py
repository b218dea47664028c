"""A user at a terminal: types `ppo …` and reads the screen, the exit code and the disk."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from ppo_cli.cli import app

AS_MODULE = f"{sys.executable} -m ppo_cli"
"""How the program that `start` starts names itself in suggested commands."""


@dataclass(frozen=True)
class Screen:
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def ppo(*words):
    """Types a command in this process."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    screen = Screen(result.exit_code, result.stdout, result.stderr)
    assert result.exception is None or isinstance(result.exception, SystemExit), (result.exception, screen)
    return screen


def succeed(*words):
    """Types a command that has to work."""
    screen = ppo(*words)
    assert screen.code == 0, screen
    return screen


def refused(*words, code=2):
    """Types a command that has to be refused, and gives the sentence and the next step that the user reads."""
    screen = ppo(*words)
    assert screen.code == code, screen
    return error_of(screen)


def error_of(screen):
    """The sentence and the next step of an error, in the one form that all of them have."""
    assert "Traceback" not in screen.out + screen.err
    form = r"^error: (?P<sentence>[^\n].*?[.:?!)])\n(?P<list>(  - .*\n)*)  → (?P<next>.+)\n\Z"
    match = re.search(form, screen.err, re.MULTILINE)
    assert match, screen.err
    assert not re.search(r"[.?!:]{2}$", match["sentence"]), match["sentence"]
    listed = f"\n{match['list']}" if match["list"] else ""
    return f"{match['sentence']}{listed} → {match['next']}"


def process_environment(**extra):
    """As the tests' own, and one thread, so that numbers are those of this process."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **extra}


def answer_at_a_terminal(words, answers):
    """Types a command at a terminal, and each answer once it is asked for; gives the exit code and the screen."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ppo_cli", *map(str, words)]
    environment = process_environment(TERM="xterm", NO_COLOR="1", COLUMNS="120")
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True)
    os.close(theirs)
    seen, deadline = "", time.monotonic() + 60
    for answer in answers:
        asked = seen.count("> ")
        while seen.count("> ") == asked and time.monotonic() < deadline:
            seen += os.read(ours, 4096).decode(errors="replace")
        os.write(ours, f"{answer}\n".encode())
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part.decode(errors="replace")
    os.close(ours)
    return process.wait(30), seen


def start(*words, cwd, **extra):
    """Types a command in a process of its own and does not wait."""
    return subprocess.Popen(
        [sys.executable, "-m", "ppo_cli", *map(str, words)],
        cwd=cwd,
        env=process_environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process, timeout=120):
    """Waits for a process."""
    out, err = process.communicate(timeout=timeout)
    return Screen(process.returncode, out, err)


def fingerprint(folder):
    """Every file below a folder with a digest of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def records(run):
    """The bytes of a run that have to repeat: its records and its last weights."""
    last = max((run / "checkpoints").glob("step-*"))
    return {
        name: (run / name).read_bytes()
        for name in ("rollouts.jsonl", "metrics.jsonl", f"checkpoints/{last.name}/model.safetensors")
    }


def only_run(output="runs"):
    """The one run folder in an output folder."""
    (run,) = (path for path in Path(output).iterdir() if path.is_dir())
    return run
