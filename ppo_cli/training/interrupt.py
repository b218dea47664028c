"""Ctrl-C during training: finish the current update, write a checkpoint, exit.

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


@dataclass
class StopRequest:
    """Ctrl-C: the first one lets the current update finish; the second, or one outside an update, stops at once."""

    on_event: EventHandler
    in_update: bool = False
    requested: bool = field(default=False, init=False)

    def handle(self, number: int, _frame: Any) -> None:  # noqa: ANN401
        """The signal handler."""
        if not self.in_update or self.requested:
            raise KeyboardInterrupt
        self.requested = True
        name = "Ctrl-C" if number == signal.SIGINT else "the signal"
        self.on_event(Notice(text=f"Stopping after this update; {name} again stops now.", level="warning"))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles SIGINT and SIGTERM for the length of the block; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
