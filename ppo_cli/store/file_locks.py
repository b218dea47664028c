"""Locks of the system on files: whether one is locked, and locking one; on POSIX systems and on Windows.

The only module that imports `fcntl` or `msvcrt`.

Not here: the lock of a run (`run_lock`).
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FAR_BYTE = 2**30
READER_TRIES, READER_SECONDS = 5, 0.01
"""On Windows a reader locks for a moment, for another reader as a process at work does: so it is asked again."""


def is_locked(path: Path) -> bool:
    """Whether a process, this one included, has the lock.

    On POSIX systems it asks for a shared lock, with which two readers do not take each other for a process at work and
    which needs the right to read only. Windows has no shared lock of this kind.
    """
    try:
        file = os.open(path, os.O_RDONLY)  # not inherited by programs that are started
    except OSError:
        return False
    try:
        return _is_locked(file)
    finally:
        os.close(file)


if sys.platform == "win32":

    def lock_until_closed(file: int) -> None:
        """Waits until no other process has this open file, and keeps it until it is closed.

        The byte that is locked lies behind any content, which others could not read otherwise.
        """
        os.lseek(file, FAR_BYTE, os.SEEK_SET)
        while True:
            with suppress(OSError):  # it gives up after 10 s
                msvcrt.locking(file, msvcrt.LK_LOCK, 1)
                return

    def _is_locked(file: int) -> bool:
        for tried in range(READER_TRIES):
            if tried:
                time.sleep(READER_SECONDS)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            except OSError:
                continue
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
            return False
        return True

else:

    def lock_until_closed(file: int) -> None:
        """Waits until no other process has this open file, and keeps it until it is closed."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def _is_locked(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks, on which no run is written
            return False
        return False
