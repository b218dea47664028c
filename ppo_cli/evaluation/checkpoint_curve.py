"""`ppo eval` on several checkpoints of a run, or on all of them: behaviour and KL, one row per checkpoint.

Existing evaluations are read, interim ones too; a checkpoint without one is evaluated. All rows are on the prompts that
every evaluation answered, so that they can be compared with each other.

Not here: a single checkpoint (`evaluate`), the chart (`reports.charts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ppo_cli.behaviours.measures import is_headline, measure_named, measures_of
from ppo_cli.errors import UsageError
from ppo_cli.evaluation.evaluate import rescore_evaluation, sample_and_measure
from ppo_cli.evaluation.evaluation_data import EvaluationData, compare_with_baseline
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.evaluation.target import EvaluationTarget, find_target
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.program import command
from ppo_cli.records.results import CheckpointCurveResult, CheckpointRow
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.setup.own_runs import OWN_RUN, ReceivedRunOptions
from ppo_cli.stats.pareto import pareto_front
from ppo_cli.store.evaluations import is_complete, read_summary
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import find_run

KL = "kl.per_answer"


def names_a_run(name: str | Path, runs_dir: str | Path = "runs") -> bool:
    """Whether a name is that of a run, not of a checkpoint."""
    return any((folder / "run.json").is_file() for folder in (Path(name), Path(runs_dir) / name))


def evaluate_checkpoints(
    checkpoints: Sequence[str | Path],
    *,
    prompts: str | Path | None = None,
    rescore: bool = False,
    runs_dir: str | Path = "runs",
    received: ReceivedRunOptions = OWN_RUN,
    on_event: EventHandler = ignore_events,
) -> CheckpointCurveResult:
    """Several checkpoints of one run side by side, each compared with step 0.

    Args:
        checkpoints: checkpoints, RUN/best, RUN/last, or a run for all of its checkpoints.
        prompts: other prompts instead of the run's evaluation set.
        rescore: measure existing answers by the current rules; generates nothing.
        runs_dir: folder of run folders.
        received: what the user says of a run that was made on another machine.
        on_event: called with progress.

    Raises:
        UsageError: checkpoints of several runs, or of none.
        IntegrityError: something was changed after freezing.

    Example:
        >>> curve = evaluate_checkpoints(["runs/refusal-kl0.15-s1-7f3a9c"])
        >>> [(row.step, row.kl, row.primary.value) for row in curve.rows]
    """
    folder, names = Path(runs_dir), [str(name) for name in checkpoints]
    opened: dict[Path, RunRecords] = {}
    asked = None if prompts is None else str(prompts)
    targets: dict[Path, EvaluationTarget] = {}
    for checkpoint in [path for name in names for path in _checkpoints_of(name, folder)]:
        target = find_target(checkpoint, config=None, prompts=asked, runs_dir=folder, opened=opened)
        targets.setdefault(target.folder, target)
    records = [target.records for target in targets.values() if target.records is not None]
    if len(records) < len(targets) or len({run.name for run in records}) != 1:
        raise UsageError(
            "Several checkpoints are shown together only if they are of one run.",
            f"For two runs: {command('compare', 'A', 'B')}",
        )
    whole = not any(names_a_run(name, folder) for name in names)
    evaluated: dict[int, EvaluationData] = {}
    for target in targets.values():
        if rescore and is_complete(target.folder):
            data: EvaluationData | None = rescore_evaluation(target, on_event)
        elif not rescore and _is_missing(target, whole=whole):
            data, _ = sample_and_measure(target, on_event, received)
        else:
            data = target.read() if is_complete(target.folder) else None
        if data is not None and target.step is not None:
            evaluated[target.step] = data
    first = next(iter(targets.values()))
    baseline = None if 0 in evaluated else first.read_baseline()
    return _result(first, records[0], evaluated if baseline is None else {0: baseline, **evaluated})


def _checkpoints_of(name: str, runs_dir: Path) -> list[str]:
    """A run as all of its steps that have a checkpoint or an evaluation; anything else as it is."""
    if not names_a_run(name, runs_dir):
        return [name]
    layout = find_run(name, runs_dir).layout
    folders = [*layout.checkpoints.iterdir(), *layout.evaluations.iterdir()]
    steps = {step for folder in folders if (step := step_of(folder)) is not None}
    return [str(layout.checkpoint(step)) for step in sorted(steps)]


def _is_missing(target: EvaluationTarget, *, whole: bool) -> bool:
    """Whether answers have to be generated: there are none, or interim ones where `whole`, and the checkpoint is there.

    Args:
        target: a checkpoint.
        whole: whether an interim evaluation is not enough.
    """
    if is_complete(target.folder) and not (whole and read_summary(target.folder).get("partial")):
        return False
    return Path(target.checkpoint).is_dir()


def _result(
    target: EvaluationTarget, records: RunRecords, evaluated: dict[int, EvaluationData]
) -> CheckpointCurveResult:
    """The rows of these evaluations.

    Args:
        target: any of the checkpoints.
        records: of their run.
        evaluated: by step.
    """
    if 0 not in evaluated or len(evaluated) < 2:
        raise UsageError(
            "There is no evaluation of step 0 and of a later step to compare.",
            f"Evaluate one first: {command('eval', '--checkpoint', 'RUN/last')}",
        )
    experiment = target.experiment
    common = set.intersection(*(set(data.prompts) for data in evaluated.values()))
    primary = experiment.evaluation.primary
    headlines = [measure for measure in measures_of(experiment) if is_headline(measure, primary)]
    on_common = {step: data.only(common) for step, data in sorted(evaluated.items())}
    rows = []
    for step, data in on_common.items():
        changes = compare_with_baseline(on_common[0], data, experiment).changes
        estimates = {estimate.name: estimate for estimate in data.estimates(headlines)}
        checkpoint = records.layout.checkpoint(step)
        rows.append(
            CheckpointRow(
                step=step,
                checkpoint=str(checkpoint) if checkpoint.is_dir() else None,
                kl=estimates[KL].value,
                primary=estimates[primary],
                change=next(change for change in changes if change.name == primary) if step else None,
                estimates=tuple(estimates.values()),
            )
        )
    better = measure_named(primary).better
    front = pareto_front([(row.kl, row.primary.value) for row in rows], better) if better else [False] * len(rows)
    return CheckpointCurveResult(
        run=records.name,
        goal=experiment.goal,
        primary=primary,
        prompts=len(common),
        of_prompts=len(target.prompts),
        samples_per_prompt=experiment.evaluation.samples_per_prompt,
        rows=tuple(replace(row, frontier=on) for row, on in zip(rows, front, strict=True)),
        rewarded_measures=measures_also_rewarded(experiment),
    )
