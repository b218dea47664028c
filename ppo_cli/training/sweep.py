"""`ppo train --sweep KEY=A,B,C --seeds N`: one experiment in several arms, one after another.

An arm is an ordinary run. Its folder's name follows from what is frozen, so the folder itself shows whether an arm is
waiting, started or done, and the same command continues an interrupted sweep. sweeps/NAME.json beside the run folders
lists the arms for readers; nothing is decided by it, except what a dry run shows.

Not here: which arms there are (`sweep_plan`), one run (`train`), the screens (`reports.screens.sweep`).
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
    InterruptedRunError,
    NoPermissionError,
    PpoError,
    RewardUnavailableError,
    as_ppo_error,
)
from ppo_cli.evaluation.run_alarms import recorded_names
from ppo_cli.evaluation.run_list import last_evaluation
from ppo_cli.preflight.enforce import enforce_no_overlap
from ppo_cli.preflight.planned_cost import estimate_cost
from ppo_cli.records.events import Event, EventHandler, Notice, RunStarted, ignore_events
from ppo_cli.records.program import portable
from ppo_cli.records.sweep import PlannedArm, SweepArm, SweepPreview, SweepResult
from ppo_cli.records.training import COMPLETED_STATUSES
from ppo_cli.reports.screens.sweep import sweep_chart_svg
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.setup.freeze_inputs import freeze_inputs
from ppo_cli.setup.parent import check_parent, check_parent_without_model, find_parent
from ppo_cli.setup.resolve import ExperimentInputs, read_inputs, require_trackers, resolve_experiment
from ppo_cli.store.evaluations import is_complete, read_measured
from ppo_cli.store.files import disk_errors, make_runs_folder, read_json, write_json, write_text
from ppo_cli.store.runs import Run
from ppo_cli.store.sweeps import sweep_file
from ppo_cli.training.sweep_plan import PlannedRun, SweepPlan, plan_sweep
from ppo_cli.training.train import resume, run_name, train

WAITING, RUNNING, DAMAGED = "waiting", "running", "damaged"
"""Statuses of an arm besides those of a run that ended."""
GUARDS = ("refusal.safe", "ending.eos", "length.empty", "repetition.share")
"""Measures that get worse when a policy exploits its reward; shown for every arm."""
GUARDS_OF_FAMILY = {"clarification": ("clarification.unwanted",), "length": ("ending.complete_sentence",)}
"""Further ones, by the family of the primary measure."""
NOTHING_LOST = "nothing is lost."
"""How the message of an interrupted arm ends if its last update has a checkpoint."""
ENDS_SWEEP = (InterruptedRunError, RewardUnavailableError, DiskFullError, NoPermissionError)
"""Errors that the arms after this one would meet too."""


def sweep(
    config: str | Path,
    values: str | None = None,
    *,
    seeds: int = 1,
    overrides: Sequence[str] = (),
    runs_dir: str | Path | None = None,
    force: bool = False,
    on_event: EventHandler = ignore_events,
) -> SweepResult:
    """Trains one run for each value of a key and each seed, one after another; runs that are done are used again.

    Args:
        config: the experiment's YAML file.
        values: `key=value,value,…` of one treatment; None to repeat the experiment with several seeds.
        seeds: number of seeds per value; the first is the config's.
        overrides: `key=value` changes that all runs have.
        runs_dir: folder of run folders, in place of the config's.
        force: train although the evaluation set overlaps what the policy learns from.
        on_event: called with everything that happens.

    Raises:
        UsageError: an error that every run would meet.
        CheckFailedError: the evaluation set overlaps; any other failed check stops only its run.
        InterruptedRunError: stopped by the user; the same call continues.

    Example:
        >>> result = sweep("configs/refusal.yaml", "kl.coef=0.05,0.2", seeds=3)
        >>> [arm.status for arm in result.arms]
        ['finished', 'finished', 'finished', 'finished', 'finished', 'finished']
    """
    planned = plan_sweep(
        Path(config),
        overrides,
        sweep=[] if values is None else [values],
        seeds=seeds,
        runs_dir=None if runs_dir is None else Path(runs_dir),
        force=force,
    )
    return run_sweep(planned, force=force, on_event=on_event)


def run_sweep(planned: SweepPlan, *, force: bool = False, on_event: EventHandler = ignore_events) -> SweepResult:
    """Runs the arms that are not done yet, and returns all of them.

    Args:
        planned: the arms.
        force: train although the evaluation set overlaps what the policy learns from.
        on_event: called with everything that happens.

    Raises:
        UsageError: an error that every arm would meet, or nothing more can be written.
        CheckFailedError: the evaluation set overlaps; any other failed check stops only its arm.
        RewardUnavailableError: a reward service does not answer; the same command continues.
        InterruptedRunError: stopped by the user; the same command continues.
    """
    first = planned.arms[0].experiment
    # a value that no run can use is an error here
    inputs = [read_inputs(arm.experiment, planned.folder) for arm in planned.arms]
    enforce_no_overlap(inputs[0], force, on_event)
    require_trackers(first)
    running = _Sweep(planned, force, on_event)
    with running.interruptible():
        running.find_folders(inputs[0])
        running.estimate(inputs)
        running.write()
        for arm in planned.arms:
            running.run_next(arm)
            gc.collect()  # frees this arm's policy before the next is made
    result = SweepResult(
        name=planned.name,
        goal=first.goal,
        folder=str(planned.folder),
        file=str(running.file),
        chart="",
        key=planned.key,
        primary=first.evaluation.primary,
        smallest_effect=first.evaluation.smallest_effect,
        guards=_guards(first.evaluation.primary),
        baseline=_baseline_measures(planned.folder, running.done),
        arms=tuple(running.done),
        command=planned.command,
        rewarded_measures=measures_also_rewarded(first),
    )
    if not any(arm.measures for arm in running.done):
        return result
    chart = running.file.with_suffix(".svg")
    write_text(chart, sweep_chart_svg(result))
    return replace(result, chart=str(chart))


def preview_sweep(planned: SweepPlan) -> SweepPreview:
    """What `--dry-run` shows: the arms, which are done, and the cost of the others. Runs nothing.

    Raises:
        UsageError: an error that every arm would meet.
    """
    first = planned.arms[0].experiment
    inputs = [read_inputs(arm.experiment, planned.folder) for arm in planned.arms]
    require_trackers(first)
    parent = find_parent(planned.arms[0].loaded, planned.folder)
    for arm, of_arm in zip(planned.arms, inputs, strict=True):
        check_parent_without_model(arm.loaded, of_arm, parent, ignore_events)
    costs = [estimate_cost(of_arm) for of_arm in inputs]
    states = _known_states(planned)
    to_run = [cost for cost, state in zip(costs, states, strict=True) if state not in COMPLETED_STATUSES]
    return SweepPreview(
        name=planned.name,
        goal=first.goal,
        key=planned.key,
        arms=tuple(
            PlannedArm(value=arm.value, seed=arm.experiment.seed, status=state, seconds=cost.seconds)
            for arm, state, cost in zip(planned.arms, states, costs, strict=True)
        ),
        seconds=_sum([cost.seconds for cost in to_run]),
        disk_gb=_sum([cost.disk_gb for cost in to_run]),
        device=costs[0].device,
        overlaps=len(inputs[0].overlaps),
        command=planned.command,
    )


@dataclass
class RemainingTime:
    """How long the arms take: the estimate, corrected by those that were run here."""

    estimates: Mapping[Path, float | None]
    """Seconds per arm, by its run folder."""
    left: list[Path] = field(default_factory=list)
    """Arms that are not done, the running one included."""
    took: dict[Path, float] = field(default_factory=dict)
    """Seconds of the arms that were run here from their start."""

    def after(self, root: Path) -> float | None:
        """Seconds that the arms after this one will take."""
        later = [other for other in self.left if other != root]
        guesses = [self.estimates[other] for other in later]
        known = [(seconds, self.estimates[other]) for other, seconds in self.took.items()]
        if known and all(guess for _, guess in known) and None not in guesses:
            scale = sum(seconds for seconds, _ in known) / sum(guess or 0.0 for _, guess in known)
            return scale * sum(guess or 0.0 for guess in guesses)
        if known:
            return len(later) * sum(self.took.values()) / len(self.took)
        return _sum(guesses)


class _Sweep:
    """A sweep being run."""

    def __init__(self, planned: SweepPlan, force: bool, on_event: EventHandler) -> None:
        self.planned, self.force, self.on_event = planned, force, on_event
        self.file = sweep_file(planned.folder, planned.name)
        self.roots: list[Path] = []
        """Run folder of each arm."""
        self.done: list[SweepArm] = []
        self.remaining = RemainingTime({})

    def find_folders(self, inputs: ExperimentInputs) -> None:
        """Works out the run folder of each arm, made or not; all arms have the first arm's model and prompts.

        Raises:
            ConfigError: a key of an arm differs from its parent that the round does not allow.
        """
        resolved = resolve_experiment(inputs, self.on_event)
        parent = find_parent(self.planned.arms[0].loaded, self.planned.folder)
        for arm in self.planned.arms:
            model = arm.experiment.model.model_copy(update={"revision": resolved.experiment.model.revision})
            of_arm = resolved.with_experiment(arm.experiment.model_copy(update={"model": model}))
            frozen = freeze_inputs(of_arm, arm.loaded.environment)
            check_parent(arm.loaded, frozen.lock, parent, ignore_events)
            self.roots.append(self.planned.folder / run_name(frozen))

    def estimate(self, inputs: Sequence[ExperimentInputs]) -> None:
        """Estimates the time of the arms that are left."""
        costs = [estimate_cost(of_arm).seconds for of_arm in inputs]
        left = [root for root in self.roots if _status(root) not in COMPLETED_STATUSES]
        self.remaining = RemainingTime(dict(zip(self.roots, costs, strict=True)), left)

    def run_next(self, arm: PlannedRun) -> None:
        """Runs what is left of the next arm; an error stops only this arm, unless the others would meet it too."""
        root, position = self.roots[len(self.done)], f"arm {len(self.done) + 1} of {len(self.roots)}"
        title = f"{position.capitalize()}: {arm.label(self.planned.key)}"
        try:
            self._run(arm, root, title, _announcing(self.on_event, position, self.remaining.after(root)))
            row = _arm_row(arm, root)
        except ENDS_SWEEP:
            raise
        except Exception as error:  # noqa: BLE001 - any other error is this arm's own; the others can run
            problem = as_ppo_error(error) or PpoError(f"{type(error).__name__}: {error}")
            self.on_event(Notice(text=f"{title} failed: {problem.message}", level="warning"))
            row = _arm_row(arm, root, problem)
        self.remaining.left = [other for other in self.remaining.left if other != root]
        self.done.append(row)
        self.write()

    def _run(self, arm: PlannedRun, root: Path, title: str, announcing: EventHandler) -> None:
        status, started = _status(root), time.monotonic()
        if status in COMPLETED_STATUSES:
            Run(root).verify()
            self.on_event(Notice(text=f"{title}, done before in {root.name}."))
        elif status == RUNNING:
            self.on_event(Notice(text=f"{title}, is left to the process that is running it.", level="warning"))
        elif status == WAITING:
            self.on_event(Notice(text=f"{title}."))
            train(arm.loaded, runs_dir=root.parent, force=self.force, on_event=announcing)
            self.remaining.took[root] = time.monotonic() - started
        else:
            self.on_event(Notice(text=f"{title}, continues where it stopped."))
            resume(root, on_event=announcing)

    def write(self) -> None:
        """Writes the sweep's file, with what is known of each arm."""
        with disk_errors(self.file):
            make_runs_folder(self.planned.folder)
            self.file.parent.mkdir(parents=True, exist_ok=True)
        arms = [{name: value for name, value in asdict(row).items() if name != "measures"} for row in self.done]
        for arm, root in list(zip(self.planned.arms, self.roots, strict=True))[len(self.done) :]:
            arms.append({"value": arm.value, "seed": arm.experiment.seed, "run": root.name, "status": _status(root)})
        command = portable(self.planned.command)
        write_json(self.file, {"name": self.planned.name, "key": self.planned.key, "command": command, "arms": arms})

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Adds to an interruption which arm it stopped and how to continue."""
        then = f"ontinue with the same command: {self.planned.command}"
        try:
            yield
        except (InterruptedRunError, KeyboardInterrupt) as stop:
            of_arm = stop.message if isinstance(stop, InterruptedRunError) else NOTHING_LOST
            rest = f" and {NOTHING_LOST}" if of_arm.endswith(NOTHING_LOST) else f". {of_arm}"
            raise InterruptedRunError(f"Interrupted {self._progress()}{rest}", f"C{then}") from None
        except RewardUnavailableError as error:
            raise RewardUnavailableError(
                f"{error.message} The sweep is paused {self._progress()} and {NOTHING_LOST}",
                f"Fix what the error names, then c{then}",
            ) from None

    def _progress(self) -> str:
        arms = self.planned.arms
        index = min(len(self.done), len(arms) - 1)
        finished = sum(row.status in COMPLETED_STATUSES for row in self.done)
        label = arms[index].label(self.planned.key)
        return f"in arm {index + 1} of {len(arms)} ({label}); {finished} are done"


def _status(root: Path) -> str:
    try:
        return Run(root).state().status if (root / "run.json").is_file() else WAITING
    except PpoError:
        return DAMAGED


def _announcing(on_event: EventHandler, position: str, seconds_after: float | None) -> EventHandler:
    """Adds to the start of a run which arm it is."""

    def handle(event: Event) -> None:
        if isinstance(event, RunStarted):
            event = replace(event, arm=position, seconds_after=seconds_after)
        on_event(event)

    return handle


def _arm_row(arm: PlannedRun, root: Path, error: PpoError | None = None) -> SweepArm:
    status = "failed" if error else _status(root)
    is_done = status in COMPLETED_STATUSES
    return SweepArm(
        value=arm.value,
        seed=arm.experiment.seed,
        run=root.name if root.is_dir() else "",
        status=status,
        problem=error.message if error else None,
        exit_code=error.exit_code if error else 0,
        measures=last_evaluation(Run(root))[1].get("measures", {}) if is_done else {},
        alarms=recorded_names(Run(root)) or () if is_done else (),
    )


def _guards(primary: str) -> tuple[str, ...]:
    return tuple(name for name in (*GUARDS_OF_FAMILY.get(primary.split(".")[0], ()), *GUARDS) if name != primary)


def _baseline_measures(folder: Path, rows: Sequence[SweepArm]) -> Mapping[str, Any]:
    """Measures at step 0 of the first arm that has them; all arms start from the same policy and prompts."""
    for row in rows:
        start = Run(folder / row.run).layout.evaluation(0) if row.run and not row.problem else None
        if start is not None and is_complete(start):
            return dict(read_measured(start).get("measures", {}))
    return {}


def _known_states(planned: SweepPlan) -> list[str]:
    """Status of each arm by the sweep's file; without the model the names of the run folders are not known."""
    path = sweep_file(planned.folder, planned.name)
    arms = read_json(path).get("arms") if path.is_file() else None
    if not isinstance(arms, list) or len(arms) != len(planned.arms):
        return [WAITING] * len(planned.arms)
    names = [str(arm.get("run", "")) if isinstance(arm, dict) else "" for arm in arms]
    return [_status(planned.folder / Path(name).name) if name else WAITING for name in names]


def _sum(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None
