"""A time limit for code of this process that cannot be trusted to end, such as the search for a user's pattern.

Not here: the time limit of a service (`http_exchange`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def time_limit(seconds: float, message: str) -> Iterator[None]:
    """Ends the block after so much processor time; a process that is stopped and continued loses none of it.

    Outside the main thread, and on a system without such a timer, there is no limit.

    Args:
        seconds: of processor time.
        message: of the error.

    Raises:
        TimeoutError: the time is over.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGVTALRM"):
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(message)

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
