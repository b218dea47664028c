"""One run from its first evaluation to its last: updates, checkpoints, evaluations in between.

Not here: how a run is claimed or taken up again (`train`), what an update is (`engine.trainer`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from ppo_cli.engine.checkpoints import load_checkpoint, newest_intact, save_checkpoint
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.tracking import Trackers
from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs
from ppo_cli.errors import RewardUnavailableError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.preflight.reward_checks import audit_on_baseline
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import Notice, Phase, UpdateDone
from ppo_cli.records.results import TrainingResult
from ppo_cli.records.training import UpdateMetrics
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.setup.reward_resources import open_terms
from ppo_cli.setup.start_model import StartModel, load_start_model
from ppo_cli.store.files import append_lines
from ppo_cli.store.runs import Run
from ppo_cli.training.baseline_answers import baseline_answers
from ppo_cli.training.interim_evaluations import InterimEvaluations
from ppo_cli.training.interrupt import StopRequest
from ppo_cli.training.provenance import finish_provenance, record_provenance
from ppo_cli.training.worker_commands import BUILD_TRAINER, CONTINUE, LOAD_CHECKPOINT, START, STOP, TRAIN


class TrainingRun:
    """One run being carried out by the process that leads its team."""

    def __init__(
        self,
        run: Run,
        experiment: Experiment,
        resolved: ResolvedExperiment,
        request: StopRequest,
        trackers: Trackers,
        process_group: ProcessGroup,
    ) -> None:
        self.run, self.experiment, self.resolved, self.process_group = run, experiment, resolved, process_group
        self.request, self.trackers, self.on_event = request, trackers, trackers.watch
        self.started = time.monotonic()

    def run_to_end(self) -> TrainingResult:
        """Trains what is left to train, and says what became of the policy."""
        run, experiment = self.run, self.experiment
        open_terms(self.resolved.inputs.reward, self.on_event, run.layout.reward_cache(self.process_group.rank))
        start = load_start_model(self.resolved, self.on_event)
        policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
        record_provenance(run, start, policy, self.process_group, self.on_event)
        trainer = self._build_trainer(start, policy)
        looks = InterimEvaluations(run, experiment, self.resolved, policy, self.process_group, self.on_event)
        self.trackers.evaluation(0, looks.baseline.estimates, partial=False)
        self._restore_checkpoint(trainer)
        looks.restore(trainer.updates_done)

        def save() -> None:
            self.on_event(Phase(name=f"checkpoint after update {trainer.updates_done}"))
            save_checkpoint(trainer, run.layout, start.folder)
            looks.prune()

        reason = self._updates(trainer, looks, save)
        final = looks.evaluate_final(trainer.updates_done)
        self.process_group.broadcast(STOP)
        comparison, found = looks.finish(trainer.updates_done, final)
        finish_provenance(run, policy)
        run.close("stopped" if reason else "finished", exit_code=0, reason=reason)
        metrics = run.metrics()
        return TrainingResult(
            run=run.name,
            folder=str(run.layout.root),
            goal=experiment.goal,
            updates=trainer.updates_done,
            reason=reason,
            comparison=comparison,
            first=metrics[0],
            last=metrics[-1],
            checkpoint=str(run.layout.checkpoint(trainer.updates_done)),
            best=looks.best(),
            seconds=time.monotonic() - self.started,
            alarms=found.alarms,
            advice=found.advice,
        )

    def _build_trainer(self, start: StartModel, policy: Policy) -> PolicyTrainer:
        """The trainer, with the answers that the reward compares with."""
        self.process_group.broadcast(START, str(self.run.layout.root), torch.get_num_threads())
        fresh = not self.run.layout.baseline_answers.is_file()
        others = baseline_answers(self.run, self.resolved, policy, self.on_event, self.process_group)
        tricked = audit_on_baseline(self.resolved.inputs, others) if fresh else None
        if tricked is not None and tricked.status != "pass":
            self.on_event(Notice(text=f"The reward: {tricked.value}. {tricked.next_step}", level="warning"))
        materials = TrainerInputs(
            policy=policy,
            tokenizer=self.resolved.tokenizer,
            prompts=self.resolved.inputs.train,
            baseline_answers=others,
            reward=self.resolved.inputs.reward,
            device=start.device,
            process_group=self.process_group,
        )
        self.process_group.broadcast(BUILD_TRAINER)
        trainer = PolicyTrainer(self.experiment, materials, self.run.layout.root, self.on_event)
        self.trackers.begin(trainer)
        return trainer

    def _restore_checkpoint(self, trainer: PolicyTrainer) -> None:
        """Puts the trainer where the newest whole checkpoint was, if there is any, and the records with it."""
        checkpoint, damaged = newest_intact(self.run.layout)
        for folder in damaged:
            text = f"A damaged checkpoint is set aside as {folder}; an earlier one is used."
            self.on_event(Notice(text=text, level="warning"))
        if checkpoint is not None:
            self.process_group.broadcast(LOAD_CHECKPOINT, str(checkpoint))
            load_checkpoint(trainer, checkpoint)
        self.run.truncate_records(trainer.updates_done, self.experiment.ppo.episodes_per_update)

    def _updates(self, trainer: PolicyTrainer, looks: InterimEvaluations, save: Callable[[], None]) -> str | None:
        """Runs the updates that are left, with checkpoints and evaluations in between.

        Returns:
            Why it ended early, or None.
        """
        experiment = self.experiment
        saved = trainer.updates_done

        def record(metrics: UpdateMetrics, episodes: Any, seconds: float) -> None:  # noqa: ANN401
            self.run.add_update(metrics, episodes, seconds)
            self.on_event(UpdateDone(metrics=metrics, seconds=seconds))

        def after_update(update: int) -> bool:
            nonlocal saved
            due = update % experiment.checkpoints.every == 0 or looks.is_due(update)
            if due or self.request.requested or update == experiment.ppo.updates:
                save()
                saved = update
            self.request.in_update = False
            if looks.is_due(update) and not self.request.requested:
                looks.evaluate_interim(update)
            self.process_group.broadcast(CONTINUE, not self.request.requested)
            self.request.in_update = True
            return not self.request.requested

        try:
            if looks.is_missing(saved):
                looks.evaluate_interim(saved)
            self.process_group.broadcast(TRAIN)
            self.request.in_update = True
            reason = trainer.train(record, after_update, self._on_failed_update)
        except (KeyboardInterrupt, RewardUnavailableError) as stop:
            # The weights are those of the last update: between two, and while answers wait to be scored.
            as_after_update = isinstance(stop, RewardUnavailableError) or not self.request.in_update
            if as_after_update and saved < trainer.updates_done:
                save()
            raise
        finally:
            self.request.in_update = False
        if self.request.requested:
            raise KeyboardInterrupt
        if saved < trainer.updates_done:
            save()
        return reason

    def _on_failed_update(self, update: int, answered: Sequence[tuple[Prompt, Answer]]) -> None:
        """Keeps an update's answers for inspection."""
        rows = [
            {"update": update, "prompt_id": prompt.id, "prompt": prompt.text, **asdict(answer)}
            for prompt, answer in answered
        ]
        append_lines(self.run.layout.failed_updates, rows)
