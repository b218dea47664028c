"""How much measures differ between seeds of one setting: in a run's folder, and in the file that the recipes ship.

reports/seed_noise.json is written into runs that differ in their seed only, when they are compared. The recipes' file
holds one entry per recipe, by the digest of its setting, so that it is never shown for another setting.

Not here: how it is computed (`stats.seed_variance`), which of the two is shown (`evaluation.known_seed_noise`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, NoPermissionError
from ppo_cli.records.comparisons import SeedNoise
from ppo_cli.store.files import disk_errors, read_json, write_json
from ppo_cli.store.runs import Run

FILE = "seed_noise.json"
"""Its name in a run's reports, and beside the recipes."""
SCHEMA = "seed-noise/2"


def write_seed_noise(noise: SeedNoise, runs: Sequence[Run], rules: str) -> None:
    """Writes it into each of the runs, unless one of more seeds is there; a folder that may not be written is left.

    Args:
        noise: of these runs.
        runs: of one setting.
        rules: version of the rules that measured it.
    """
    for run in runs:
        known = read_seed_noise(run, rules)
        if known is None or len(known.seeds) <= len(noise.seeds):
            path = run.layout.reports / FILE
            with suppress(NoPermissionError), disk_errors(path):
                path.parent.mkdir(exist_ok=True)
                write_json(path, {"schema": SCHEMA, "rules": rules, **asdict(noise)})


def read_seed_noise(run: Run, rules: str) -> SeedNoise | None:
    """The seed noise of this run's setting; None if none was written, or other rules or another version measured it.

    Raises:
        IntegrityError: the file is damaged.
    """
    path = run.layout.reports / FILE
    if not path.is_file():
        return None
    row = read_json(path)
    if (row.get("schema"), row.get("rules")) != (SCHEMA, rules):
        return None
    try:
        return _seed_noise(row)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError(f"{path} is damaged.", "Delete it; comparing the seeds writes it anew.") from None


def write_recipe_seed_noise(file: Path, setting: str, noise: SeedNoise, rules: str) -> None:
    """Writes a recipe's entry; those of other recipes stay.

    Args:
        file: of the recipes.
        setting: digest of the recipe's setting.
        noise: of runs of the recipe, which it names.
        rules: version of the rules that measured it.
    """
    recipes = read_json(file)["recipes"] if file.is_file() else {}
    entry = {"setting": setting, "rules": rules, **asdict(noise)}
    write_json(file, {"schema": SCHEMA, "recipes": dict(sorted({**recipes, noise.recipe: entry}.items()))})


def read_recipe_seed_noise(file: Path, setting: str) -> SeedNoise | None:
    """What a recipe ships for a setting; None where no recipe has this setting.

    Raises:
        IntegrityError: the file is damaged.
    """
    if not file.is_file():
        return None
    try:
        entries = read_json(file)["recipes"].values()
        return next((_seed_noise(entry) for entry in entries if entry["setting"] == setting), None)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError(f"{file} is damaged.", "Install the program again.") from None


def _seed_noise(row: Mapping[str, Any]) -> SeedNoise:
    return SeedNoise(
        seeds=tuple(map(int, row["seeds"])),
        deviation={str(name): float(value) for name, value in row["deviation"].items()},
        measured=str(row["measured"]),
        runs=tuple(map(str, row["runs"])),
        recipe=str(row["recipe"]),
    )
