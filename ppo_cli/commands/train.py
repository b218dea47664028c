"""`ppo train`: freeze, train, evaluate against step 0, say what happened. Also `--resume`.

Not here: the loop (`engine`), the statistics, the screens.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.commands import alarms
from ppo_cli.commands.best import best_of, primary_value
from ppo_cli.commands.evaluate import Evaluated, against, evaluate_into, read_evaluation, who_answers
from ppo_cli.commands.gate.before import refuse_bad_start, refuse_leaks
from ppo_cli.commands.gate.rewarding import audit_on_reference
from ppo_cli.commands.ground import (
    Ground,
    frozen,
    read_inputs,
    refuse_missing_trackers,
    stand_on,
    verify_ground,
    verify_reward,
)
from ppo_cli.commands.lineage import descent
from ppo_cli.commands.orders import ANSWER, BEGIN, END, GO_ON, LOAD, PREPARE, TRAIN
from ppo_cli.commands.others import other_answers
from ppo_cli.commands.rewarding import open_reward
from ppo_cli.commands.stopping import StopRequest
from ppo_cli.errors import DiskFull, IntegrityError, Interrupted, NoPermission, Paused, UsageError
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import Loaded, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.subset import stratified_subset
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.events import EvaluationDone, Notice, Phase, RunStarted, UpdateDone, Watched, Watcher, nobody
from ppo_cli.records.outcomes import TrainingOutcome
from ppo_cli.records.training import Best, UpdateMetrics
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.files import append_lines, read_json, write_json
from ppo_cli.store.provenance import provenance
from ppo_cli.store.runs import Run, claim_run, closing

if TYPE_CHECKING:
    from ppo_cli.commands.start import Start
    from ppo_cli.engine.policy import Policy
    from ppo_cli.engine.team import Team
    from ppo_cli.engine.tracking import Trackers
    from ppo_cli.engine.trainer import PolicyTrainer

EXAMPLES_SHOWN = 2


def train(
    loaded: Loaded,
    *,
    output: Path | None = None,
    again: bool = False,
    force: bool = False,
    watcher: Watcher = nobody,
    team: Team | None = None,
) -> TrainingOutcome:
    """Runs one experiment from its config.

    Args:
        loaded: the checked config.
        output: folder of run folders, in place of the config's.
        again: if this very experiment has a run already, make another beside it.
        force: train although the gate says stop; the run records it.
        watcher: told of everything that happens.
        team: the processes that train together, of which this one leads.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used, or the run exists.
        GateError: the gate says stop, the reward broke its contract, or policy and reference differ.
        Interrupted: stopped by the user; can be resumed.
    """
    _refuse_idle_processes(team, loaded.experiment)
    inputs = read_inputs(loaded.experiment)
    forced = refuse_leaks(inputs, force, watcher)
    refuse_missing_trackers(inputs.experiment)
    ground = stand_on(inputs, watcher)
    open_reward(inputs.reward, watcher)
    forced += refuse_bad_start(ground, force, watcher)
    experiment, lock, texts = frozen(ground)
    folder = output or Path(experiment.output)
    state = {**descent(loaded, lock, folder, watcher), "forced": list(forced)}
    run = claim_run(folder / name_of_run(experiment, lock), lock, texts, state, again)
    try:
        return _carry_out(run, ground, watcher, team)
    except UsageError as error:
        begun = run.layout.provenance.is_file() or isinstance(error, NoPermission)
        if not begun:  # the start model could not be used
            shutil.rmtree(run.layout.root)
        raise


def name_of_run(experiment: Experiment, lock: Lock) -> str:
    """The name of an experiment's run folder, the same for the same experiment."""
    return f"{experiment.name}-kl{experiment.kl.coef:g}-s{experiment.seed}-{lock.fingerprint[:6]}"


def resume(
    name: str,
    *,
    output: Path,
    overrides: Sequence[str] = (),
    watcher: Watcher = nobody,
    team: Team | None = None,
) -> TrainingOutcome:
    """Continues a run that was interrupted, from its last checkpoint, with the numbers it would have had.

    Args:
        name: run folder, or its name in the output folder.
        output: folder of run folders.
        overrides: `tracking=[…]` for what is left of the run; nothing else may change.
        watcher: told of everything that happens.
        team: the processes that train together, of which this one leads.

    Raises:
        UsageError: no such run, it is finished or running, or another key is overridden.
        IntegrityError: something frozen was changed.
    """
    from ppo_cli.store.runs import find_run

    others = [word for word in overrides if word.partition("=")[0].strip() != "tracking"]
    if others:
        raise UsageError(
            f"--resume continues a run as it was begun, so {others[0]} would have no effect.",
            "Leave it out; only tracking=[…] may change.",
        )
    run = find_run(name, output)
    state = run.state()
    if state.status in ("finished", "stopped"):
        raise UsageError(f"{run.name} is {state.status}; there is nothing to resume.", "See it with `ppo runs`.")
    if state.status == "running":
        raise UsageError(f"{run.name} is still running (process {state.pid}).", "Wait for it or stop it first.")
    experiment, lock = run.verify()
    if overrides:  # trackers move no number, so they are not frozen
        experiment = replace(experiment, tracking=load_experiment(run.layout.config, overrides).experiment.tracking)
    refuse_missing_trackers(experiment)
    ground = stand_on(read_inputs(experiment), watcher)
    verify_ground(lock, ground, run.name)
    verify_reward(lock, ground, run.name)
    run.reopen()
    return _carry_out(run, ground, watcher, team)


def _carry_out(run: Run, ground: Ground, watcher: Watcher, team: Team | None) -> TrainingOutcome:
    from ppo_cli.engine.team import Team
    from ppo_cli.engine.tracking import Trackers

    experiment = replace(run.experiment(), tracking=ground.experiment.tracking)
    request = StopRequest(watcher)
    trackers = Trackers(experiment, run.layout.tracking, watcher)
    with _naming_what_is_left(run), closing(run), request.listening(), trackers:
        watcher(
            RunStarted(
                run=run.name,
                folder=str(run.layout.root),
                goal=experiment.goal,
                updates=experiment.ppo.updates,
                kl_stop_at=experiment.kl.stop_at,
                primary=experiment.evaluation.primary,
            )
        )
        try:
            return _Training(run, experiment, ground, request, trackers, team or Team()).carry_out()
        except KeyboardInterrupt:
            done = run.state().updates_done
            raise Interrupted(
                f"Interrupted after update {done} of {experiment.ppo.updates}; nothing is lost.",
                f"Continue with: ppo train --resume {run.layout.root}",
            ) from None
        except Paused as error:
            done = run.state().updates_done
            raise Paused(
                f"{error.message.rstrip('.')}; the run is kept as it was after update {done}.",
                f"{error.next_step} Then continue with: ppo train --resume {run.layout.root}",
            ) from error


@contextmanager
def _naming_what_is_left(run: Run) -> Iterator[None]:
    """Says, when nothing can be written any more, which checkpoint is whole and how to go on from it."""
    from ppo_cli.engine.checkpoints import list_checkpoints

    def left() -> str:
        whole = list_checkpoints(run.layout)
        return f"the last whole checkpoint is {whole[-1]}" if whole else "there is no checkpoint yet"

    go_on = f"then continue with: ppo train --resume {run.layout.root}"
    try:
        yield
    except DiskFull as error:
        raise DiskFull(
            f"No space is left on the disk of {run.layout.root}; {left()}.", f"Free some, {go_on}"
        ) from error
    except NoPermission as error:
        raise NoPermission(f"{error.message.rstrip('.')}; {left()}.", f"Allow it, {go_on}") from error


class _Training:
    """One run being carried out."""

    def __init__(
        self,
        run: Run,
        experiment: Experiment,
        ground: Ground,
        request: StopRequest,
        trackers: Trackers,
        team: Team,
    ) -> None:
        self.run, self.experiment, self.ground, self.team = run, experiment, ground, team
        self.request, self.trackers, self.watcher = request, trackers, trackers.watch
        self.started = time.monotonic()
        self.baseline: Evaluated | None = None
        settings = experiment.evaluation
        self.interim = stratified_subset(ground.inputs.evaluation, settings.interim_prompts)
        self.looks: dict[int, float | None] = {}
        """The primary measure on the interim prompts, by update."""

    def carry_out(self) -> TrainingOutcome:
        import torch

        from ppo_cli.commands.start import load_start
        from ppo_cli.engine.checkpoints import load_checkpoint, newest_whole, save_checkpoint
        from ppo_cli.engine.policy import Policy
        from ppo_cli.engine.trainer import Materials, PolicyTrainer

        experiment, run = self.experiment, self.run
        open_reward(self.ground.inputs.reward, self.watcher, run.layout.service_scores(self.team.rank))
        start = load_start(self.ground, self.watcher)
        policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
        self._write_provenance(start, policy)
        self.team.lead(BEGIN, str(run.layout.root), torch.get_num_threads())
        fresh = not run.layout.reference_answers.is_file()
        others = other_answers(run, self.ground, policy, self.watcher, self.team)
        tricked = audit_on_reference(self.ground.inputs, others) if fresh else None
        if tricked is not None and tricked.outcome != "pass":
            self.watcher(Notice(text=f"The reward: {tricked.value}. {tricked.next_step}", level="warning"))
        materials = Materials(
            policy=policy,
            tokens=self.ground.tokens,
            prompts=self.ground.inputs.train,
            others=others,
            reward=self.ground.inputs.reward,
            device=start.device,
            team=self.team,
        )
        self.team.lead(PREPARE)
        trainer = PolicyTrainer(experiment, materials, run.layout.root, self.watcher)
        self.trackers.begin(trainer)
        checkpoint, damaged = newest_whole(run.layout)
        for folder in damaged:
            self.watcher(
                Notice(text=f"A damaged checkpoint is set aside as {folder}; an earlier one is used.", level="warning")
            )
        self.baseline = self._evaluate(policy, 0, partial=False)
        self.trackers.evaluation(0, self.baseline.estimates, partial=False)
        if checkpoint is not None:
            self.team.lead(LOAD, str(checkpoint))
            load_checkpoint(trainer, checkpoint)
        run.rewind(trainer.updates_done, experiment.ppo.episodes_per_update)
        self._look_back(trainer.updates_done)

        def save() -> None:
            self.watcher(Phase(name=f"checkpoint after update {trainer.updates_done}"))
            save_checkpoint(trainer, run.layout, start.folder)
            self._prune()

        reason = self._updates(trainer, policy, save)
        final = self._evaluate(policy, trainer.updates_done, partial=False)
        self.team.lead(END)
        comparison = against(self.baseline, final, experiment)
        self._report(trainer.updates_done, final, comparison)
        found = self._listen(trainer.updates_done, final, comparison, last=True)
        self._look(trainer.updates_done, final)
        self._prune()
        self._finish_provenance(policy)
        run.close("stopped" if reason else "finished", exit_code=0, reason=reason)
        metrics = run.metrics()
        return TrainingOutcome(
            run=run.name,
            folder=str(run.layout.root),
            goal=experiment.goal,
            updates=trainer.updates_done,
            reason=reason,
            comparison=comparison,
            first=metrics[0],
            last=metrics[-1],
            checkpoint=str(run.layout.checkpoint(trainer.updates_done)),
            best=self._best(),
            seconds=time.monotonic() - self.started,
            alarms=found.alarms,
            advice=found.advice,
        )

    def _updates(self, trainer: PolicyTrainer, policy: Policy, save: Callable[[], None]) -> str | None:
        """Runs the updates that are left, with checkpoints and evaluations in between.

        Returns:
            Why it ended early, or None.
        """
        experiment = self.experiment
        saved = trainer.updates_done

        def record(metrics: UpdateMetrics, episodes: Any, seconds: float) -> None:  # noqa: ANN401
            self.run.add_update(metrics, episodes, seconds)
            self.watcher(UpdateDone(metrics=metrics, seconds=seconds))

        def after_update(update: int) -> bool:
            nonlocal saved
            due = update % experiment.checkpoints.every == 0 or self._is_look(update)
            if due or self.request.asked or update == experiment.ppo.updates:
                save()
                saved = update
            self.request.in_update = False
            if not self.request.asked:
                self._evaluate_if_due(policy, update)
            self.team.lead(GO_ON, not self.request.asked)
            self.request.in_update = True
            return not self.request.asked

        try:
            if not is_complete(self.run.layout.evaluation(saved)):  # killed between a checkpoint and its evaluation
                self._evaluate_if_due(policy, saved)
            self.team.lead(TRAIN)
            self.request.in_update = True
            reason = trainer.train(record, after_update, self._rescue)
        except (KeyboardInterrupt, Paused) as stop:
            # The weights are those of the last update: between two, and while answers wait to be scored.
            as_after_update = isinstance(stop, Paused) or not self.request.in_update
            if as_after_update and saved < trainer.updates_done:
                save()
            raise
        finally:
            self.request.in_update = False
        if self.request.asked:
            raise KeyboardInterrupt
        if saved < trainer.updates_done:
            save()
        return reason

    def _rescue(self, update: int, answered: Sequence[tuple[Prompt, Answer]]) -> None:
        """Keeps an update's answers for inspection."""
        rows = [
            {"update": update, "prompt_id": prompt.id, "prompt": prompt.text, **asdict(answer)}
            for prompt, answer in answered
        ]
        append_lines(self.run.layout.broken, rows)

    def _evaluate_if_due(self, policy: Policy, update: int) -> None:
        if not self._is_look(update) or self.baseline is None:
            return
        partial = len(self.interim) < len(self.ground.inputs.evaluation)
        interim = self._evaluate(policy, update, partial=partial)
        comparison = against(self.baseline, interim, self.experiment)
        self._report(update, interim, comparison)
        self._listen(update, interim, comparison, last=False)
        self._look(update, interim)
        self._prune()

    def _is_look(self, update: int) -> bool:
        """Whether an interim evaluation follows this update."""
        every = self.experiment.evaluation.every
        return bool(every and update and update % every == 0 and update != self.experiment.ppo.updates)

    def _look(self, step: int, evaluated: Evaluated) -> None:
        """Takes an evaluation into the choice of the best checkpoint, and records the best so far."""
        self.looks[step] = primary_value(evaluated, self.interim, self.experiment.evaluation.primary)
        best = self._best()
        self.run.set_state(best=best.step if best else None)

    def _look_back(self, updates_done: int) -> None:
        """Takes the looks that were made before an interruption into the choice and into the alarms again."""
        for step in filter(self._is_look, range(updates_done + 1)):
            folder = self.run.layout.evaluation(step)
            if is_complete(folder) and self.baseline is not None:
                evaluated = read_evaluation(folder, self.ground.inputs.evaluation, f"step {step}")
                comparison = against(self.baseline, evaluated, self.experiment)
                found = alarms.look(self.run, self.baseline, evaluated, comparison, step)
                alarms.keep(self.run, step, found, last=False)
                self._look(step, evaluated)

    def _best(self) -> Best | None:
        return best_of(self.looks, self.experiment.evaluation.primary, len(self.interim))

    def _prune(self) -> None:
        from ppo_cli.engine.checkpoints import prune_checkpoints

        best = self._best()
        keep = self.experiment.checkpoints.keep
        prune_checkpoints(self.run.layout, keep=keep, best=best.step if best else None)

    def _evaluate(self, policy: Policy, step: int, *, partial: bool) -> Evaluated:
        prompts = self.interim if partial else self.ground.inputs.evaluation
        folder = self.run.layout.evaluation(step)
        name = f"step {step}"
        if step == 0 and is_complete(folder):
            return read_evaluation(folder, prompts, name)
        self.watcher(Notice(text=f"Evaluating {name} on {len(prompts)} prompts."))
        self.team.lead(ANSWER, step, [prompt.id for prompt in prompts])
        return evaluate_into(
            folder,
            who_answers(policy, step),
            policy.as_plain_reference,
            self.ground.tokens,
            prompts,
            self.experiment,
            name=name,
            about={"checkpoint": f"{self.run.name}/step-{step:06d}", "prompts": "eval"},
            partial=partial,
            watcher=self.watcher,
            team=self.team,
        )

    def _report(self, step: int, evaluated: Evaluated, comparison: Comparison) -> None:
        self.watcher(
            EvaluationDone(
                step=step,
                estimates=evaluated.estimates,
                comparison=comparison,
                partial=evaluated.partial,
                examples=_examples(comparison, self.baseline, evaluated),
            )
        )

    def _listen(self, step: int, evaluated: Evaluated, comparison: Comparison, *, last: bool) -> alarms.Findings:
        """Looks whether an alarm rings, and keeps what was found."""
        found = alarms.look(self.run, self.baseline or evaluated, evaluated, comparison, step)
        alarms.keep(self.run, step, found, last=last)
        self.watcher(Watched(step=step, alarms=found.alarms))
        return found

    def _write_provenance(self, start: Start, policy: Policy) -> None:
        import torch

        path = self.run.layout.provenance
        digest = policy.reference_digest()
        if path.is_file():
            first = read_json(path)
            if first["reference"]["sha256_at_start"] != digest:
                raise IntegrityError(
                    f"{self.run.name}: the reference has other weights than when the run began.",
                    "Use the package versions and the machine in its provenance.json, or start a new run.",
                )
            self._go_on_as_begun(first, start)
            return
        write_json(
            path,
            {
                **provenance(sys.argv),
                "device": str(start.device),
                "gpu": torch.cuda.get_device_name(start.device) if start.device.type == "cuda" else None,
                "dtype": str(start.dtype).removeprefix("torch."),
                "threads": torch.get_num_threads(),
                "processes": self.team.size,
                "start_folder": start.folder.name,
                "trained_parameters": sum(value.numel() for value in policy.parameters.values()),
                "seeds": {"run": self.experiment.seed, "evaluation": self.experiment.evaluation.seed},
                "reference": {"sha256_at_start": digest, "sha256_at_end": None},
                "forced": list(self.run.state().forced),
            },
        )

    def _go_on_as_begun(self, first: dict[str, Any], start: Start) -> None:
        """Computes on as many threads as the run began with, since their number moves the last digits of a sum."""
        import torch

        if start.device.type == "cpu" and torch.get_num_threads() != first["threads"]:
            torch.set_num_threads(first["threads"])
        if str(start.device) != first["device"]:
            text = f"The run began on {first['device']} and continues on {start.device}, so its numbers will differ."
            self.watcher(Notice(text=text, level="warning"))
        if self.team.size != first["processes"]:
            began = f"The run began with {first['processes']} processes and continues with {self.team.size}"
            self.watcher(Notice(text=f"{began}, so its numbers will differ in the last digits.", level="warning"))

    def _finish_provenance(self, policy: Policy) -> None:
        """Hashes the reference again and records it.

        Raises:
            IntegrityError: it is not the reference that the run began with.
        """
        record = read_json(self.run.layout.provenance)
        record["reference"]["sha256_at_end"] = policy.reference_digest()
        write_json(self.run.layout.provenance, record)
        if record["reference"]["sha256_at_end"] != record["reference"]["sha256_at_start"]:
            raise IntegrityError(f"{self.run.name}: the reference moved during training.", "Please report this.")


def _refuse_idle_processes(team: Team | None, experiment: Experiment) -> None:
    episodes = experiment.ppo.episodes_per_update
    if team and team.size > episodes:
        raise UsageError(
            f"{team.size} processes cannot share {episodes} episodes an update.",
            "Start fewer, or raise ppo.episodes_per_update.",
        )


def _examples(
    comparison: Comparison, baseline: Evaluated | None, evaluated: Evaluated
) -> tuple[tuple[str, str, str], ...]:
    """Prompts whose answer moved most; where none did, the first ones."""
    if comparison.flips:
        return tuple((flip.prompt, flip.before_answer, flip.after_answer) for flip in comparison.flips[:EXAMPLES_SHOWN])
    before = {row.prompt_id: row.answer for row in reversed(baseline.samples)} if baseline else {}
    after = {row.prompt_id: row.answer for row in reversed(evaluated.samples)}
    chosen = list(evaluated.prompts.values())[:EXAMPLES_SHOWN]
    return tuple((prompt.text, before.get(prompt.id, ""), after[prompt.id]) for prompt in chosen)
