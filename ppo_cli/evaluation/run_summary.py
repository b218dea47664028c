"""`ppo show RUN`: the story of one run, from its records alone.

Never imports torch. Not here: two runs side by side (`compare`), the screen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.evaluation.evaluate import EvaluationData, compare_with_baseline, read_evaluation
from ppo_cli.evaluation.human_labels import with_human_labels
from ppo_cli.evaluation.run_alarms import recorded_names
from ppo_cli.evaluation.run_list import settings_of
from ppo_cli.experiment.schema import ROUNDS, Experiment
from ppo_cli.prompts.jsonl import read_prompts
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.results import RunSummary
from ppo_cli.records.training import RunState
from ppo_cli.setup.resolve import INPUTS
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, find_run
from ppo_cli.store.sweeps import sweeps_with


def summarise_run(name: str, *, output: Path) -> RunSummary:
    """Tells what became of a run.

    Args:
        name: run folder, or its name in the output folder.
        output: folder of run folders.

    Raises:
        UsageError: no such run.
        IntegrityError: it was changed after freezing, or a record is damaged.
    """
    run = find_run(name, output)
    experiment, _ = run.verify()
    state, metrics = run.state(), run.metrics()
    step, partial, comparison = _from_start_to_end(run, experiment)
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
    )


def _from_start_to_end(run: Run, experiment: Experiment) -> tuple[int | None, bool, Comparison | None]:
    """The last evaluation on the whole set against step 0; of a run without one, its last interim evaluation."""
    folder = run.layout.evaluations
    steps = sorted(step for path in folder.iterdir() if (step := step_of(path)) is not None and is_complete(path))
    if 0 not in steps or len(steps) < 2:
        return (steps[-1] if steps else None), False, None
    prompts = read_prompts(run.layout.root / INPUTS["prompts.eval"])

    def read(step: int) -> EvaluationData:
        return read_evaluation(run.layout.evaluation(step), prompts, f"step {step}")

    last = read(steps[-1])
    start = read(0)
    by_rule, effect = compare_with_baseline(start, last, experiment), experiment.evaluation.smallest_effect
    return steps[-1], last.partial, with_human_labels(by_rule, [(run, 0)], [(run, steps[-1])], start.prompts, effect)


def _parent_values(run: Run, state: RunState) -> dict[str, Any]:
    """What the parent has for the keys that were changed, if it still lies beside the run."""
    if state.parent is None:
        return {}
    try:
        parent = find_run(state.parent, run.layout.root.parent)
        values = settings_of(parent, parent.experiment())
    except (UsageError, IntegrityError):
        return {}
    return {key: values[key] for key in state.changed_keys if key in values}


def _files(run: Run) -> tuple[str, ...]:
    """The record of every episode, the answers of the last evaluation, the last checkpoint, the reports."""
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
            return f"ppo train --resume {run.layout.root}"
        case "running":
            return f"ppo show {run.layout.root}"
        case _ if state.parent:
            return f"ppo compare {run.layout.root.parent / state.parent} {run.layout.root}"
        case _:
            return f"ppo train {run.layout.config} --parent {run.layout.root} kl.coef=…"
