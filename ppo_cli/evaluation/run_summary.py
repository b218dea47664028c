"""`ppo show`: a summary of one run from its records alone.

Never imports torch. Not here: two runs side by side (`compare`), the screen (`reports.screens.show`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.evaluation.evaluation_data import compare_with_baseline, measures_shown
from ppo_cli.evaluation.human_labels import with_human_labels
from ppo_cli.evaluation.run_alarms import recorded_names
from ppo_cli.evaluation.run_list import settings_of
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.program import command
from ppo_cli.records.results import RunSummary
from ppo_cli.records.training import RunState
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, find_run
from ppo_cli.store.sweeps import sweeps_with


def summarise_run(run: str | Path | Run, *, runs_dir: str | Path = "runs") -> RunSummary:
    """What a run changed, how it ended, what came of it, and what to do next.

    Args:
        run: a run folder, or its name in `runs_dir`.
        runs_dir: folder of run folders.

    Raises:
        UsageError: no such run.
        IntegrityError: it was changed after freezing, or a record is damaged.

    Example:
        >>> summarise_run("runs/refusal-kl0.15-s1-7f3a9c").comparison.verdict
        'CHANGED'
    """
    records = RunRecords.verified(find_run(run, Path(runs_dir)))
    run, experiment, state, metrics = records.run, records.experiment, records.state, records.metrics
    step, partial, comparison = last_against_start(records)
    question, _ = ROUNDS[experiment.round]
    return RunSummary(
        state=state,
        folder=str(run.layout.root),
        goal=experiment.goal,
        round=experiment.round,
        question=question,
        updates=experiment.ppo.updates,
        parent_values=_parent_values(run, state),
        step=step,
        partial=partial,
        comparison=comparison,
        kl=tuple(float(row["kl"]) for row in metrics),
        kl_stop_at=experiment.kl.stop_at,
        reward=tuple(float(row["reward"]) for row in metrics),
        alarms=recorded_names(run),
        files=_files(run),
        next_command=_next_command(run, state),
        sweeps=tuple(sweeps_with(run.layout.root.parent, run.name)),
        placebo=experiment.reward.placebo,
    )


def last_against_start(records: RunRecords) -> tuple[int | None, bool, Comparison | None]:
    """The last evaluation, interim or not: its step, whether it is partial, and its headlines against step 0.

    Raises:
        IntegrityError: an evaluation is not complete, or was changed.
    """
    steps = records.evaluated_steps()
    if 0 not in steps or len(steps) < 2:
        return (steps[-1] if steps else None), False, None
    experiment = records.experiment
    start, last = records.evaluation(0), records.evaluation(steps[-1])
    by_rule = compare_with_baseline(start, last, experiment, measures_shown(experiment, partial=True))
    effect = experiment.evaluation.smallest_effect
    return steps[-1], last.partial, with_human_labels(by_rule, [start], [last], start.prompts, effect)


def _parent_values(run: Run, state: RunState) -> dict[str, Any]:
    """The parent's values of the keys that were changed; none where its folder is not beside the run."""
    if state.parent is None:
        return {}
    try:
        parent = find_run(state.parent, run.layout.root.parent, exact=True)
        values = settings_of(parent, parent.experiment())
    except (UsageError, IntegrityError):
        return {}
    return {key: values[key] for key in state.changed_keys if key in values}


def _files(run: Run) -> tuple[str, ...]:
    """The episodes, the last evaluation, the last checkpoint and the reports, as far as they are there."""
    layout = run.layout
    last = [
        max((path for path in folder.iterdir() if step_of(path) is not None), default=None)
        for folder in (layout.evaluations, layout.checkpoints)
        if folder.is_dir()
    ]
    wanted = [layout.rollouts, *last, *(sorted(layout.reports.iterdir()) if layout.reports.is_dir() else [])]
    return tuple(str(path.relative_to(layout.root)) for path in wanted if path is not None and path.exists())


def _next_command(run: Run, state: RunState) -> str:
    match state.status:
        case "interrupted" | "failed":
            return command("train", "--resume", run.layout.root)
        case "running":
            return command("show", run.layout.root)
        case _ if state.parent:
            return command("compare", run.layout.root.parent / state.parent, run.layout.root)
        case _:
            change = f"kl.coef={_other_kl_coef(run.experiment().kl.coef):g}"
            return command("train", run.layout.config, "--parent", run.layout.root, change)


def _other_kl_coef(coef: float) -> float:
    """A value to try next: half of the run's, or a common one where that is 0."""
    return float(f"{coef / 2:.2g}") if coef > 0 else 0.05
