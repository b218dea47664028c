"""Ctrl-C and signals that end a process, during training: finish the current update, write a checkpoint, exit.

A closed terminal sends SIGHUP, a cluster SIGTERM or SIGUSR1 before it kills.

Not here: writing the checkpoint (`run_loop`), the message at the end (`train`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.records.signals import STOP_SIGNALS

SIGNALS = STOP_SIGNALS
"""The signals that stop a training; a second SIGINT, which a person sends, stops it at once."""


def leave_signals_to_main_process() -> None:
    """Ignores them in a worker: a signal may reach every process, and the main one needs the others for the update.

    A worker ends when the main process does.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@dataclass
class StopRequest:
    """Ctrl-C: the first one lets the current update finish; the second, or one outside an update, stops at once."""

    on_event: EventHandler
    in_update: bool = False
    requested: bool = field(default=False, init=False)

    def handle(self, number: int, _frame: Any) -> None:  # noqa: ANN401
        """The signal handler."""
        again, self.requested = self.requested, True
        if again and number != signal.SIGINT:
            return  # a cluster sends one to every process, and the launcher passes its own on
        if again or not self.in_update:
            raise KeyboardInterrupt
        text = (
            "Stopping after this update, with a checkpoint. Ctrl-C again stops now; then the updates since the last "
            "checkpoint run again when the run continues."
        )
        self.on_event(Notice(text=text, level="warning"))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the signals for the length of the block; only the main thread can.

        A SIGHUP that is ignored, as under nohup, stays ignored.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ignored = {number for number in SIGNALS[2:] if signal.getsignal(number) == signal.SIG_IGN}
        before = {number: signal.signal(number, self.handle) for number in SIGNALS if number not in ignored}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
