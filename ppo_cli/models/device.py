"""The device that a config's key means, its dtype, and what an Apple GPU (MPS) leaves to the CPU.

Not here: which GPU one process of several sees (`one_gpu`), what several processes exchange (`engine.distributed`).
"""

from __future__ import annotations

import os
from typing import Literal

import torch

from ppo_cli.errors import ConfigError
from ppo_cli.models.one_gpu import ONE_GPU, use_one_gpu

DEVICES = "Use auto, cpu, cuda, cuda:N or mps."
MPS_NOTICE = (
    "Apple GPU (mps): weights are float32 by default; float64, which it does not have, is replaced: sums are added up "
    "on the CPU, random numbers are rounded. No training has been tried on one; compare a first run with device=cpu."
)
"""What falls back there, in one sentence and a warning."""


def has_mps() -> bool:
    """Whether this machine has an Apple GPU that torch can use."""
    return bool(torch.backends.mps.is_available())


def choose_device(wanted: str) -> torch.device:
    """The device to compute on; `auto` is CUDA where there is one, else the CPU.

    An Apple GPU has to be asked for, since no training has been tried on one.

    Args:
        wanted: the config's key: auto, cpu, cuda, cuda:N or mps.

    Raises:
        ConfigError: this machine does not have it, or it is no device.
    """
    use_one_gpu(wanted)
    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        rank = os.environ.get("LOCAL_RANK")  # one of several processes: each has a GPU of its own
        return torch.device("cuda", int(rank)) if rank else torch.device("cuda")
    if wanted == "auto":
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ConfigError(f"device: '{wanted}' is not a device.", DEVICES) from None
    if device.type == "cuda" and str(device.index) == os.environ.get(ONE_GPU):
        device = torch.device("cuda", 0)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: {wanted} was asked for, and this machine has no CUDA.", "Use device=cpu or auto.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device: {wanted}, and there are only {torch.cuda.device_count()}.", "Use a lower number.")
    if device.type == "mps":
        return _mps(wanted)
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device: {wanted} is not supported.", DEVICES)
    return device


def _mps(wanted: str) -> torch.device:
    if not has_mps():
        raise ConfigError(
            f"device: {wanted} was asked for, and this machine has no Apple GPU that torch can use.",
            "Use device=cpu or auto.",
        )
    if "LOCAL_RANK" in os.environ:
        raise ConfigError(f"device: {wanted}, and several processes cannot share an Apple GPU.", "Use device=cpu.")
    return torch.device("mps")


def choose_dtype(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> torch.dtype:
    """The dtype of weights; `auto` is bfloat16 where the processor computes in it, else float32.

    On an Apple GPU `auto` is float32, since macOS before 14 has no bfloat16 there.

    Args:
        wanted: the config's key.
        device: where the weights will be.
    """
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "mps":
        return torch.float32
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(getattr(torch.cpu, name)() for name in names if hasattr(torch.cpu, name))
    return torch.bfloat16 if native else torch.float32


def float64_device(device: torch.device) -> torch.device:
    """Where numbers of this device are added up in float64: there, or on the CPU for a GPU of Apple's."""
    return torch.device("cpu") if device.type == "mps" else device


def in_float64(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float64, on `float64_device`."""
    return tensor.to(float64_device(tensor.device)).double()


def moved(numbers: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Numbers on a device; those in float64 are rounded to float32 for a GPU of Apple's."""
    return (numbers.float() if device.type == "mps" else numbers).to(device)
