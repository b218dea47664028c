"""Sweeps on disk: sweeps/NAME.json beside the run folders lists the runs of a sweep, for readers.

Not here: whether a run of a sweep is done; its own run folder says so (`training.sweep`).
"""

from __future__ import annotations

from pathlib import Path

from ppo_cli.errors import IntegrityError
from ppo_cli.store.files import read_json

FOLDER = "sweeps"


def sweep_file(runs_dir: Path, name: str) -> Path:
    """The file of a sweep."""
    return runs_dir / FOLDER / f"{name}.json"


def sweeps_with(runs_dir: Path, run: str) -> list[str]:
    """Paths of the sweeps that a run belongs to; files that are no sweeps are passed over."""
    folder = runs_dir / FOLDER
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return [str(path) for path in files if run in _runs(path)]


def _runs(path: Path) -> set[str]:
    try:
        arms = read_json(path).get("arms")
    except IntegrityError:
        return set()
    return {str(arm.get("run")) for arm in arms if isinstance(arm, dict)} if isinstance(arms, list) else set()
