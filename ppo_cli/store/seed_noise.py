"""What the seed alone does to a setting, kept in the folder of each of its runs: reports/noise-floor.json.

Written when runs that differ in their seed only are compared, read when one of them is compared with anything else.

Not here: how it is computed (`analysis.seeds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from ppo_cli.errors import IntegrityError, NoPermissionError
from ppo_cli.records.comparisons import SeedNoise
from ppo_cli.store.files import disk_errors, read_json, write_json
from ppo_cli.store.runs import Run

FILE = "noise-floor.json"
SCHEMA = "noise-floor/1"


def write_seed_noise(floor: SeedNoise, runs: Sequence[Run], rules: str) -> None:
    """Writes it beside each of the runs, unless one of more seeds is there; a folder not ours to write stays as it is.

    Args:
        floor: what was found.
        runs: of one setting.
        rules: version of the rules that measured it.
    """
    for run in runs:
        known = read_seed_noise(run, rules)
        if known is None or len(known.runs) <= len(floor.runs):
            path = run.layout.reports / FILE
            with suppress(NoPermissionError), disk_errors(path):
                path.parent.mkdir(exist_ok=True)
                write_json(path, {"schema": SCHEMA, "rules": rules, **asdict(floor)})


def read_seed_noise(run: Run, rules: str) -> SeedNoise | None:
    """What is known of this run's setting; None where nothing is, or where other rules measured it.

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
