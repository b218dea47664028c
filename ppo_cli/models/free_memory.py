"""Memory of the process that no tensor uses: pieces that glibc keeps, and compiled kernels that torch keeps.

Not here: live tensors, which this does not touch.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Any

KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Environment variables of oneDNN, and of torch's layer on top of it: how many compiled kernels each keeps."""
KEPT_KERNELS = 256
"""A kernel is compiled for one shape of a matrix product, and sampling has hundreds of shapes. By default each cache
keeps 1,024, which is 400 MB after five updates of the built-in model; with 256 the updates take as long."""


def limit_kernel_caches() -> None:
    """Lets the caches of kernels on a CPU hold fewer, unless the user has chosen; before torch is imported."""
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, str(KEPT_KERNELS))


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
