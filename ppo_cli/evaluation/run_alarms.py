"""Alarms and advice of a run from its records alone: while it trains, at its end, or of a run long finished.

alarms.json in the run folder keeps the alarms of every evaluation, and of the last one evidence and advice too.

Never imports torch. Not here: the alarms (`analysis.alarms`), how they look (`report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ppo_cli.alarms.advice import suggest_after_comparison, suggest_after_training
from ppo_cli.alarms.all_alarms import check_all
from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.behaviours.measures import MEASURES, measure_named
from ppo_cli.errors import IntegrityError
from ppo_cli.evaluation.evaluate import EvaluationData, compare_with_baseline, read_evaluation
from ppo_cli.prompts.jsonl import read_prompts
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.results import ComparisonResult
from ppo_cli.records.training import Episode
from ppo_cli.setup.resolve import INPUTS
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.files import read_json, read_lines, write_json
from ppo_cli.store.runs import Run


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the records of a run show at one evaluation."""

    alarms: tuple[Alarm, ...]
    advice: Advice | None


def check_alarms(
    run: Run, before: EvaluationData, after: EvaluationData, comparison: Comparison, step: int
) -> Findings:
    """Looks at everything that the run has recorded up to an evaluation.

    Args:
        run: its folder.
        before: the evaluation of step 0.
        after: this evaluation.
        comparison: of both.
        step: updates that were done.
    """
    seen = _run_history(run, before, after, comparison, step)
    alarms = check_all(seen)
    return Findings(alarms=alarms, advice=suggest_after_training(seen, alarms, str(run.layout.config)))


def save(run: Run, step: int, found: Findings, *, last: bool) -> None:
    """Writes alarms.json anew, with what earlier evaluations rang before."""
    earlier = read_json(run.layout.alarms)["looks"] if run.layout.alarms.is_file() else {}
    looks = {key: names for key, names in earlier.items() if int(key) < step}
    looks[str(step)] = [alarm.name for alarm in found.alarms]
    kept: dict[str, Any] = {
        "step": step,
        "last": last,
        "looks": looks,
        "alarms": [asdict(alarm) for alarm in found.alarms],
    }
    if found.advice is not None:
        # The folder is left out of the command, so that the same run has the same bytes wherever it lies.
        kept["advice"] = {key: value for key, value in asdict(found.advice).items() if key != "command"}
    write_json(run.layout.alarms, kept)


def load_or_compute(run: Run, after: EvaluationData, step: int) -> Findings:
    """Alarms and advice of a finished run: as it kept them, or, of a run older than alarms, made from its records.

    Args:
        run: its folder.
        after: its last evaluation on the whole set.
        step: of that evaluation.
    """
    kept = _saved(run, step)
    if kept is not None:
        return kept
    folder = run.layout.evaluation(0)
    if step == 0 or not is_complete(folder) or not run.layout.rollouts.is_file():
        return Findings(alarms=(), advice=None)
    before = read_evaluation(folder, _prompts(run, "prompts.eval"), "step 0")
    return check_alarms(run, before, after, compare_with_baseline(before, after, run.experiment()), step)


def recorded_names(run: Run) -> tuple[str, ...] | None:
    """Names of the alarms that rang last; None where nobody has looked.

    Raises:
        IntegrityError: the record is damaged.
    """
    if not run.layout.alarms.is_file():
        return None
    try:
        return tuple(str(alarm["name"]) for alarm in read_json(run.layout.alarms)["alarms"])
    except (KeyError, TypeError):
        raise IntegrityError(f"{run.layout.alarms} is damaged.", "Delete it: it can be made again.") from None


def next_step(outcome: ComparisonResult, runs: tuple[Run, Run], found: Findings, seeds: Sequence[int]) -> Advice | None:
    """What to try after a comparison; where the second run rings alarms, what they ask for comes first.

    Args:
        outcome: the comparison.
        runs: the first run of each arm.
        found: what the records of the second run show.
        seeds: of all runs compared.
    """
    if outcome.same_run:
        return None
    if found.alarms and len(outcome.variables) <= 1:
        return found.advice
    first, second = runs
    return suggest_after_comparison(
        outcome,
        measure_named(outcome.comparison.primary),
        round_=second.experiment().round,
        configs=(str(first.layout.config), str(second.layout.config)),
        seeds=seeds,
    )


def _saved(run: Run, step: int) -> Findings | None:
    if not run.layout.alarms.is_file():
        return None
    record = read_json(run.layout.alarms)
    if record.get("step") != step or not record.get("last"):
        return None
    try:
        alarms = tuple(Alarm(**{**row, "evidence": tuple(row["evidence"])}) for row in record["alarms"])
        advice = record.get("advice")
        command = f"ppo train {run.layout.config} {advice['key']}={advice['value']}" if advice else ""
        return Findings(alarms=alarms, advice=Advice(**advice, command=command) if advice else None)
    except (KeyError, TypeError):
        raise IntegrityError(f"{run.layout.alarms} is damaged.", "Delete it: it can be made again.") from None


def _run_history(
    run: Run, before: EvaluationData, after: EvaluationData, comparison: Comparison, step: int
) -> RunHistory:
    rows = [row for row in run.metrics() if row["update"] <= step]
    episodes = [row for row in read_lines(run.layout.rollouts) if row["update"] <= step] if step else []
    table, now = label_matrix(before.labelled), label_matrix(after.labelled)
    common = sorted(set(table.prompt_ids) & set(now.prompt_ids))
    return RunHistory(
        experiment=run.experiment(),
        changed=tuple(run.state().changed_keys),
        metrics=rows,
        episodes=[Episode(**row) for row in episodes],
        train=_prompts(run, "prompts.train"),
        warm_start=_prompts(run, "model.warm_start"),
        evaluation=_prompts(run, "prompts.eval"),
        before=table.select(common),
        after=now.select(common),
        comparison=comparison,
        measures={measure.name: measure for measure in MEASURES},
    )


def _prompts(run: Run, key: str) -> Sequence[Prompt]:
    path = run.layout.root / INPUTS[key]
    return read_prompts(path) if path.is_file() else []
