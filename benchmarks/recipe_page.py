"""Prints what a recipe's page in docs/recipes/ says of its runs: a row per seed, means with t intervals, some answers.

    python benchmarks/recipe_page.py runs/refusal-seeds --measures refusal.separation ... --draw 7

RUNS holds the folders of finished runs of one config with different seeds; runs with `reward.placebo` are a table of
their own. Every run is in a table. The answers are drawn at random, with the seed that is printed, from the last
evaluation of the first run: those that do not refuse a prompt that should be answered. With --write-seed-noise the
standard deviation of every headline over the seeds goes to configs/seed_noise.json, from where `ppo train`, `ppo eval`,
`ppo report` and `ppo compare` show it for single runs of this very recipe.

Not here: training (`recipe_search.py`), the verdict of seeds or of a placebo (`ppo compare`).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ppo_cli.behaviours import refusal
from ppo_cli.behaviours.label_answers import RULES_VERSION
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.evaluation.compared_runs import compared_run, group_by_setting, same_seed_twice
from ppo_cli.evaluation.known_seed_noise import measured_seed_noise
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.measures import Measure
from ppo_cli.reports.seed_noise import single_run_sentence
from ppo_cli.setup.recipes import templates_folder
from ppo_cli.stats.comparability import setting_digest
from ppo_cli.stats.intervals import t_interval
from ppo_cli.store.seed_noise import FILE, write_recipe_seed_noise

ANSWERS = 10
SEEDS_OF_RECIPES = 5
"""From this many seeds on a recipe ships its seed noise."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("runs", type=Path, help="folder of run folders, at any depth")
    parser.add_argument("--measures", nargs="+", required=True, help="the columns, as docs/glossary.md names them")
    parser.add_argument("--draw", type=int, default=7, help="seed of the drawn answers")
    parser.add_argument("--write-seed-noise", action="store_true", help=f"of {SEEDS_OF_RECIPES} seeds or more")
    options = parser.parse_args()
    measures = [measure_named(name) for name in options.measures]
    finished = [path.parent for path in sorted(options.runs.rglob("alarms.json"))]
    runs = sorted((_settings(folder)["seed"], folder) for folder in finished if not _is_placebo(folder))
    placebos = sorted((_settings(folder)["seed"], folder) for folder in finished if _is_placebo(folder))
    print_table("Rewards as the config says", runs, measures)
    if placebos:
        print_table("Placebo: the same rewards, permuted among the answers of each update", placebos, measures)
    print_answers(runs[0][1], options.draw)
    if options.write_seed_noise:
        write_seed_noise([folder for _, folder in runs], templates_folder() / FILE)


def write_seed_noise(folders: Sequence[Path], file: Path) -> None:
    """Writes the seed noise of a recipe into the file that is shipped, and prints the sentence that users will read.

    Args:
        folders: finished runs of one recipe, placebos left out.
        file: of all recipes.
    """
    arms = group_by_setting([compared_run(folder, folder.parent) for folder in folders])
    if len(arms) != 1 or same_seed_twice(arms[0]) or len(arms[0]) < SEEDS_OF_RECIPES:
        raise SystemExit(
            f"The seed noise takes {SEEDS_OF_RECIPES} runs or more that differ in their seed only; these "
            f"{len(folders)} runs are of {len(arms)} settings."
        )
    (arm,) = arms
    noise = measured_seed_noise(arm, recipe=arm[0].experiment.name)
    write_recipe_seed_noise(file, setting_digest(arm[0].lock), noise, RULES_VERSION)
    print(f"\n{file}: {single_run_sentence(noise, arm[0].experiment.evaluation.primary)}")


def print_table(title: str, runs: Sequence[tuple[int, Path]], measures: Sequence[Measure]) -> None:
    """A row per run, then the mean of each column; of changes with the 95 % t interval over seeds."""
    print(f"\n{title}:\n")
    titles = [measure.title.strip() for measure in measures]
    print("| " + " | ".join(["seed", *titles, "KL, last update", "largest KL", "largest approx_kl", "alarms"]) + " |")
    print("| --- |" + " --- |" * (len(measures) + 4))
    values = []
    for seed, folder in runs:
        first, last = (_estimates(step) for step in _first_and_last(folder))
        values.append([(first[measure.name], last[measure.name]) for measure in measures])
        cells = [f"{_shown(a, m)} → {_shown(b, m)}" for (a, b), m in zip(values[-1], measures, strict=True)]
        updates = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        alarms = [alarm["name"] for alarm in json.loads((folder / "alarms.json").read_text(encoding="utf-8"))["alarms"]]
        kl, approx_kl = [row["kl"] for row in updates], [row["approx_kl"] for row in updates]
        cells += [f"{kl[-1]:.2f}", f"{max(kl):.2f}", f"{max(approx_kl):.3f}", ", ".join(alarms) or "none"]
        print(f"| {seed} | " + " | ".join(cells) + " |")
    if len(runs) > 1:
        columns = list(zip(*values, strict=True))
        means = [_mean(column, measure) for column, measure in zip(columns, measures, strict=True)]
        print("| mean, and mean change [95 % t interval] | " + " | ".join(means) + " | | | | |")


def print_answers(folder: Path, seed: int) -> None:
    """Answers of the last evaluation, drawn at random."""
    prompts = {prompt.id: prompt for prompt in read_prompts(folder / "inputs" / "eval.jsonl")}
    rows = (_first_and_last(folder)[1] / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [
        (prompts[row["prompt_id"]].text, row["answer"])
        for row in map(json.loads, rows)
        if prompts[row["prompt_id"]].expect != "refuse" and refusal.classify(row["answer"]) in refusal.ANSWERS
    ]
    print(f"\n{ANSWERS} of {len(answers)} answers that do not refuse, drawn with `random.Random({seed})`:\n")
    print("| prompt | answer |\n| --- | --- |")
    for pair in random.Random(seed).sample(answers, ANSWERS):
        print("| " + " | ".join(" ".join(text.replace("|", "\\|").split()) for text in pair) + " |")


def _mean(values: Sequence[tuple[float | None, float | None]], measure: Measure) -> str:
    """Of the last values, with the mean change in brackets; a dash where a run lacks one."""
    known = [(before, after) for before, after in values if before is not None and after is not None]
    if len(known) < len(values):
        return "–"
    changes = [after - before for before, after in known]
    return f"{_shown(statistics.mean(after for _, after in known), measure)} ({_interval(changes, measure)})"


def _interval(changes: Sequence[float], measure: Measure) -> str:
    mean, error = statistics.mean(changes), statistics.stdev(changes) / math.sqrt(len(changes))
    low, high = t_interval(mean, error, len(changes) - 1)
    return f"{_signed(mean, measure)} [{_signed(low, measure)}, {_signed(high, measure)}]"


def _shown(value: float | None, measure: Measure) -> str:
    if value is None:  # no d′ for a policy that refuses everything
        return "–"
    return f"{100 * value:.0f} %" if measure.unit == "%" else f"{value:.2f}"


def _signed(value: float, measure: Measure) -> str:
    return f"{100 * value:+.0f}" if measure.unit == "%" else f"{value:+.2f}"


def _settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    return settings


def _is_placebo(folder: Path) -> bool:
    return bool(_settings(folder)["reward"].get("placebo"))


def _first_and_last(folder: Path) -> tuple[Path, Path]:
    steps = sorted((folder / "eval").glob("step-*"))
    return steps[0], steps[-1]


def _estimates(step: Path) -> dict[str, float | None]:
    summary = json.loads((step / "summary.json").read_text(encoding="utf-8"))
    return {name: estimate["value"] for name, estimate in summary["measures"].items()}


if __name__ == "__main__":
    main()
