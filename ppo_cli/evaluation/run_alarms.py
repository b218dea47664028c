"""Alarms and advice of a run from its records alone: while it trains, at its end, or of a finished run.

alarms.json in the run folder keeps the names of the alarms of every evaluation, and of the last one the evidence and
the advice too.

Never imports torch. Not here: the alarms (`alarms`), how they are shown (`reports.alarms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ppo_cli.alarms import check_all
from ppo_cli.alarms.advice import command_line, suggest_after_comparison, suggest_after_training
from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.behaviours.measures import measure_named, measures_of
from ppo_cli.errors import IntegrityError
from ppo_cli.evaluation.evaluation_data import EvaluationData, compare_with_baseline
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.results import ComparisonResult
from ppo_cli.stats.label_matrix import common_matrices
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.files import read_json, write_json
from ppo_cli.store.runs import Run


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the records of a run show at one evaluation."""

    alarms: tuple[Alarm, ...]
    advice: Advice | None


def check_alarms(
    records: RunRecords, before: EvaluationData, after: EvaluationData, comparison: Comparison, step: int
) -> Findings:
    """Checks all alarms on the records of a run up to an evaluation.

    Args:
        records: of the run.
        before: the evaluation of step 0.
        after: this evaluation.
        comparison: of both.
        step: updates that were done.
    """
    history = _run_history(records, before, after, comparison, step)
    alarms = check_all(history)
    return Findings(alarms=alarms, advice=suggest_after_training(history, alarms, str(records.layout.config)))


def save(run: Run, step: int, findings: Findings, *, last: bool) -> None:
    """Writes alarms.json anew, with the names of the alarms of earlier evaluations.

    Args:
        run: its folder.
        step: updates that were done.
        findings: at this evaluation.
        last: whether this is the final evaluation.
    """
    earlier = read_json(run.layout.alarms)["by_step"] if run.layout.alarms.is_file() else {}
    by_step = {key: names for key, names in earlier.items() if int(key) < step}
    by_step[str(step)] = [alarm.name for alarm in findings.alarms]
    record: dict[str, Any] = {
        "step": step,
        "last": last,
        "by_step": by_step,
        "alarms": [asdict(alarm) for alarm in findings.alarms],
    }
    if findings.advice is not None:
        # The command is left out, for it names the folder, and the same run has the same bytes wherever it is.
        record["advice"] = {key: value for key, value in asdict(findings.advice).items() if key != "command"}
    write_json(run.layout.alarms, record)


def load_or_compute(records: RunRecords, after: EvaluationData, step: int) -> Findings:
    """Alarms and advice of a finished run: from alarms.json, or computed for an evaluation made after training.

    Args:
        records: of the run.
        after: its last evaluation on the whole set.
        step: of that evaluation.
    """
    saved = _saved(records.run, step)
    if saved is not None:
        return saved
    layout = records.layout
    if step == 0 or not is_complete(layout.evaluation(0)) or not layout.rollouts.is_file():
        return Findings(alarms=(), advice=None)
    before = records.evaluation(0)
    return check_alarms(records, before, after, compare_with_baseline(before, after, records.experiment), step)


def recorded_names(run: Run) -> tuple[str, ...] | None:
    """Names of the alarms at the last evaluation; None where they have not been checked yet.

    Raises:
        IntegrityError: alarms.json is damaged.
    """
    if not run.layout.alarms.is_file():
        return None
    try:
        return tuple(str(alarm["name"]) for alarm in read_json(run.layout.alarms)["alarms"])
    except (KeyError, TypeError):
        raise IntegrityError(f"{run.layout.alarms} is damaged.", "Delete it: it can be made again.") from None


def next_step(
    result: ComparisonResult, runs: tuple[Run, Run], findings: Findings, seeds: Sequence[int]
) -> Advice | None:
    """The advice after a comparison: that of the second run's alarms where it has any, else from the comparison.

    Args:
        result: the comparison.
        runs: the first run of each arm.
        findings: in the records of the second run.
        seeds: of all runs compared.
    """
    if result.same_run:
        return None
    if findings.alarms and len(result.variables) <= 1:
        return findings.advice
    first, second = runs
    return suggest_after_comparison(
        result,
        measure_named(result.comparison.primary),
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
        line = _command_of(run, advice) if advice else ""
        return Findings(alarms=alarms, advice=Advice(**advice, command=line) if advice else None)
    except (KeyError, TypeError):
        raise IntegrityError(f"{run.layout.alarms} is damaged.", "Delete it: it can be made again.") from None


def _command_of(run: Run, advice: Mapping[str, str]) -> str:
    return command_line(advice["key"], advice["value"], run.layout.config, run.experiment().round)


def _run_history(
    records: RunRecords, before: EvaluationData, after: EvaluationData, comparison: Comparison, step: int
) -> RunHistory:
    ((start,), (now,)) = common_matrices([before.matrix], [after.matrix])
    return RunHistory(
        experiment=records.experiment,
        changed_keys=tuple(records.state.changed_keys),
        metrics=[row for row in records.metrics if row["update"] <= step],
        episodes=[episode for episode in records.episodes if episode.update <= step] if step else [],
        train=records.prompts("prompts.train"),
        warm_start=records.prompts("model.warm_start"),
        evaluation=records.prompts("prompts.eval"),
        before=start,
        after=now,
        comparison=comparison,
        measures={measure.name: measure for measure in measures_of(records.experiment)},
    )
