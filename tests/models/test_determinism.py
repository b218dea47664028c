"""Strict algorithms hold inside the block, on CUDA, and where cuBLAS can be deterministic."""

import pytest
import torch

from ppo_cli.models.determinism import CUBLAS_WORKSPACE, strict_algorithms


@pytest.mark.parametrize(
    ("device", "workspace", "strict"),
    [("cuda", ":4096:8", True), ("cuda:1", ":16:8", True), ("cuda", ":0:0", False), ("cpu", ":4096:8", False)],
)
def test_strict_mode_holds_inside_the_block_only(device, workspace, strict, monkeypatch):
    monkeypatch.setenv(CUBLAS_WORKSPACE, workspace)
    filled = torch.utils.deterministic.fill_uninitialized_memory
    with strict_algorithms(torch.device(device)):
        assert torch.are_deterministic_algorithms_enabled() is strict
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory == filled


def test_a_process_that_used_cuda_before_is_not_made_strict(monkeypatch):
    monkeypatch.delenv(CUBLAS_WORKSPACE, raising=False)
    with strict_algorithms(torch.device("cuda")):
        assert not torch.are_deterministic_algorithms_enabled()
