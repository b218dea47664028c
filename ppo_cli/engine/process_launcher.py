"""Starts the processes of one training on this machine, with accelerate's and torch's launchers.

Not here: what they do (`distributed`, `training.worker`); other machines, for which there is `accelerate launch`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait

import torch
from accelerate.utils import PrepareForLaunch, patch_environment
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, start_processes

from ppo_cli.errors import UsageError
from ppo_cli.records.signals import existing_signals, hangs_up

GRACE_SECONDS = 30.0
"""For the main process to end once another has failed."""
WORKER_SECONDS = 5.0
"""For each of the others to end once the main process has failed; they hold nothing that would be lost."""

PASSED_ON = existing_signals("SIGTERM", "SIGUSR1")
"""Signals that end a training, which are often sent to the launcher alone."""
INHERITED = existing_signals("SIGINT", "SIGHUP", "SIGUSR1")
"""Signals that are ignored from the start of a process until it says otherwise."""


def launch(processes: int, device: str, command_line: Callable[[], None]) -> int:
    """Runs this command again in several processes that train together, and waits for them.

    Args:
        processes: how many, on this machine.
        device: the config's key.
        command_line: what each process runs, with this process's arguments; a function of a module.

    Returns:
        The exit code of the main process, which writes the records; 1 if a signal ended it.

    Raises:
        UsageError: there are fewer GPUs than that, the device is an Apple GPU, or the number is below 1.
    """
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if processes < 1:
        raise UsageError(f"--processes {processes}: there must be at least one process.", "Give 1 or more.")
    if on_gpu and processes > torch.cuda.device_count():
        raise UsageError(
            f"--processes {processes}: there are {torch.cuda.device_count()} GPUs, and each process needs one.",
            "Give no more than that, or device=cpu.",
        )
    if device.startswith("mps"):
        raise UsageError(
            f"--processes {processes}: several processes cannot share an Apple GPU.", "Give device=cpu, or one process."
        )
    threads = max(1, torch.get_num_threads() // processes)
    run = PrepareForLaunch(_run_command_line, "MULTI_GPU" if on_gpu else "MULTI_CPU")
    ends_with_terminal = hangs_up()
    # The main process handles these itself; a terminal sends them to all processes. The others inherit that they are
    # ignored, so does the helper process of `multiprocessing`.
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in INHERITED}
    try:
        with patch_environment(
            world_size=processes,
            local_world_size=processes,
            master_addr="127.0.0.1",
            master_port=_free_port(),
            omp_num_threads=os.environ.get("OMP_NUM_THREADS", threads),
        ):
            context = start_processes(
                run, (command_line, sys.argv, ends_with_terminal), processes, join=False, start_method="spawn"
            )

        def pass_on(number: int, _frame: object) -> None:
            with suppress(ProcessLookupError):  # it has ended
                os.kill(context.pids()[0], number)

        previous = {number: signal.signal(number, pass_on) for number in PASSED_ON} | previous
        return _wait_for(context)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _wait_for(context: ProcessContext) -> int:
    """Waits until every process has ended; returns the exit code of the main one."""
    main, *workers = context.processes
    while main.is_alive() and all(worker.exitcode in (None, 0) for worker in workers):
        if alive := [process.sentinel for process in context.processes if process.is_alive()]:
            wait(alive)  # of none, which may all have ended meanwhile, it would wait for ever
    if main.exitcode:  # a worker may still wait for it to join
        for worker in workers:
            worker.join(WORKER_SECONDS)
            worker.kill()
    try:
        while not context.join(grace_period=GRACE_SECONDS):
            pass
    except ProcessExitedException:
        pass  # by now all have ended
    code = context.processes[0].exitcode
    return code if code is not None and code >= 0 else 1


def _run_command_line(command_line: Callable[[], None], arguments: Sequence[str], ends_with_terminal: bool) -> None:
    """The command line again, in a process that has its rank in the environment."""
    if os.environ["RANK"] == "0":
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in existing_signals("SIGUSR1", *(["SIGHUP"] if ends_with_terminal else [])):
            signal.signal(number, signal.SIG_DFL)
    sys.argv = list(arguments)
    command_line()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
