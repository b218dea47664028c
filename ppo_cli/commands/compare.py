"""`ppo compare`: may two runs be compared, what differs between them, and what changed in behaviour.

Never imports torch. Not here: the statistics, the screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ppo_cli.analysis.comparability import comparability
from ppo_cli.analysis.comparison import compare as compare_samples
from ppo_cli.behaviours.catalog import MEASURES
from ppo_cli.commands.evaluate import Evaluated, read_evaluation
from ppo_cli.commands.ground import INPUTS
from ppo_cli.errors import IntegrityError, NotComparable, UsageError
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.reading import read_prompts
from ppo_cli.records import ComparisonOutcome
from ppo_cli.rewards.graded import graded
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.files import read_json
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, find_run


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One run as one side of a comparison."""

    run: Run
    experiment: Experiment
    lock: Lock
    evaluated: Evaluated
    """Its last evaluation on the whole set."""
    step: int


def compare(names: Sequence[str], *, output: Path, allow_confounded: bool = False) -> list[ComparisonOutcome]:
    """Compares the first run with each of the others.

    Args:
        names: two or more run folders, or their names in the output folder.
        output: folder of run folders.
        allow_confounded: compare although more than one treatment differs.

    Raises:
        UsageError: fewer than two runs, no such run, or one that is not finished.
        NotComparable: other prompts or other sampling, or more than one treatment differs.
        IntegrityError: a run was changed after freezing, or holds no whole evaluation.
    """
    if len(names) < 2:
        raise UsageError("A comparison needs two runs.", "List them with `ppo runs`.")
    first, *others = [_arm(find_run(name, output)) for name in names]
    return [_pair(first, other, allow_confounded) for other in others]


def _pair(before: Arm, after: Arm, allow_confounded: bool) -> ComparisonOutcome:
    found = comparability(
        before.lock,
        after.lock,
        _confounders(before.run),
        _confounders(after.run),
        same_run=before.run.layout == after.run.layout,
    )
    if found.refused:
        raise NotComparable(
            f"{before.run.name} and {after.run.name} are not comparable: {'; '.join(found.refused)}.",
            "Compare runs of the same evaluation set, rendered prompts and generation settings.",
        )
    if found.is_confounded and not allow_confounded:
        raise NotComparable(
            f"Confounded: {len(found.treatments)} variables differ ({', '.join(found.treatments)}), so no change "
            "can be put down to one of them.",
            "Make the runs in between, one change each, or look anyway with --allow-confounded.",
        )
    settings = before.experiment.evaluation
    same_reward = before.experiment.reward == after.experiment.reward
    comparison = compare_samples(
        (before.run.name, after.run.name),
        before.evaluated.labelled,
        after.evaluated.labelled,
        [measure for measure in MEASURES if same_reward or measure.family != "reward"],
        {**before.evaluated.prompts, **after.evaluated.prompts},
        primary=settings.primary,
        smallest_effect=settings.smallest_effect,
    )
    return ComparisonOutcome(
        before=before.run.name,
        after=after.run.name,
        goal=before.experiment.goal,
        steps=(before.step, after.step),
        agrees=found.agrees,
        treatments=found.treatments,
        seeds=found.seeds,
        confounders=found.confounders,
        same_run=found.same_run,
        comparison=replace(
            comparison, graded=graded({**before.experiment.reward.terms, **after.experiment.reward.terms})
        ),
    )


def _arm(run: Run) -> Arm:
    experiment, lock = run.verify()
    state = run.state()
    if state.status not in ("finished", "stopped"):
        resume = f"ppo train --resume {run.layout.root}"
        raise UsageError(
            f"{run.name} is not finished ({state.status}).",
            "Wait for it to end." if state.status == "running" else f"Finish it first: {resume}",
        )
    prompts = read_prompts(run.layout.root / INPUTS["prompts.eval"])
    whole = [
        (step, folder)
        for folder in sorted(run.layout.evaluations.iterdir())
        if (step := step_of(folder)) is not None and is_complete(folder)
    ]
    for step, folder in reversed(whole):
        evaluated = read_evaluation(folder, prompts, run.name)
        if not evaluated.partial:
            return Arm(run=run, experiment=experiment, lock=lock, evaluated=evaluated, step=step)
    raise IntegrityError(f"{run.name} has no complete evaluation.", "Make one with `ppo eval --checkpoint …`.")


def _confounders(run: Run) -> dict[str, str]:
    """What moved results without being asked to: versions, machine, type of weights."""
    record = read_json(run.layout.provenance)
    git = record.get("git") or {}
    packages = record.get("packages", {})
    return {
        **{name: str(packages.get(name)) for name in ("torch", "transformers", "trl", "peft", "ppo-cli")},
        "git": f"{git.get('commit', 'none')[:10]}{' dirty' if git.get('dirty') else ''}",
        "device": str(record.get("gpu") or record.get("device")),
        "processor": str(record.get("machine", {}).get("processor")),
        "dtype": str(record.get("dtype")),
        "threads": str(record.get("threads")),
    }
