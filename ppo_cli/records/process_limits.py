"""What the system grants a process: memory, its peak, and open files; on Windows, too, as far as it has such a thing.

The only module that imports `resource`, which Windows does not have.

Not here: limits of time (`time_limit`), memory of a GPU.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import resource

ADDRESSES_IN_USE = Path("/proc/self/statm")
"""Where Linux states, first, how many pages of addresses a process has."""
MEMORY_LOCK = threading.Lock()
"""Held while the process has less memory than before, so that two threads restore the limit in order."""


@contextmanager
def memory_limit(extra_bytes: int) -> Iterator[None]:
    """Lets the process take only so much more memory inside the block; on Linux only, elsewhere there is no limit.

    Args:
        extra_bytes: beyond what it has now.

    Raises:
        MemoryError: the block asks for more.
    """
    if sys.platform == "win32" or not ADDRESSES_IN_USE.is_file():
        yield
        return
    with MEMORY_LOCK:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        in_use = int(ADDRESSES_IN_USE.read_text(encoding="ascii").split()[0])
        wanted = in_use * resource.getpagesize() + extra_bytes
        allowed = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *allowed]), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def open_file_limits() -> tuple[int, int] | None:
    """How many files the process may have open, and up to how many it may raise that; None on Windows."""
    return None if sys.platform == "win32" else resource.getrlimit(resource.RLIMIT_NOFILE)


def set_open_file_limits(limits: tuple[int, int] | None) -> None:
    """Sets what `open_file_limits` gave."""
    if sys.platform != "win32" and limits is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def peak_memory_bytes() -> float:
    """The most memory that the process has had since it started."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset)
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def machine_memory_bytes() -> float:
    """Memory of the machine."""
    if sys.platform == "win32" or "SC_PHYS_PAGES" not in os.sysconf_names:
        import psutil

        return float(psutil.virtual_memory().total)
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
