"""The signals that end a training. Windows has two of the four, so only the names that a system has are used.

Not here: what is done on one (`training.interrupt`, `engine.process_launcher`).
"""

from __future__ import annotations

import signal


def existing_signals(*names: str) -> tuple[signal.Signals, ...]:
    """The signals of these names that this system has, in their order."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


STOP_SIGNALS = existing_signals("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""A person sends the first; a cluster the second or the last; a closed terminal the third."""


def hangs_up() -> bool:
    """Whether a terminal that closes ends this process: not under nohup, and not on Windows, which has no SIGHUP."""
    return any(signal.getsignal(number) != signal.SIG_IGN for number in existing_signals("SIGHUP"))
