"""Deterministic algorithms on CUDA around an update.

Some of torch's CUDA kernels add in the order in which threads happen to finish, so the same update gives other bits
each time: the backward passes of fused attention (dQ), of gathers and of scatters. Strict mode replaces them or raises.
Sampling stays outside: it needs the cumulative sum of floats, which has no strict form, and adds nothing up across
threads that a draw depends on.

Not here: seeds and random numbers (`sampling`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable that cuBLAS reads when CUDA starts."""
STRICT_WORKSPACES = (":4096:8", ":16:8")
"""Its values with which cuBLAS is deterministic (NVIDIA, "cuBLAS: results reproducibility")."""


def set_cublas_workspace() -> None:
    """Chooses a workspace with which cuBLAS is deterministic, unless the user has chosen one; before CUDA starts."""
    os.environ.setdefault(CUBLAS_WORKSPACE, STRICT_WORKSPACES[0])


@contextmanager
def strict_algorithms(device: torch.device) -> Iterator[None]:
    """Deterministic algorithms only, inside the block, on CUDA; on a CPU nothing changes.

    Where the user has set a workspace with which cuBLAS is not deterministic, nothing changes either.

    Args:
        device: that the block computes on.
    """
    if device.type != "cuda" or os.environ.get(CUBLAS_WORKSPACE) not in STRICT_WORKSPACES:
        yield
        return
    before = torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, and nothing here reads such memory
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        torch.utils.deterministic.fill_uninitialized_memory = filled
