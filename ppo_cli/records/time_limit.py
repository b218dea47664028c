"""Limits of time for foreign programs in this process: a user's pattern, a model's chat template.

An operation that Python does not interrupt, such as one power of two integers, ends neither by time nor by Ctrl-C.

Not here: limits of memory (`process_limits`), the time limit of a service (`rewards.http_exchange`).
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

REPEAT_SECONDS = 0.25


class _OverTimeError(TimeoutError):
    """Raised in a thread from outside of it."""


@contextmanager
def time_limit(seconds: float, message: str) -> Iterator[None]:
    """Ends the block after so much processor time; a process that is stopped and continued loses none of it.

    Where a system does not tell the processor time of a thread, the time of the clock counts outside the main thread.

    Args:
        seconds: of processor time.
        message: of the error.

    Raises:
        TimeoutError: the time is over.
    """
    in_main_thread = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGVTALRM")
    with _signal_after(seconds, message) if in_main_thread else _exception_after(seconds, message):
        yield


@contextmanager
def _signal_after(seconds: float, message: str) -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(message)

    before = signal.signal(signal.SIGVTALRM, end)
    # Python drops an error that is raised within a weak reference's callback, so the signal comes again.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, REPEAT_SECONDS)
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)


@contextmanager
def _exception_after(seconds: float, message: str) -> Iterator[None]:
    """A second thread raises the error in this one, since signals reach the main thread only."""
    ident, used = threading.get_ident(), _clock_of_this_thread()
    limit, ended, lock = used() + seconds, threading.Event(), threading.Lock()

    def watch() -> None:
        while (left := limit - used()) > 0:
            if ended.wait(left):
                return
        with lock:  # so that nothing is raised after the block
            if not ended.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(_OverTimeError))

    threading.Thread(target=watch, name="time limit", daemon=True).start()
    try:
        yield
    except _OverTimeError:
        raise TimeoutError(message) from None
    finally:
        with lock:
            ended.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), None)  # one that was not yet raised


def _clock_of_this_thread() -> Callable[[], float]:
    """Gives, in any thread, the processor time that this one has used."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)
