"""What a training would compute on, and the memory that it has.

Not here: how a config chooses (`models.device`).
"""

from __future__ import annotations

import os

from ppo_cli.records.doctor import DoctorCheck
from ppo_cli.records.process_limits import machine_memory_bytes

NEEDED_GB, COMFORTABLE_GB = 2.0, 4.0
"""Free memory: the built-in model takes 2.0 GB in `ppo sft-check` and 3.2 GB in a run."""


def devices() -> list[DoctorCheck]:
    """The device that `device: auto` takes, and others that are there."""
    import torch

    from ppo_cli.models.device import MPS_NOTICE, choose_device, choose_dtype, has_mps
    from ppo_cli.store.provenance import processor

    chosen = choose_device("auto")
    dtype = str(choose_dtype("auto", chosen)).removeprefix("torch.")
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"
    if chosen.type == "cuda":
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        saw = f"auto takes {chosen}: {', '.join(names)}; {dtype}"
    else:
        saw = f"auto takes the CPU: {processor()}, {threads}; {dtype}"
    checks = [DoctorCheck(name="device", status="ok", saw=saw)]
    if chosen.type == "cpu" and torch.get_num_threads() < (os.cpu_count() or 1) // 2:
        step = "Unset OMP_NUM_THREADS, unless other programs need the cores."
        checks = [DoctorCheck(name="device", status="warn", saw=saw, next_step=step)]
    if has_mps():
        checks.append(DoctorCheck(name="Apple GPU", status="ok", saw=MPS_NOTICE, next_step="To use it: device: mps."))
    elif chosen.type == "cpu" and (unused := _unused_gpu()):
        checks.append(unused)
    return checks


def _unused_gpu() -> DoctorCheck | None:
    """An NVIDIA GPU that this build of torch cannot use, which is easily missed: everything works, slowly."""
    import shutil

    import torch

    if torch.version.cuda is None and shutil.which("nvidia-smi") is not None:
        step = "Install a build of torch for CUDA, if the GPU is to be used; the CPU works too."
        return DoctorCheck(
            name="GPU", status="warn", saw="an NVIDIA driver, and torch is built for CPUs", next_step=step
        )
    if torch.version.cuda is not None and shutil.which("nvidia-smi") is not None:
        step = "Look at `nvidia-smi` and CUDA_VISIBLE_DEVICES; the CPU works too."
        saw = f"an NVIDIA driver, and torch (CUDA {torch.version.cuda}) sees no GPU"
        return DoctorCheck(name="GPU", status="warn", saw=saw, next_step=step)
    return None


def memory() -> list[DoctorCheck]:
    """Free memory of the machine, and of a container that has less."""
    import psutil

    total, free = machine_memory_bytes(), float(psutil.virtual_memory().available)
    limit = _container_limit()
    if limit is not None and limit < total:
        free, total = min(free, limit), limit
    saw = f"{free / 1e9:.1f} GB free of {total / 1e9:.1f} GB"
    step = "End other programs, or take a smaller model; a process that runs out of memory is killed."
    if free < NEEDED_GB * 1e9:
        too_little = f"{saw}; the built-in model takes {NEEDED_GB:g} to 3.2 GB"
        return [DoctorCheck(name="memory", status="warn", saw=too_little, next_step=step)]
    if free < COMFORTABLE_GB * 1e9:
        step = "Enough for the built-in model; for a larger one end other programs."
        return [DoctorCheck(name="memory", status="ok", saw=saw, next_step=step)]
    return [DoctorCheck(name="memory", status="ok", saw=saw)]


def _container_limit() -> float | None:
    """The limit of a container, from Linux's control groups; None without one."""
    from pathlib import Path

    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            return float(file.read_text(encoding="ascii"))
        except (OSError, ValueError):  # `max`: no limit
            continue
    return None
