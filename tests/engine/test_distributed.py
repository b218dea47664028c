"""The launcher of several processes, and a single one; what two exchange is in `workflows/two_processes.py`."""

import atexit
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ppo_cli.engine.distributed import ProcessGroup, join_process_group
from ppo_cli.errors import CheckFailedError, InterruptedRunError, PeerLostError
from ppo_cli.records.events import ignore_events
from ppo_cli.training.interrupt import StopRequest, leave_signals_to_main_process


def launcher_of(function):
    """A process that launches two which run this function of this file."""
    code = f"import sys, {__name__} as here; from ppo_cli.engine.process_launcher import launch\n"
    code += f"if __name__ == '__main__': sys.exit(launch(2, 'cpu', here.{function.__name__}))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], start_new_session=True)


def work_until_asked_to_stop():
    atexit.register(fail_if_still_joined)  # what is registered first runs last
    process_group = join_process_group("cpu")
    if not process_group.is_main:
        leave_signals_to_main_process()
        process_group.gather([None])
        while process_group.receive() != ("stop",):
            pass
        return
    request = StopRequest(ignore_events, in_update=True)
    with request.listening():
        process_group.gather([None])
        Path(os.environ["READY"]).touch()
        while not request.requested:
            process_group.broadcast("go on")
            time.sleep(0.01)
        process_group.broadcast("stop")
    sys.exit(InterruptedRunError.exit_code)


def fail_if_still_joined():
    if torch.distributed.is_initialized():
        os._exit(7)


@pytest.mark.process
def test_signals_to_every_process_end_the_main_one_in_its_own_time(tmp_path, monkeypatch):
    """The launcher passes them on too, and no process is still in its group when Python ends."""
    monkeypatch.setenv("READY", str(tmp_path / "ready"))
    launcher = launcher_of(work_until_asked_to_stop)
    while not (tmp_path / "ready").exists():
        assert launcher.poll() is None
        time.sleep(0.02)
    os.killpg(launcher.pid, signal.SIGUSR1)
    os.killpg(launcher.pid, signal.SIGTERM)
    assert launcher.wait(timeout=300) == InterruptedRunError.exit_code


def test_a_single_process_exchanges_nothing():
    process_group = ProcessGroup()
    assert process_group.is_main
    assert process_group.shard([1, 2, 3]) == [1, 2, 3] == process_group.gather([1, 2, 3])
    rows = torch.randn(3, 2)
    assert process_group.gather_rows(rows) is rows
    process_group.all_reduce_([rows])
    process_group.broadcast("anything")
    with pytest.raises(CheckFailedError, match="broke"), process_group.raise_everywhere():
        raise CheckFailedError("it broke")


def vanish_or_wait():
    process_group = join_process_group("cpu")
    if not process_group.is_main:
        os._exit(3)
    try:
        process_group.gather([0])
    except PeerLostError as error:
        sys.exit(10 + error.exit_code)


@pytest.mark.process
def test_a_process_that_vanishes_is_noticed():
    assert launcher_of(vanish_or_wait).wait(timeout=300) == 11
