"""A script that kills `ppo train` again and again, going on with `--resume`, until the run gets to its end.

    python killing.py CONFIG SEED RUNS [KEY=VALUE...]

It writes `whole/`, a run that nobody kills, and `killed-0/`, `killed-1/`, …, each of which died by SIGKILL up to
MOST times: at any moment of its time, or at any step of writing or removing a checkpoint. Writes how often
to stdout.

The libraries are imported once; each process is a fork, made before torch has computed anything.
"""

import json
import mmap
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import safetensors.torch

from ppo_cli.cli import app
from ppo_cli.engine import checkpoints

MOST = 6
"""Kills of one run, after which it is left alone."""
DISK = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.rmtree")
"""Audit events of what may change a disk."""


def in_a_process(words, log, prepare=lambda: None, patience=None):
    """Types a command in a fork, killed after so many seconds; gives how it ended."""
    child = os.fork()
    if child == 0:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        prepare()
        try:
            app([str(word) for word in words])
        except SystemExit as end:
            os._exit(end.code or 0)
        os._exit(99)
    if patience is not None:
        time.sleep(patience)
        os.kill(child, signal.SIGKILL)  # it is there until it is waited for
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def at_checkpoint_steps(act):
    """Calls `act` with the number of each step by which checkpoints change the disk, and the file in hand, if any."""
    steps, inside = 0, False

    def step(file=None):
        nonlocal steps
        if inside:
            steps += 1
            act(steps, file)

    def entering(function):
        def wrapped(*words, **named):
            nonlocal inside
            inside = True
            try:
                return function(*words, **named)
            finally:
                inside = False

        return wrapped

    def then_step(function, file_at=None):
        def wrapped(*words, **named):
            result = function(*words, **named)
            step(None if file_at is None else words[file_at])
            return result

        return wrapped

    checkpoints.save_checkpoint = entering(checkpoints.save_checkpoint)
    checkpoints.prune_checkpoints = entering(checkpoints.prune_checkpoints)
    os.fsync = then_step(os.fsync)
    safetensors.torch.serialize_file = then_step(safetensors.torch.serialize_file, file_at=1)
    sys.addaudithook(lambda event, _: step() if event in DISK else None)


def dying_at(moment, share):
    """Dies at that step; if it is in the middle of writing weights, only a share of them is there."""

    def act(number, file):
        if number == moment:
            if file is not None:
                os.truncate(file, int(share * Path(file).stat().st_size))
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda: at_checkpoint_steps(act)


def counting(total):
    """Leaves the number of steps in memory that is shared with the parent."""

    def act(number, _file):
        total[:4] = number.to_bytes(4, "little")

    return lambda: at_checkpoint_steps(act)


def is_finished(state):
    """Whether a run came to its end; the process may have been killed on its way out."""
    return state is not None and json.loads(state.read_text())["status"] == "finished"


def main():
    config, seed, runs, *overrides = sys.argv[1:]
    luck = random.Random(int(seed))
    train = ["train", config, *overrides, "--runs-dir"]
    began = time.monotonic()
    assert in_a_process([*train, "whole"], "whole.log") == 0, Path("whole.log").read_text()
    duration = time.monotonic() - began
    total = mmap.mmap(-1, 4)
    assert in_a_process([*train, "counted"], "whole.log", counting(total)) == 0, Path("whole.log").read_text()
    steps = int.from_bytes(total[:4], "little")

    kills = {"any moment": 0, "a checkpoint": 0}
    for number in range(int(runs)):
        output, log = Path(f"killed-{number}"), f"killed-{number}.log"
        killed = 0
        while not is_finished(found := next(output.glob("*/run.json"), None)):
            if found is None:
                shutil.rmtree(output, ignore_errors=True)  # killed before there was a run
            words = ["train", "--resume", found.parent] if found else [*train, output]
            if killed == MOST:
                ended = in_a_process(words, log)
            elif luck.random() < 0.5:
                ended = in_a_process(words, log, patience=luck.uniform(0, duration))
                kills["any moment"] += ended != 0
            else:
                moment = dying_at(luck.randint(1, steps), luck.random())
                ended = in_a_process(words, log, moment)
                kills["a checkpoint"] += ended != 0
            assert ended in (0, -signal.SIGKILL), Path(log).read_text()
            killed += ended != 0
    sys.stdout.write(json.dumps({"kills": kills, "steps": steps, "seconds": duration}))


if __name__ == "__main__":
    main()
