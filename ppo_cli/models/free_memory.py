"""Gives memory that is free inside the process back to the machine: glibc keeps the pieces that batches leave.

Not here: live tensors, which this does not touch.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def return_free_memory() -> bool:
    """Calls glibc's malloc_trim; elsewhere (macOS, musl) nothing happens.

    Returns:
        Whether anything was given back.
    """
    trim = _malloc_trim()
    return trim is not None and bool(trim(0))


@cache
def _malloc_trim() -> Any:  # noqa: ANN401 - a function of C, or None
    if sys.platform != "linux":
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim
