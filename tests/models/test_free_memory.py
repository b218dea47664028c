"""The caches of compiled kernels stay small, and what the user has chosen stays as it is."""

import os
import subprocess
import sys

import pytest
import torch

from ppo_cli.models.free_memory import KEPT_KERNELS, KERNEL_CACHES, limit_kernel_caches

SHAPES = """
import ctypes, sys
from ppo_cli.models.free_memory import limit_kernel_caches
if sys.argv[1] == "limited":
    limit_kernel_caches()
import torch
class Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena b c d mapped f g used i j".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Heap
def in_use():
    heap = libc.mallinfo2()
    return heap.used + heap.mapped
weight = torch.ones((64, 64), dtype=torch.bfloat16)
before = in_use()
for rows in range(1, 1001):
    torch.nn.functional.linear(torch.ones((rows, 64), dtype=torch.bfloat16), weight)
print(in_use() - before)
"""
"""A thousand shapes of one matrix product; prints the bytes that stay allocated."""


def test_what_the_user_has_chosen_stays(monkeypatch):
    monkeypatch.setenv(KERNEL_CACHES[0], "64")
    monkeypatch.setenv(KERNEL_CACHES[1], "")
    monkeypatch.delenv(KERNEL_CACHES[1])
    limit_kernel_caches()
    assert [os.environ[name] for name in KERNEL_CACHES] == ["64", str(KEPT_KERNELS)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the heap of glibc")
@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bfloat16 here")
def test_a_thousand_shapes_leave_a_quarter_of_the_kernels():
    environment = {name: value for name, value in os.environ.items() if name not in KERNEL_CACHES}

    def bytes_left(mode):
        command = [sys.executable, "-c", SHAPES, mode]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    assert bytes_left("limited") < 0.5 * bytes_left("plain")
