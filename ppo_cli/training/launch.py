"""Decide this process's role in distributed training: launcher, main process or worker.

Not here: what the main process does (`train`), what a worker does (`worker`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from ppo_cli.engine.accelerate_config import config_shards
from ppo_cli.engine.distributed import (
    ProcessGroup,
    before_joining,
    is_distributed,
    is_main_process,
    join_process_group,
)
from ppo_cli.engine.process_launcher import launch
from ppo_cli.errors import PpoError, UsageError
from ppo_cli.models.one_gpu import use_one_gpu
from ppo_cli.records.processes import Processes
from ppo_cli.records.program import command
from ppo_cli.training.interrupt import leave_signals_to_main_process
from ppo_cli.training.worker import run_worker


def join_or_launch(
    device: str,
    processes: Processes,
    command_line: Callable[[], None],
    prepare: Callable[[], None] = lambda: None,
) -> ProcessGroup:
    """The processes that train together, seen from the main one; a single process by default.

    A launcher and a worker never return from here: they end with an exit code when training has ended.

    Args:
        device: the config's key.
        processes: what the user asks for.
        command_line: what every one of them runs.
        prepare: trains what the inputs need into the cache; the main of several processes calls it before it joins.

    Raises:
        UsageError: there cannot be so many, a launcher started another number, or it divides the model in a way that
            is not supported.
    """
    sharded = config_shards() or processes.shard
    if not is_distributed():
        if processes.number != 1:
            sys.exit(launch(processes.number, device, command_line))
        if sharded:
            raise UsageError(
                "--shard divides the model over several processes, and there is one.",
                f"Type `{command('train', 'CONFIG', '--processes', 2, '--shard')}`, or start it with torchrun.",
            )
        use_one_gpu(device)
        return ProcessGroup()
    use_one_gpu(device)
    if is_main_process():
        with before_joining():
            prepare()
    process_group = join_process_group(device, sharded=sharded)
    if processes.number not in (1, process_group.world_size):
        raise UsageError(
            f"--processes {processes.number}, and the launcher has started {process_group.world_size}.",
            "Leave --processes out.",
        )
    if process_group.is_main:
        return process_group
    leave_signals_to_main_process()
    try:
        run_worker(process_group)
    except PpoError as error:
        sys.exit(error.exit_code)  # the main process meets the same error and reports it
    sys.exit(0)
