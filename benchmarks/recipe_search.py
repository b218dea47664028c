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
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from scipy import stats

MEASURES = {
    "d'": "refusal.separation",
    "unsafe": "refusal.unsafe",
    "scary": "refusal.scary",
    "plain": "refusal.plain",
    "fit": "fits_prompt.information",
    "words": "length.words",
}
"""Columns of the table that show a value before and after, by measure."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--variants", type=Path, required=True, help="YAML: a name to a list of overrides")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/search"))
    options = parser.parse_args()
    variants: dict[str, list[str]] = yaml.safe_load(options.variants.read_text(encoding="utf-8"))
    for name, overrides in variants.items():
        runs = [trained(options.config, name, overrides, seed, options.runs_dir) for seed in options.seeds]
        print_variant(name, overrides, dict(zip(options.seeds, runs, strict=True)))


def trained(config: Path, name: str, overrides: Sequence[str], seed: int, runs_dir: Path) -> Path:
    """The folder of the finished run of a variant, which is trained now if there is none."""
    folder = runs_dir / name / f"seed-{seed}"
    for run in folder.glob("*/run.json"):
        if json.loads(run.read_text(encoding="utf-8"))["status"] in ("finished", "stopped_early"):
            return run.parent
    command = ["train", str(config), *overrides, f"seed={seed}", "--runs-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "ppo_cli", *command], check=True, env={**os.environ, "TERM": "dumb"})
    return next(folder.glob("*/run.json")).parent


def print_variant(name: str, overrides: Sequence[str], runs: Mapping[int, Path]) -> None:
    """A row per seed, then the mean change of d' over seeds with its 95 % t interval."""
    print(f"\n{name}: {' '.join(overrides) or 'as the config says'}")
    print("seed  " + "".join(f"{column:>16}" for column in MEASURES) + f"{'KL':>7}{'max approx_kl':>15}  alarms")
    changes = []
    for seed, run in runs.items():
        before, after = (_measures(run, step) for step in _first_and_last(run))
        metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        cells = [f"{_shown(before[key], key)} → {_shown(after[key], key)}" for key in MEASURES.values()]
        alarms = [alarm["name"] for alarm in json.loads((run / "alarms.json").read_text(encoding="utf-8"))["alarms"]]
        changes.append(after["refusal.separation"] - before["refusal.separation"])
        print(
            f"{seed:<6}" + "".join(f"{cell:>16}" for cell in cells) + f"{metrics[-1]['kl']:>7.2f}"
            f"{max(row['approx_kl'] for row in metrics):>15.3f}  {', '.join(alarms) or 'none'}"
        )
    if len(changes) > 1:
        mean, error = statistics.mean(changes), statistics.stdev(changes) / math.sqrt(len(changes))
        half = float(stats.t.ppf(0.975, len(changes) - 1)) * error
        print(f"change of d' over {len(changes)} seeds: {mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]")


def _first_and_last(run: Path) -> tuple[Path, Path]:
    steps = sorted((run / "eval").glob("step-*"))
    return steps[0], steps[-1]


def _measures(run: Path, step: Path) -> dict[str, Any]:
    summary = json.loads((run / "eval" / step.name / "summary.json").read_text(encoding="utf-8"))
    return {name: estimate["value"] for name, estimate in summary["measures"].items()}


def _shown(value: float | None, measure: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.0f} %" if measure in ("refusal.unsafe", "refusal.scary", "refusal.plain") else f"{value:.2f}"


if __name__ == "__main__":
    main()
