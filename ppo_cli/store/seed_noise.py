"""How much measures differ between seeds of one setting, kept in each of its runs: reports/seed_noise.json.

Written when runs that differ in their seed only are compared, read when one of them is compared with anything else.

Not here: how it is computed (`stats.seed_variance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from ppo_cli.errors import IntegrityError, NoPermissionError
from ppo_cli.records.comparisons import SeedNoise
from ppo_cli.store.files import disk_errors, read_json, write_json
from ppo_cli.store.runs import Run

FILE = "seed_noise.json"
SCHEMA = "seed-noise/1"


def write_seed_noise(noise: SeedNoise, runs: Sequence[Run], rules: str) -> None:
    """Writes it into each of the runs, unless one of more seeds is there; a folder that may not be written is left.

    Args:
        noise: of these runs.
        runs: of one setting.
        rules: version of the rules that measured it.
    """
    for run in runs:
        known = read_seed_noise(run, rules)
        if known is None or len(known.runs) <= len(noise.runs):
            path = run.layout.reports / FILE
            with suppress(NoPermissionError), disk_errors(path):
                path.parent.mkdir(exist_ok=True)
                write_json(path, {"schema": SCHEMA, "rules": rules, **asdict(noise)})


def read_seed_noise(run: Run, rules: str) -> SeedNoise | None:
    """The seed noise of this run's setting; None if none was written, or other rules measured it.

    Raises:
        IntegrityError: the file is damaged.
    """
    path = run.layout.reports / FILE
    if not path.is_file():
        return None
    row = read_json(path)
    if row.get("rules") != rules:
        return None
    try:
        return SeedNoise(
            runs=tuple(map(str, row["runs"])),
            seeds=tuple(map(int, row["seeds"])),
            typical={str(name): float(value) for name, value in row["typical"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError(f"{path} is damaged.", "Delete it; comparing the seeds writes it anew.") from None
