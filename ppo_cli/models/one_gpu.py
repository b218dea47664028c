"""One process sees one GPU.

Not here: which device the config's key means (`loading`), starting several processes (`engine.process_launcher`).
"""

from __future__ import annotations

import os

import torch

ONE_GPU = "PPO_ONE_GPU"
"""Environment variable: the number that the config gives to the only GPU that this process sees, as its first."""


def use_one_gpu(device: str) -> None:
    """Lets this process see one GPU only; once CUDA has started, or where there is one at most, nothing changes.

    On a machine with several, trainers of libraries would split each batch over all of them by themselves.

    Args:
        device: the config's key; of `cuda:N` that one, else the one of this process's number on this machine.
    """
    if device == "cpu" or torch.cuda.is_initialized():
        return
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()  # unlike is_available, it does not start CUDA
    visible = listed.split(",") if listed else [str(number) for number in range(count)]
    rank, wanted = os.environ.get("LOCAL_RANK"), device.partition(":")[2]
    number = rank or wanted or "0"
    if count < 2 or not number.isdecimal() or int(number) >= len(visible):
        return  # `choose_device` says what is wrong
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[int(number)].strip()
    os.environ[ONE_GPU] = wanted or "0"
    if rank:
        os.environ["LOCAL_RANK"] = "0"
