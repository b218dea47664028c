"""Git state, packages, machine and command line, for a run's provenance.json.

Environment variables are never written: they hold secrets.

Not here: the run's seeds and weights (`training.provenance`).
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from ppo_cli.records.process_limits import machine_memory_bytes
from ppo_cli.records.secrets import masked_arguments

FIRST_PACKAGES = ("ppo-cli", "torch", "transformers", "trl", "accelerate", "peft", "tokenizers", "datasets", "numpy")
"""Packages that can change a result; they are listed first, all others after them."""


def provenance(argv: list[str]) -> dict[str, Any]:
    """Git state, packages, machine and command line, as plain values."""
    installed = [distribution.metadata for distribution in metadata.distributions()]  # each is parsed anew when asked
    versions = {each["Name"]: each["Version"] for each in installed if each["Name"]}
    first = {name: versions[name] for name in FIRST_PACKAGES if name in versions}
    return {
        "argv": masked_arguments(argv),
        "git": _git(),
        "python": platform.python_version(),
        "packages": {**first, **dict(sorted(versions.items(), key=lambda item: item[0].lower()))},
        "machine": {
            "system": platform.system(),
            "release": platform.release(),
            "architecture": platform.machine(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(machine_memory_bytes() / 2**30, 1),
        },
    }


def _git() -> dict[str, Any] | None:
    """Commit and dirtiness of the working tree this package runs from; None outside a checkout."""
    git = shutil.which("git")
    folder = Path(__file__).parent
    if git is None:
        return None

    def ask(*words: str) -> str | None:
        result = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            [git, "-C", str(folder), *words], capture_output=True, text=True, check=False
        )
        return result.stdout.strip() if result.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "branch": ask("rev-parse", "--abbrev-ref", "HEAD"), "dirty": bool(ask("status", "-s"))}


def processor() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        match = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8", errors="replace"))
        if match:
            return match.group(1).strip()
    return platform.processor() or "unknown"
