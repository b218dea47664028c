"""Which part this process has where several train together: it starts them, leads them, or follows.

Not here: what each part does (`train`, `following`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from ppo_cli.engine.distributed import ProcessGroup, is_distributed, join_process_group
from ppo_cli.engine.process_launcher import launch
from ppo_cli.errors import PpoError, UsageError
from ppo_cli.training.worker import run_worker


def join_or_launch(device: str, processes: int, command_line: Callable[[], None]) -> ProcessGroup:
    """The team that this process leads, of one by default.

    Ends the process instead, with an exit code, where it has only started the others or has followed one of them.

    Args:
        device: the config's key.
        processes: how many the user asks for.
        command_line: what every one of them runs.

    Raises:
        UsageError: there cannot be so many, or the launcher started another number.
    """
    if not is_distributed():
        if processes != 1:
            sys.exit(launch(processes, device, command_line))
        return ProcessGroup()
    process_group = join_process_group(device)
    if processes not in (1, process_group.world_size):
        raise UsageError(
            f"--processes {processes}, and the launcher has started {process_group.world_size}.",
            "Leave --processes out.",
        )
    if process_group.is_main:
        return process_group
    try:
        run_worker(process_group)
    except PpoError as error:
        sys.exit(error.exit_code)  # the leader has met it too, and tells of it
    sys.exit(0)
