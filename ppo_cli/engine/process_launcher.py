"""Starting the processes of a team on this machine, with accelerate's and torch's launchers.

Not here: what they do (`team`); other machines, for which there is `accelerate launch`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import torch
from accelerate.utils import PrepareForLaunch, patch_environment
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, start_processes

from ppo_cli.errors import UsageError

GRACE = 30.0
"""Seconds that the others have to end once one process has failed."""


def launch(processes: int, device: str, command_line: Callable[[], None]) -> int:
    """Runs this very command again as so many processes of one team, and waits for them.

    Args:
        processes: how many, on this machine.
        device: the config's key.
        command_line: what each of them runs, with this process's arguments; a function of a module.

    Returns:
        The exit code of the leader, who keeps the records; 1 if it was ended from outside.

    Raises:
        UsageError: there are fewer GPUs than that, or no such number.
    """
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if processes < 1:
        raise UsageError(f"--processes {processes}: that is no number of processes.", "Give 1 or more.")
    if on_gpu and processes > torch.cuda.device_count():
        raise UsageError(
            f"--processes {processes}: there are {torch.cuda.device_count()} GPUs, and each process needs one.",
            "Give no more than that, or device=cpu.",
        )
    threads = max(1, torch.get_num_threads() // processes)
    run = PrepareForLaunch(_as_one_of_them, "MULTI_GPU" if on_gpu else "MULTI_CPU")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leader hears Ctrl-C itself
    try:
        with patch_environment(
            world_size=processes,
            local_world_size=processes,
            master_addr="127.0.0.1",
            master_port=_free_port(),
            omp_num_threads=os.environ.get("OMP_NUM_THREADS", threads),
        ):
            process_group = start_processes(run, (command_line, sys.argv), processes, join=False, start_method="spawn")
        return _wait_for(process_group)
    finally:
        signal.signal(signal.SIGINT, before)


def _wait_for(process_group: ProcessContext) -> int:
    try:
        while not process_group.join(grace_period=GRACE):
            pass
    except ProcessExitedException:
        pass  # by now all have ended
    code = process_group.processes[0].exitcode
    return code if code is not None and code >= 0 else 1


def _as_one_of_them(command_line: Callable[[], None], arguments: Sequence[str]) -> None:
    """The command line again, in a process that knows its rank."""
    if os.environ["RANK"] == "0":
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = list(arguments)
    command_line()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
