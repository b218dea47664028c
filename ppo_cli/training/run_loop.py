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
        ground: ResolvedExperiment,
        request: StopRequest,
        trackers: Trackers,
        team: ProcessGroup,
    ) -> None:
        self.run, self.experiment, self.ground, self.team = run, experiment, ground, team
        self.request, self.trackers, self.watcher = request, trackers, trackers.watch
        self.started = time.monotonic()

    def carry_out(self) -> TrainingResult:
        """Trains what is left to train, and says what became of the policy."""
        run, experiment = self.run, self.experiment
        open_terms(self.ground.inputs.reward, self.watcher, run.layout.service_scores(self.team.rank))
        start = load_start_model(self.ground, self.watcher)
        policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
        record_provenance(run, start, policy, self.team, self.watcher)
        trainer = self._prepared(start, policy)
        looks = InterimEvaluations(run, experiment, self.ground, policy, self.team, self.watcher)
        self.trackers.evaluation(0, looks.baseline.estimates, partial=False)
        self._take_up(trainer)
        looks.look_back(trainer.updates_done)

        def save() -> None:
            self.watcher(Phase(name=f"checkpoint after update {trainer.updates_done}"))
            save_checkpoint(trainer, run.layout, start.folder)
            looks.prune()

        reason = self._updates(trainer, looks, save)
        final = looks.last(trainer.updates_done)
        self.team.lead(STOP)
        comparison, found = looks.conclude(trainer.updates_done, final)
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

    def _prepared(self, start: StartModel, policy: Policy) -> PolicyTrainer:
        """The trainer, with the answers that the reward compares with."""
        self.team.lead(START, str(self.run.layout.root), torch.get_num_threads())
        fresh = not self.run.layout.reference_answers.is_file()
        others = baseline_answers(self.run, self.ground, policy, self.watcher, self.team)
        tricked = audit_on_baseline(self.ground.inputs, others) if fresh else None
        if tricked is not None and tricked.outcome != "pass":
            self.watcher(Notice(text=f"The reward: {tricked.value}. {tricked.next_step}", level="warning"))
        materials = TrainerInputs(
            policy=policy,
            tokens=self.ground.tokens,
            prompts=self.ground.inputs.train,
            others=others,
            reward=self.ground.inputs.reward,
            device=start.device,
            team=self.team,
        )
        self.team.lead(BUILD_TRAINER)
        trainer = PolicyTrainer(self.experiment, materials, self.run.layout.root, self.watcher)
        self.trackers.begin(trainer)
        return trainer

    def _take_up(self, trainer: PolicyTrainer) -> None:
        """Puts the trainer where the newest whole checkpoint was, if there is any, and the records with it."""
        checkpoint, damaged = newest_intact(self.run.layout)
        for folder in damaged:
            text = f"A damaged checkpoint is set aside as {folder}; an earlier one is used."
            self.watcher(Notice(text=text, level="warning"))
        if checkpoint is not None:
            self.team.lead(LOAD_CHECKPOINT, str(checkpoint))
            load_checkpoint(trainer, checkpoint)
        self.run.rewind(trainer.updates_done, self.experiment.ppo.episodes_per_update)

    def _updates(self, trainer: PolicyTrainer, looks: InterimEvaluations, save: Callable[[], None]) -> str | None:
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
            due = update % experiment.checkpoints.every == 0 or looks.is_due(update)
            if due or self.request.asked or update == experiment.ppo.updates:
                save()
                saved = update
            self.request.in_update = False
            if looks.is_due(update) and not self.request.asked:
                looks.look(update)
            self.team.lead(CONTINUE, not self.request.asked)
            self.request.in_update = True
            return not self.request.asked

        try:
            if looks.is_missing(saved):
                looks.look(saved)
            self.team.lead(TRAIN)
            self.request.in_update = True
            reason = trainer.train(record, after_update, self._rescue)
        except (KeyboardInterrupt, RewardUnavailableError) as stop:
            # The weights are those of the last update: between two, and while answers wait to be scored.
            as_after_update = isinstance(stop, RewardUnavailableError) or not self.request.in_update
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
