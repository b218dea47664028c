"""Processes that train together: sharding, gathering, and errors of one that all raise."""

import atexit
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ppo_cli.engine.distributed import ProcessGroup, join_process_group
from ppo_cli.errors import CheckFailedError, PeerLostError, UsageError

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.mark.process
def test_two_processes_shard_exchange_and_raise_together():
    script = Path(__file__).with_name("distributed_script.py")
    here = Path(__file__).parents[2]
    done = subprocess.run([*TORCHRUN, str(script)], capture_output=True, text=True, timeout=120, cwd=here, check=False)
    assert done.returncode == 0, done.stderr


def launched(function):
    """The exit code of a process that launches two which run this function of this file."""
    code = f"import sys, {__name__} as here; from ppo_cli.engine.process_launcher import launch\n"
    code += f"if __name__ == '__main__': sys.exit(launch(2, 'cpu', here.{function.__name__}))"
    return subprocess.run(
        [sys.executable, "-c", code], timeout=120, cwd=Path(__file__).parents[2], check=False
    ).returncode


def join_and_end():
    atexit.register(fail_if_still_joined)  # what is registered first runs last
    process_group = join_process_group("cpu")
    process_group.gather([process_group.rank])


def fail_if_still_joined():
    if torch.distributed.is_initialized():
        os._exit(7)


@pytest.mark.process
def test_a_process_leaves_its_group_before_python_ends():
    assert launched(join_and_end) == 0


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


@pytest.mark.parametrize(
    ("variable", "name"), [("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")]
)
def test_a_model_split_over_processes_is_refused(monkeypatch, variable, name):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(variable, "true")
    with pytest.raises(UsageError, match=f"{name} splits one model"):
        join_process_group("cpu")


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
    assert launched(vanish_or_wait) == 11
