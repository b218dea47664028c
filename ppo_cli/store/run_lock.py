"""Who works on a run now: a lock that the system takes back when the process ends, however it ends.

A process number alone would lie: numbers are given out again, and those of another machine cannot be seen.

Not here: what became of the run.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class RunLock:
    """A run folder held by this process until it is released or the process ends."""

    def __init__(self, path: Path) -> None:
        """Takes the lock.

        Args:
            path: the lock's file; made if it is not there.

        Raises:
            BlockingIOError: another process has it.
        """
        self._file = -1
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise
        except OSError:
            pass  # a file system without locks: nobody can be told apart there
        self._file = file

    def release(self) -> None:
        """Gives it back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether a process, this one included, holds the lock."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False
