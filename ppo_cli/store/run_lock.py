"""File locks: held by the process that works on a run or samples an evaluation, released by the system when it exits.

A process id alone would not do: ids are given out again, and those of another machine cannot be checked. On a file
system without locks nothing is written, since two processes could write the same files.

Not here: what a run's status is (`runs`).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from filelock import FileLock, Timeout

from ppo_cli.errors import UsageError, reason_of


class RunLock:
    """A folder held by this process until it is released or the process ends."""

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        """Takes the lock.

        Args:
            path: the lock's file; made if it is not there.
            wait: until the process that has it gives it back.

        Raises:
            BlockingIOError: another process has it, and `wait` is false.
            UsageError: the file system has no locks.
            OSError: the file cannot be made.
        """
        self._path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        self._lock = FileLock(path, thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            raise BlockingIOError(f"{path} is locked by another process") from None
        except OSError as error:
            raise UsageError(
                f"{path.parent} cannot be locked against a second process: {reason_of(error)}.",
                "Choose a folder on a local disk with --runs-dir DIR, or mount this file system with locks (flock).",
            ) from error

    def release(self) -> None:
        """Gives the lock back; harmless if it was given back before."""
        self._lock.release()

    def remove(self) -> None:
        """Removes the file and gives the lock back; another process that waits for it makes the file anew."""
        self._path.unlink(missing_ok=True)
        self.release()


def is_held(path: Path) -> bool:
    """Whether a process, this one included, holds the lock.

    Asks for a shared lock on the same file: `filelock` takes exclusive ones only, for which a reader needs the right
    to write, and with which two readers would take each other for a process at work.
    """
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
