"""One process sees one GPU; what has to be set before CUDA starts is set here.

Not here: which device the config's key means (`loading`), starting several processes (`engine.process_launcher`).
"""

from __future__ import annotations

import os

import torch

from ppo_cli.errors import ConfigError
from ppo_cli.models.determinism import set_cublas_workspace

ONE_GPU = "PPO_ONE_GPU"
"""Environment variable: the number that the config gives to the only GPU that this process sees, as its first."""


def use_one_gpu(device: str) -> None:
    """Lets this process see one GPU only; once CUDA has started, or where there is one at most, nothing changes.

    On a machine with several, trainers of libraries would split each batch over all of them by themselves.

    Args:
        device: the config's key; of `cuda:N` that one, else the one of this process's number on this machine.

    Raises:
        ConfigError: the process sees another one since an earlier call.
    """
    seen, asked = os.environ.get(ONE_GPU), device.partition(":")[2]
    if seen is not None and asked.isdecimal() and asked != seen:
        raise ConfigError(
            f"device: {device}, and this process sees only cuda:{seen}, which it used first.",
            f"Use device=cuda:{seen} or auto, or start another process.",
        )
    if device == "cpu" or torch.cuda.is_initialized():
        return
    set_cublas_workspace()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()  # unlike is_available, it does not start CUDA
    visible = listed.split(",") if listed else [str(number) for number in range(count)]
    rank = os.environ.get("LOCAL_RANK")
    number = rank or asked or "0"
    if count < 2 or not number.isdecimal() or int(number) >= len(visible):
        return  # `choose_device` says what is wrong
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[int(number)].strip()
    os.environ[ONE_GPU] = asked or "0"
    if rank:
        os.environ["LOCAL_RANK"] = "0"


def require_one_gpu(device: torch.device) -> None:
    """Requires that this process sees one GPU, or is one of several processes that share them.

    Args:
        device: to train on.

    Raises:
        ConfigError: CUDA had started before `use_one_gpu` could choose one.
    """
    count = torch.cuda.device_count() if device.type == "cuda" and "LOCAL_RANK" not in os.environ else 1
    if count > 1:
        raise ConfigError(
            f"device: this process has used CUDA before, with {count} GPUs in sight, and training takes exactly one.",
            "Set CUDA_VISIBLE_DEVICES=0 (or another number) before Python starts, or train with the command ppo.",
        )
