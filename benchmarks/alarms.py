"""How often each alarm is raised in healthy runs and in runs sabotaged in a known way: the alarms' report card.

    python benchmarks/alarms.py simulate --runs 100 --to FOLDER          # simulated records, a file per row
    python benchmarks/alarms.py simulate --rows 3 4 --runs 100 --to FOLDER # some rows of the same
    python benchmarks/alarms.py train --to FOLDER                         # real runs of a tiny model
    python benchmarks/alarms.py train --model builtin --updates 6 --to FOLDER
    python benchmarks/alarms.py table FOLDER --date 2026-11-27            # prints the tables of docs/alarms.md

`table` also writes ppo_cli/alarms/rates.json, from which each alarm takes its own rate. A run is checked at its
evaluations, as in `ppo train`, and counts as raised if any of them raises the alarm. Of a sabotage only the alarm that
is meant to see it is counted. Intervals are Wilson's, of 95 %.

Not here: what healthy runs do (`simulated_plan.py`) and their records (`simulated_runs.py`), the sabotages
(`sabotages.py`), real runs (`sabotaged_runs.py`), the alarms (`ppo_cli/alarms/`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sabotages import SABOTAGES, Sabotage, contaminated_sets, healthy_sets
from simulate_comparisons import draw_once
from simulated_plan import healthy_plan
from simulated_runs import histories, judge_texts_once

from ppo_cli.alarms import ALARMS, eval_contamination
from ppo_cli.alarms.rates import FILE
from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.stats.score_intervals import wilson

HEALTHY = {
    "learns": "learns what it should",
    "stays": "reward rises, behaviour truly stays",
    "steered": "KL overshoots and is steered back",
    "prompts": "prompts of the shipped sets, half of them with one long instruction",
}
"""Kinds of healthy runs; of the last only the prompts are looked at, since only one alarm reads nothing else."""
OF_RUNS = {name: check for name, check in ALARMS.items() if name != eval_contamination.NAME}
"""The alarms that are checked in a simulated run; evaluation prompts that were trained on are a matter of the sets."""
HEALTHY_RUNS_PER_SABOTAGED = 3


def rows() -> list[tuple[str, Sabotage | None]]:
    """What is simulated, in the order of the table."""
    return [*((kind, None) for kind in HEALTHY), *((sabotage.what, sabotage) for sabotage in SABOTAGES)]


def simulate(row: int, runs: int) -> dict[str, Any]:
    """One row: how many of so many runs raise each alarm that counts in it.

    Args:
        row: place in `rows`.
        runs: of a sabotage; of healthy runs three times as many.
    """
    name, sabotage = rows()[row]
    raised: Counter[str] = Counter()
    runs = runs if sabotage else HEALTHY_RUNS_PER_SABOTAGED * runs
    names = [sabotage.alarm] if sabotage else [eval_contamination.NAME] if name == "prompts" else list(OF_RUNS)
    for number in range(runs):
        generator = np.random.default_rng([13, row, number])
        raised.update(raised_in(records(name, sabotage, generator), names))
    about = (
        {"healthy": name} if sabotage is None else {"alarm": sabotage.alarm, "sabotage": name, "weak": sabotage.weak}
    )
    return {**about, "runs": runs, "raised": {alarm: raised[alarm] for alarm in names}}


def records(name: str, sabotage: Sabotage | None, generator: np.random.Generator) -> Iterable[RunHistory]:
    """The records of one simulated run, one per evaluation."""
    if sabotage is None and name == "prompts":
        return [healthy_sets(generator)]
    if sabotage is not None and sabotage.alarm == eval_contamination.NAME:
        return [contaminated_sets(generator, sabotage.share, sabotage.kind)]
    if sabotage is None:
        return histories(healthy_plan(generator, name), generator)
    plan = replace(healthy_plan(generator), **sabotage.plan)
    return histories(plan, generator, **sabotage.settings(plan, generator))


def raised_in(evaluations: Iterable[RunHistory], names: Sequence[str]) -> set[str]:
    """The alarms of these that are raised at any evaluation of a run; no more is made than that takes."""
    raised: set[str] = set()
    for history in evaluations:
        raised.update(name for name in names if name not in raised and ALARMS[name](history) is not None)
        if len(raised) == len(names):
            break
    return raised


def table(folder: Path, date: str) -> None:
    """Prints the tables of docs/alarms.md and writes the counts that screens show."""
    parts = [json.loads(path.read_text()) for path in sorted(folder.glob("row-*.json"))]
    healthy = [part for part in parts if "healthy" in part]
    sabotaged = [part for part in parts if "sabotage" in part]
    rates = {
        name: {
            "healthy": _counts(name, (part for part in healthy if name in part["raised"])),
            "sabotaged": _counts(name, (part for part in sabotaged if part["alarm"] == name and not part["weak"])),
        }
        for name in ALARMS
    }
    trained = [json.loads(path.read_text()) for path in sorted(folder.glob("trained-*.json"))]
    FILE.write_text(json.dumps({"date": date, "rates": rates, "rows": parts, "trained": trained}, indent=1) + "\n")
    _print_healthy(healthy)
    _print_sabotaged(sabotaged)
    for part in trained:
        _print_trained(part)


def _counts(name: str, parts: Iterable[dict[str, Any]]) -> list[int]:
    """Runs that raised this alarm and all runs, over some rows."""
    raised, runs = zip(*((part["raised"][name], part["runs"]) for part in parts), strict=True)
    return [sum(raised), sum(runs)]


def _print_healthy(parts: Sequence[dict[str, Any]]) -> None:
    kinds = [HEALTHY[part["healthy"]] for part in parts]
    print(f"| alarm | {' | '.join(kinds)} |\n|{' --- |' * (len(parts) + 1)}")
    for name in ALARMS:
        cells = [_share(part["raised"][name], part["runs"]) if name in part["raised"] else "" for part in parts]
        print(f"| {name} | {' | '.join(cells)} |")


def _print_sabotaged(parts: Sequence[dict[str, Any]]) -> None:
    print("\n| alarm | sabotage | raised |\n| --- | --- | --- |")
    for name in ALARMS:
        for part in (part for part in parts if part["alarm"] == name):
            weak = " (weak)" if part["weak"] else ""
            print(f"| {name} | {part['sabotage']}{weak} | {_share(part['raised'][name], part['runs'])} |")


def _print_trained(part: dict[str, Any]) -> None:
    print(f"\n| {part['model']} model, {part['updates']} updates | alarm that is meant | raised | also raised |")
    print("| --- | --- | --- | --- |")
    for name, found in part["cases"].items():
        runs, meant = found["raised"], found["alarm"]
        others = sorted({alarm for run in runs for alarm in run if alarm != meant})
        also = ", ".join(f"{other} {sum(other in run for run in runs)} / {len(runs)}" for other in others) or "none"
        hits = f"{sum(meant in run for run in runs)} / {len(runs)}" if meant else "–"
        print(f"| {name} | {meant or 'none'} | {hits} | {also} |")


def _share(raised: int, runs: int) -> str:
    low, high = wilson(raised / runs, runs)
    return f"{raised} / {runs} ({100 * low:.1f} to {100 * high:.1f} %)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    simulating = commands.add_parser("simulate")
    simulating.add_argument("--rows", type=int, nargs="*", help="places in the table; all by default")
    simulating.add_argument("--runs", type=int, default=200)
    training = commands.add_parser("train")
    training.add_argument("--model", choices=["tiny", "builtin"], default="tiny")
    training.add_argument("--seeds", type=int, default=2)
    training.add_argument("--updates", type=int, default=9)
    training.add_argument("--cases", nargs="*", default=[], help="names in `sabotaged_runs.CASES`; all by default")
    for command in (simulating, training):
        command.add_argument("--to", type=Path, required=True)
    showing = commands.add_parser("table")
    showing.add_argument("folder", type=Path)
    showing.add_argument("--date", required=True)
    chosen = parser.parse_args()
    if chosen.command == "table":
        table(chosen.folder, chosen.date)
        return
    chosen.to.mkdir(parents=True, exist_ok=True)
    if chosen.command == "train":
        import sabotaged_runs  # loads torch, which nothing else here needs

        sabotaged_runs.train_all(chosen.model, chosen.seeds, chosen.updates, chosen.cases, chosen.to)
        return
    draw_once()
    judge_texts_once()
    for row in chosen.rows or range(len(rows())):
        started = time.perf_counter()
        result = simulate(row, chosen.runs)
        print(json.dumps(result), f"{time.perf_counter() - started:.0f} s", flush=True)
        (chosen.to / f"row-{row:02d}.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
