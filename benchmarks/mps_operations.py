"""Which operations of a training have no kernel for an Apple GPU, by torch's own list; needs no such GPU.

    python benchmarks/mps_operations.py CONFIG

Trains CONFIG on the CPU, with the attention that other devices use, and looks each operation up in the table that torch
is made from (native_functions.yaml, shipped with it as torchgen). An operation is there if it has an entry for MPS, or
is composed of others. Prints those that are not, with the float64 ones, which an Apple GPU does not have either.

Not here: whether a kernel is right or fast.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import torchgen
import yaml
from torch.utils._python_dispatch import TorchDispatchMode

import ppo_cli
from ppo_cli.models import loading

TABLE = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"


class Operations(TorchDispatchMode):
    """Notes every operation with the dtypes of its results."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: defaultdict[str, set[torch.dtype]] = defaultdict(set)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else [result]
        self.dtypes[str(function)] |= {part.dtype for part in results if isinstance(part, torch.Tensor)}
        return result


def kernels(entries: dict[str, dict[str, Any]], operation: str) -> str:
    """`mps`, `composite`, or the devices that have a kernel of an operation such as `aten.add.Tensor`."""
    _, name, overload = operation.split(".")
    entry = entries[name if overload == "default" else f"{name}.{overload}"]
    if "structured_delegate" in entry:
        entry = entries[entry["structured_delegate"]]
    keys = [key.strip() for listed in entry.get("dispatch") or {"Composite": ""} for key in listed.split(",")]
    composite = any(key.startswith("Composite") for key in keys)
    return "mps" if "MPS" in keys else "composite" if composite else ", ".join(keys)


def main(config: str) -> None:
    """Trains and prints the table."""
    entries = {entry["func"].partition("(")[0]: entry for entry in yaml.safe_load(TABLE.read_text(encoding="utf-8"))}
    loading.attend_by_groups = lambda _model: None  # of CPUs only
    with tempfile.TemporaryDirectory() as folder, Operations() as operations:
        ppo_cli.train(config, runs_dir=folder)
    found = {name: kernels(entries, name) for name in sorted(operations.dtypes) if name.startswith("aten.")}
    print(f"torch {torch.__version__}: {len(found)} operations")
    for name, where in found.items():
        if where not in ("mps", "composite"):
            print(f"  no kernel: {name} ({where})")
    print(f"  float64: {sum(torch.float64 in operations.dtypes[name] for name in found)} of them at some point")


if __name__ == "__main__":
    main(sys.argv[1])
