"""`ppo train --vary KEY=A,B,C --seeds N`: one experiment in several arms, one after another.

An arm is an ordinary run. Its folder's name follows from what is frozen, so the folder itself says whether an arm is
still to do, begun or done, and the same command typed again goes on where it stopped. sweeps/NAME.json beside the
run folders keeps the set for readers; nothing is decided by it.

Not here: which arms there are (`arms`), carrying out a run (`train`), how it is shown (`report.dose`).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ppo_cli.errors import (
    DiskFullError,
    IntegrityError,
    InterruptedRunError,
    NoPermissionError,
    PpoError,
    RewardUnavailableError,
)
from ppo_cli.evaluation.run_alarms import recorded_names
from ppo_cli.evaluation.run_list import last_evaluation
from ppo_cli.preflight.enforce import enforce_no_overlap
from ppo_cli.preflight.planned_cost import estimate_cost
from ppo_cli.records.events import Event, EventHandler, Notice, RunStarted, ignore_events
from ppo_cli.records.sweep import PlannedArm, SweepArm, SweepPreview, SweepResult
from ppo_cli.report.screens.sweep import sweep_chart_svg
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.setup.parent import check_parent, check_parent_without_model
from ppo_cli.setup.resolve import freeze_inputs, read_inputs, require_trackers, resolve_experiment
from ppo_cli.store.evaluations import SUMMARY, is_complete
from ppo_cli.store.files import disk_errors, read_json, write_json, write_text
from ppo_cli.store.runs import Run
from ppo_cli.store.sweeps import sweep_file
from ppo_cli.training.sweep_plan import PlannedRun, SweepPlan
from ppo_cli.training.train import resume, run_name, train

WAITING, RUNNING, DAMAGED = "waiting", "running", "damaged"
DONE = ("finished", "stopped")
GUARDS = ("refusal.safe", "ending.eos", "form.empty", "form.repetition")
"""What a policy that only games its reward tends to lose; shown beside every dose."""
GUARDS_OF_FAMILY = {"clarification": ("clarification.unwanted",), "brevity": ("ending.whole",)}
"""What it tends to lose besides, by the family of the primary measure."""


def run_sweep(planned: SweepPlan, *, force: bool = False, on_event: EventHandler = ignore_events) -> SweepResult:
    """Carries out the arms that are not done yet, and puts all of them side by side.

    Args:
        planned: the arms.
        force: train although the evaluation set overlaps what the policy learns from.
        on_event: told of everything that happens.

    Raises:
        UsageError: something that would stop every arm, or nothing more can be written.
        GateError: the evaluation set leaks; any other gate stops only its arm.
        Paused: what the reward asks does not answer; the same command goes on.
        Interrupted: stopped by the user; the same command goes on.
    """
    first = planned.arms[0].experiment
    inputs = [read_inputs(arm.experiment) for arm in planned.arms]  # a value that no run can use is told at once
    enforce_no_overlap(inputs[0], force, on_event)
    require_trackers(first)
    lines: list[SweepArm] = []
    with _interruptible(planned, lines):
        roots = _folders(planned, on_event)
        pace = RemainingTime({root: estimate_cost(of_arm).seconds for root, of_arm in zip(roots, inputs, strict=True)})
        pace.left = [root for root in roots if _status(root) not in DONE]
        file = _write(planned, roots, lines)
        for number, (arm, root) in enumerate(zip(planned.arms, roots, strict=True), start=1):
            lines.append(_run_arm(arm, root, f"arm {number} of {len(roots)}", planned.key, pace, force, on_event))
            _write(planned, roots, lines)
            gc.collect()  # the policy of this arm must be gone before the next one is made
    outcome = SweepResult(
        name=planned.name,
        goal=first.goal,
        folder=str(planned.folder),
        file=str(file),
        chart="",
        key=planned.key,
        primary=first.evaluation.primary,
        guards=_guards(first.evaluation.primary),
        baseline=_before(planned.folder, lines),
        arms=tuple(lines),
        command=planned.command,
        rewarded_measures=measures_also_rewarded(first.reward.terms),
    )
    if not any(line.measures for line in lines):
        return outcome
    chart = file.with_suffix(".svg")
    write_text(chart, sweep_chart_svg(outcome))
    return replace(outcome, chart=str(chart))


def preview_sweep(planned: SweepPlan) -> SweepPreview:
    """What `--dry-run` says: the arms, how far this set has come, what is left to pay. Runs nothing.

    Raises:
        UsageError: something that would stop every arm.
    """
    first = planned.arms[0].experiment
    inputs = [read_inputs(arm.experiment) for arm in planned.arms]
    require_trackers(first)
    for arm, of_arm in zip(planned.arms, inputs, strict=True):
        check_parent_without_model(arm.loaded, of_arm, planned.folder, ignore_events)
    costs = [estimate_cost(of_arm) for of_arm in inputs]
    states = _known_states(planned)
    left = [cost.seconds for cost, state in zip(costs, states, strict=True) if state not in DONE]
    disk = [cost.disk_gb for cost, state in zip(costs, states, strict=True) if state not in DONE]
    return SweepPreview(
        name=planned.name,
        goal=first.goal,
        key=planned.key,
        arms=tuple(
            PlannedArm(value=arm.value, seed=arm.experiment.seed, status=state, seconds=cost.seconds)
            for arm, state, cost in zip(planned.arms, states, costs, strict=True)
        ),
        seconds=_sum(left),
        disk_gb=_sum(disk),
        device=costs[0].device,
        overlaps=len(inputs[0].overlaps),
        command=planned.command,
    )


@dataclass
class RemainingTime:
    """How long the arms take: the estimate, corrected by those that were carried out here."""

    estimates: Mapping[Path, float | None]
    left: list[Path] = field(default_factory=list)
    """Arms that are not done, the one at work included."""
    took: dict[Path, float] = field(default_factory=dict)
    """Seconds of the arms that were carried out here from their beginning."""

    def after(self, root: Path) -> float | None:
        """What the arms after this one will take."""
        later = [other for other in self.left if other != root]
        guesses = [self.estimates[other] for other in later]
        known = [(seconds, self.estimates[other]) for other, seconds in self.took.items()]
        if known and all(known_guess for _, known_guess in known) and None not in guesses:
            scale = sum(seconds for seconds, _ in known) / sum(guess or 0.0 for _, guess in known)
            return scale * sum(guess or 0.0 for guess in guesses)
        if known:
            return len(later) * sum(self.took.values()) / len(self.took)
        return _sum(guesses)


def _folders(planned: SweepPlan, on_event: EventHandler) -> list[Path]:
    """The run folder of each arm, made or not; no treatment moves the model or the prompts that the arms stand on.

    Raises:
        ConfigError: an arm differs from its parent in what its round holds still.
    """
    resolved = resolve_experiment(read_inputs(planned.arms[0].experiment), on_event)
    revision = resolved.experiment.model.revision
    roots = []
    for arm in planned.arms:
        pinned_model = arm.experiment.model.model_copy(update={"revision": revision})
        pinned = arm.experiment.model_copy(update={"model": pinned_model})
        experiment, lock, _ = freeze_inputs(replace(resolved, inputs=replace(resolved.inputs, experiment=pinned)))
        check_parent(arm.loaded, lock, planned.folder, ignore_events)
        roots.append(planned.folder / run_name(experiment, lock))
    return roots


def _status(root: Path) -> str:
    try:
        return Run(root).state().status if (root / "run.json").is_file() else WAITING
    except IntegrityError:
        return DAMAGED


def _run_arm(
    arm: PlannedRun, root: Path, place: str, key: str | None, pace: RemainingTime, force: bool, on_event: EventHandler
) -> SweepArm:
    """Does whatever is left of an arm; what stops it stops no other, unless nothing can be written any more."""
    where = f"{place.capitalize()}: {arm.label(key)}"
    status, begun = _status(root), time.monotonic()
    announcing = _announcing(on_event, place, pace.after(root))
    try:
        if status in DONE:
            Run(root).verify()
            on_event(Notice(text=f"{where}, done before in {root.name}."))
        elif status == RUNNING:
            on_event(Notice(text=f"{where}, is left to the process that carries it out.", level="warning"))
        elif status == WAITING:
            on_event(Notice(text=f"{where}."))
            train(arm.loaded, output=root.parent, force=force, on_event=announcing)
            pace.took[root] = time.monotonic() - begun
        else:
            on_event(Notice(text=f"{where}, goes on where it stopped."))
            resume(str(root), output=root.parent, on_event=announcing)
        return _arm_row(arm, root)
    except (
        InterruptedRunError,
        RewardUnavailableError,
        DiskFullError,
        NoPermissionError,
    ):  # the arms after this one would meet it too
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the arms that can run
        problem = error if isinstance(error, PpoError) else PpoError(f"{type(error).__name__}: {error}")
        on_event(Notice(text=f"{where} failed: {problem.message}", level="warning"))
        return _arm_row(arm, root, problem)
    finally:
        pace.left = [other for other in pace.left if other != root]


def _announcing(on_event: EventHandler, place: str, seconds_after: float | None) -> EventHandler:
    """Says with the start of a run which arm it is."""

    def told(event: Event) -> None:
        if isinstance(event, RunStarted):
            event = replace(event, arm=place, seconds_after=seconds_after)
        on_event(event)

    return told


@contextmanager
def _interruptible(planned: SweepPlan, done: Sequence[SweepArm]) -> Iterator[None]:
    def where() -> str:
        at = min(len(done), len(planned.arms) - 1)
        finished = sum(line.status in DONE for line in done)
        label = planned.arms[at].label(planned.key)
        return f"in arm {at + 1} of {len(planned.arms)} ({label}); {finished} are done and nothing is lost."

    go_on = f"ontinue with the same command: {planned.command}"
    try:
        yield
    except (InterruptedRunError, KeyboardInterrupt):
        raise InterruptedRunError(f"Interrupted {where()}", f"C{go_on}") from None
    except RewardUnavailableError as error:
        raise RewardUnavailableError(
            f"{error.message} It is paused {where()}", f"Mend what it asks, then c{go_on}"
        ) from None


def _arm_row(arm: PlannedRun, root: Path, error: PpoError | None = None) -> SweepArm:
    status = "failed" if error else _status(root)
    return SweepArm(
        value=arm.value,
        seed=arm.experiment.seed,
        run=root.name if root.is_dir() else "",
        status=status,
        problem=error.message if error else None,
        exit_code=error.exit_code if error else 0,
        measures=last_evaluation(Run(root))[1].get("measures", {}) if status in DONE else {},
        alarms=recorded_names(Run(root)) or () if status in DONE else (),
    )


def _guards(primary: str) -> tuple[str, ...]:
    return tuple(name for name in (*GUARDS_OF_FAMILY.get(primary.split(".")[0], ()), *GUARDS) if name != primary)


def _before(folder: Path, lines: Sequence[SweepArm]) -> Mapping[str, Any]:
    """Step 0 is the same policy answering the same prompts in every arm, so the first that has it speaks for all."""
    for line in lines:
        start = Run(folder / line.run).layout.evaluation(0) if line.run and not line.problem else None
        if start is not None and is_complete(start):
            return dict(read_json(start / SUMMARY).get("measures", {}))
    return {}


def _write(planned: SweepPlan, roots: Sequence[Path], lines: Sequence[SweepArm]) -> Path:
    """Keeps the whole set, with what is known of each arm."""
    path = sweep_file(planned.folder, planned.name)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    arms = [{name: value for name, value in asdict(line).items() if name != "measures"} for line in lines]
    for arm, root in list(zip(planned.arms, roots, strict=True))[len(lines) :]:
        arms.append({"value": arm.value, "seed": arm.experiment.seed, "run": root.name, "status": _status(root)})
    write_json(path, {"name": planned.name, "key": planned.key, "command": planned.command, "arms": arms})
    return path


def _known_states(planned: SweepPlan) -> list[str]:
    """How far each arm has come, by the file of the set; the folders' names cannot be known without the model."""
    path = sweep_file(planned.folder, planned.name)
    arms = read_json(path).get("arms") if path.is_file() else None
    if not isinstance(arms, list) or len(arms) != len(planned.arms):
        return [WAITING] * len(planned.arms)
    names = [str(arm.get("run", "")) if isinstance(arm, dict) else "" for arm in arms]
    return [_status(planned.folder / Path(name).name) if name else WAITING for name in names]


def _sum(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None
