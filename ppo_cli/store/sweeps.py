"""Sets of arms on disk: sweeps/NAME.json beside the run folders, kept for readers.

Not here: deciding anything by it; whether an arm is done, its own run folder says.
"""

from __future__ import annotations

from pathlib import Path

from ppo_cli.errors import IntegrityError
from ppo_cli.store.files import read_json

FOLDER = "sweeps"


def sweep_file(output: Path, name: str) -> Path:
    """Where a set is kept."""
    return output / FOLDER / f"{name}.json"


def sweeps_with(output: Path, run: str) -> list[str]:
    """Paths of the sets that a run is an arm of; files that are no sets are passed over."""
    folder = output / FOLDER
    return [str(path) for path in (sorted(folder.glob("*.json")) if folder.is_dir() else []) if run in _runs(path)]


def _runs(path: Path) -> set[str]:
    try:
        arms = read_json(path).get("arms")
    except IntegrityError:
        return set()
    return {str(arm.get("run")) for arm in arms if isinstance(arm, dict)} if isinstance(arms, list) else set()
