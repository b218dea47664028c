"""Trains variants of a config with several seeds, and prints what each did to behaviour: a row per run and per variant.

    python benchmarks/recipe_search.py configs/refusal.yaml --variants variants.yaml --seeds 1 2 3 4 5

variants.yaml maps a name to overrides: `slow: [ppo.learning_rate=6e-4, ppo.updates=24]`. Each run is a process of its
own; a run that is there already is not trained again, so a search that was stopped goes on. All seeds are in the
table, none is chosen.

Not here: speed (`bench.py`), statistics of two runs (`ppo compare`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from recipe_page import print_table

from ppo_cli.behaviours.measures import measure_named

MEASURES = ("refusal.separation", "refusal.unsafe", "refusal.scary", "refusal.plain", "fits_prompt.information")
"""Columns of the table, unless told."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--variants", type=Path, required=True, help="YAML: a name to a list of overrides")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/search"))
    parser.add_argument("--measures", nargs="+", default=MEASURES, help="the columns, as docs/glossary.md names them")
    options = parser.parse_args()
    measures = [measure_named(name) for name in options.measures]
    variants: dict[str, list[str]] = yaml.safe_load(options.variants.read_text(encoding="utf-8"))
    for name, overrides in variants.items():
        runs = [(seed, trained(options.config, name, overrides, seed, options.runs_dir)) for seed in options.seeds]
        print_table(f"{name}: {' '.join(overrides) or 'as the config says'}", runs, measures)


def trained(config: Path, name: str, overrides: Sequence[str], seed: int, runs_dir: Path) -> Path:
    """The folder of the finished run of a variant, which is trained now if there is none."""
    folder = runs_dir / name / f"seed-{seed}"
    for run in folder.glob("*/run.json"):
        if json.loads(run.read_text(encoding="utf-8"))["status"] in ("finished", "stopped_early"):
            return run.parent
    command = ["train", str(config), *overrides, f"seed={seed}", "--runs-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "ppo_cli", *command], check=True, env={**os.environ, "TERM": "dumb"})
    return next(folder.glob("*/run.json")).parent


if __name__ == "__main__":
    main()
