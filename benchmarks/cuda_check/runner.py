"""Stages in processes of their own: each with a time guard, each result kept whatever happens to the others.

The libraries are loaded once, in a server that each stage's process is forked from before CUDA starts. Where a library
starts CUDA while it is loaded, so that a forked process cannot use it, every stage loads the libraries itself.

Not here: what the stages do (`equality`, `speed`, `loops`).
"""

from __future__ import annotations

import importlib
import json
import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PRELOADED = ("benchmarks.cuda_check.workloads", "benchmarks.cuda_check.loops")
CANNOT_FORK = ("forked", "initialization error", "No CUDA GPUs")
"""In messages of CUDA where a process was forked from one that had started it."""
MIN_SECONDS = 5.0
"""A stage that would have less is not begun."""


@dataclass(frozen=True)
class Size:
    """Where the stages run: at full size on a GPU, or at toy size on a CPU."""

    device: str
    toy: bool


@dataclass(frozen=True)
class Stage:
    """One part of the check."""

    name: str
    function: str
    """`module:name` of a generator of dicts of results; what it has yielded is kept if it fails later."""
    limit: float
    """Seconds."""


@dataclass
class Runner:
    """Runs stages one after another and writes a JSON line for each."""

    size: Size
    out: Path | None = None
    method: str = "forkserver"

    def run(self, stages: Sequence[Stage], budget: float) -> bool:
        """Runs the stages within `budget` seconds; returns whether all were done."""
        end = time.monotonic() + budget
        statuses = []
        for stage in stages:
            limit = math.inf if self.size.toy and budget == math.inf else min(stage.limit, end - time.monotonic())
            if limit < MIN_SECONDS:
                row: dict[str, Any] = {"status": "not begun", "error": "the time for all stages was used up"}
            else:
                row = self.run_stage(stage, limit)
                if self.method == "forkserver" and any(sign in row.get("error", "") for sign in CANNOT_FORK):
                    self.method = "spawn"
                    row = self.run_stage(stage, limit)
            self._write({"stage": stage.name, "device": self.size.device, "toy": self.size.toy, **row})
            statuses.append(row["status"])
        return set(statuses) == {"done"}

    def run_stage(self, stage: Stage, limit: float) -> dict[str, Any]:
        """Runs one stage; whatever it yielded, with its status and seconds."""
        context = multiprocessing.get_context(self.method)
        if self.method == "forkserver":
            context.set_forkserver_preload(list(PRELOADED))
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(stage.function, self.size, sender))
        started = time.monotonic()
        process.start()
        sender.close()
        results: dict[str, Any] = {}
        error, ended = "", False
        while not ended:
            left = started + limit - time.monotonic()
            if not receiver.poll(None if left == math.inf else max(0.0, left)):
                error = f"ran longer than its {limit:.0f} s"
                break
            try:
                kind, value = receiver.recv()
            except EOFError:
                process.join()
                error, ended = f"its process ended with code {process.exitcode}", True
                continue
            if kind == "results":
                results |= value
            else:
                error, ended = value, True
        _end(process)
        status = "done" if not error else "failed" if ended else "timed out"
        row = {"status": status, "seconds": round(time.monotonic() - started, 2), **results}
        return {**row, "error": error} if error else row

    def _write(self, row: dict[str, Any]) -> None:
        line = json.dumps(row)
        print(line, flush=True)
        if self.out:
            with self.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def _run(function: str, size: Size, sender: Connection) -> None:
    """In the stage's process: sends what the stage yields, then its error or none."""
    os.setsid()  # so that processes of its own end with it
    try:
        if size.device == "cuda":
            require_cuda()
        module, _, name = function.partition(":")
        stage: Callable[[Size], Iterator[dict[str, Any]]] = getattr(importlib.import_module(module), name)
        with redirect_stdout(sys.stderr):
            for results in stage(size):
                sender.send(("results", results))
        sender.send(("end", ""))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the other stages go on
        traceback.print_exc()
        sender.send(("end", f"{type(error).__name__}: {error}"[:600] or "failed"))


def libraries(_size: Size) -> Iterator[dict[str, Any]]:
    """Loads what the server has not loaded."""
    for name in PRELOADED:
        importlib.import_module(name)
    yield {}


def require_cuda() -> None:
    """Raises where there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("this machine has no CUDA; --toy runs every stage on the CPU")


def _end(process: Any) -> None:
    """Ends a stage's process and what it started."""
    process.join(timeout=1)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.is_alive():
        process.kill()
    process.join()
