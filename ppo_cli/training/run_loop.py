"""The training loop of one run: baseline evaluation, PPO updates, checkpoints, interim and final evaluation.

Not here: creating a run or resuming it (`train`), what an update is (`engine.trainer`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch

from ppo_cli.engine.checkpoints import load_checkpoint, newest_intact, save_checkpoint
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.tracking import Trackers
from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs
from ppo_cli.errors import RewardUnavailableError
from ppo_cli.evaluation.capabilities import require_harness
from ppo_cli.evaluation.known_seed_noise import known_seed_noise
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.experiment.freeze import attention_of
from ppo_cli.models.shared_answers import SharedAnswers, sampled_by
from ppo_cli.preflight.audit_reward import audited_reward
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import Notice, Phase, UpdateDone
from ppo_cli.records.results import TrainingResult
from ppo_cli.records.training import Episode, UpdateMetrics
from ppo_cli.reports.critic import later_explained_variance
from ppo_cli.rewards.audit.run import audit_on_baseline
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.setup.reward_resources import open_measures, open_terms
from ppo_cli.setup.start_model import StartModel, load_start_model, share_reference
from ppo_cli.store.files import append_lines
from ppo_cli.store.runs import Run
from ppo_cli.training.baseline_answers import baseline_answers, score_baseline_answers
from ppo_cli.training.interim_evaluations import InterimEvaluations
from ppo_cli.training.interrupt import StopRequest
from ppo_cli.training.provenance import finish_provenance, record_provenance
from ppo_cli.training.worker_commands import WorkerCommand


class TrainingRun:
    """One run, carried out by the main process."""

    def __init__(
        self,
        run: Run,
        resolved: ResolvedExperiment,
        request: StopRequest,
        trackers: Trackers,
        process_group: ProcessGroup,
    ) -> None:
        """Takes what the run works with; nothing is loaded yet.

        Args:
            run: gets the records.
            resolved: settings and prompts.
            request: Ctrl-C, as it came in.
            trackers: pass every event on to the screen, and send its numbers to the trackers.
            process_group: this process and the workers.
        """
        self.run, self.resolved, self.experiment = run, resolved, resolved.experiment
        self.records = RunRecords(run, prompts=resolved.inputs.prompts_by_key)
        self.request, self.process_group = request, process_group
        self.trackers, self.on_event = trackers, trackers.handle
        self.started = time.monotonic()

    def run_to_end(self) -> TrainingResult:
        """Trains from the newest checkpoint, or from the start model, to the end, and returns the result."""
        run, records, experiment = self.run, self.records, self.experiment
        open_terms(self.resolved.inputs.reward, self.on_event, run.layout.reward_cache(self.process_group.rank))
        open_measures(self.resolved.inputs.measures, self.on_event)
        require_harness(self.resolved.experiment)
        start = load_start_model(self.resolved, self.on_event)
        policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
        if not self.process_group.sharded:  # a term scores other answers in each process
            share_reference(self.resolved, policy.reference_model)
        reference = record_provenance(run, start, policy, self.process_group, self.on_event)
        processes = self.process_group.world_size
        shared = SharedAnswers(
            model=sampled_by(
                reference,
                {**self.resolved.model_digests, **attention_of(experiment.model)},
                start.device,
                start.dtype,
                processes,
            ),
            on_event=self.on_event,
        )
        self.process_group.broadcast(
            WorkerCommand.START, str(run.layout.root), torch.get_num_threads(), experiment.model.start
        )
        if self.process_group.sharded:
            policy.shard(self.process_group.world_size)
        trainer = self._build_trainer(start, policy, self._baseline_answers(policy, shared))
        evaluations = InterimEvaluations(records, self.resolved, policy, self.process_group, shared, self.on_event)
        self.trackers.send_evaluation(0, evaluations.estimates(evaluations.evaluate_baseline()), partial=False)
        self._restore_checkpoint(trainer)
        evaluations.restore(trainer.updates_done)

        def save() -> None:
            self.on_event(Phase(name=f"checkpoint after update {trainer.updates_done}"))
            self.process_group.broadcast_if_sharded(WorkerCommand.SAVE_CHECKPOINT)
            save_checkpoint(trainer, run.layout, start.folder, records.lock.fingerprint)
            evaluations.prune()

        reason = self._run_updates(trainer, evaluations, save)
        final = evaluations.evaluate_final(trainer.updates_done)
        self.process_group.broadcast_if_sharded(WorkerCommand.HASH_REFERENCE)
        reference_at_end = policy.reference_digest()
        self.process_group.broadcast(WorkerCommand.STOP)
        comparison, findings = evaluations.finish(trainer.updates_done, final)
        finish_provenance(run, reference_at_end)
        run.close("stopped_early" if reason else "finished", exit_code=0, reason=reason)
        metrics = records.metrics
        return TrainingResult(
            run=run.name,
            folder=str(run.layout.root),
            goal=experiment.goal,
            updates=trainer.updates_done,
            reason=reason,
            comparison=comparison,
            first=metrics[0],
            last=metrics[-1],
            explained_variance=later_explained_variance([row["explained_variance"] for row in metrics]),
            checkpoint=str(run.layout.checkpoint(trainer.updates_done)),
            best=evaluations.best(),
            seconds=time.monotonic() - self.started,
            alarms=findings.alarms,
            advice=findings.advice,
            seed_noise=known_seed_noise(run, records.lock),
        )

    def _baseline_answers(self, policy: Policy, shared: SharedAnswers) -> dict[str, list[Answer]]:
        """The baseline answers by prompt id, scored; on new ones, warns of a fixed answer that scores higher."""
        new = not self.run.layout.baseline_answers.is_file()
        answers = baseline_answers(self.run, self.resolved, policy, self.process_group, shared)
        if answers:
            self.process_group.broadcast(WorkerCommand.SCORE_BASELINE)
            score_baseline_answers(self.resolved, answers, self.process_group)
        check = audit_on_baseline(audited_reward(self.resolved.inputs), answers) if new else None
        if check is not None and check.status != "pass":
            self.on_event(Notice(text=f"The reward: {check.value}. {check.next_step}", level="warning"))
        return answers

    def _build_trainer(self, start: StartModel, policy: Policy, answers: dict[str, list[Answer]]) -> PolicyTrainer:
        inputs = TrainerInputs(
            policy=policy,
            tokenizer=self.resolved.tokenizer,
            prompts=self.resolved.train.prompts,
            prompt_token_ids=self.resolved.train.token_ids,
            baseline_answers=answers,
            reward=self.resolved.inputs.reward,
            device=start.device,
            process_group=self.process_group,
        )
        self.process_group.broadcast(WorkerCommand.BUILD_TRAINER)
        trainer = PolicyTrainer(self.experiment, inputs, self.run.layout.root, self.on_event)
        self.trackers.start(trainer)
        return trainer

    def _restore_checkpoint(self, trainer: PolicyTrainer) -> None:
        """Loads the newest intact checkpoint, if there is one, and cuts the records back to it."""
        checkpoint, damaged = newest_intact(self.run.layout, self.records.lock.fingerprint)
        for folder in damaged:
            text = f"A checkpoint that is damaged or of another run is set aside as {folder}; an earlier one is used."
            self.on_event(Notice(text=text, level="warning"))
        if checkpoint is not None:
            self.process_group.broadcast(WorkerCommand.LOAD_CHECKPOINT, str(checkpoint))
            load_checkpoint(trainer, checkpoint)
        self.run.truncate_records(trainer.updates_done, self.experiment.ppo.episodes_per_update)

    def _run_updates(
        self, trainer: PolicyTrainer, evaluations: InterimEvaluations, save: Callable[[], None]
    ) -> str | None:
        """Runs the updates that are left, with checkpoints and interim evaluations.

        Args:
            trainer: at the newest checkpoint.
            evaluations: of this run.
            save: writes a checkpoint of the last update.

        Returns:
            Why it ended early, or None.

        Raises:
            KeyboardInterrupt: stopped by the user; the last update has a checkpoint.
        """
        experiment, request = self.experiment, self.request
        saved_update = trainer.updates_done

        def record(metrics: UpdateMetrics, episodes: list[Episode], seconds: float) -> None:
            self.run.add_update(metrics, episodes, seconds)
            self.records.add_update(metrics, episodes)
            self.on_event(UpdateDone(metrics=metrics, seconds=seconds))

        def after_update(update: int) -> bool:
            nonlocal saved_update
            due = update % experiment.checkpoints.every == 0 or evaluations.is_due(update)
            if due or request.requested or update == experiment.ppo.updates:
                save()
                saved_update = update
            request.in_update = False
            if evaluations.is_due(update) and not request.requested:
                evaluations.evaluate_interim(update)
            self.process_group.broadcast(WorkerCommand.CONTINUE, not request.requested)
            request.in_update = True
            return not request.requested

        try:
            if evaluations.is_missing(saved_update):
                evaluations.evaluate_interim(saved_update)
            self.process_group.broadcast(WorkerCommand.TRAIN)
            request.in_update = True
            reason = trainer.train(record, after_update, self._record_failed_update)
        except (KeyboardInterrupt, RewardUnavailableError) as stop:
            self._end_early(stop, save if saved_update < trainer.updates_done else lambda: None)
            raise
        finally:
            request.in_update = False
        if request.requested:
            raise KeyboardInterrupt
        if saved_update < trainer.updates_done:
            save()
        return reason

    def _end_early(self, stop: BaseException, save: Callable[[], None]) -> None:
        """Saves where the weights are those of the last update: between two, and while answers wait for their scores.

        Workers that hold parts of them can give these only where they stopped for the same reason.
        """
        unavailable, sharded = isinstance(stop, RewardUnavailableError), self.process_group.sharded
        if unavailable or not (self.request.in_update or sharded):
            save()
        if unavailable:
            self.process_group.broadcast_if_sharded(WorkerCommand.STOP)

    def _record_failed_update(self, update: int, answered: Sequence[tuple[Prompt, Answer]]) -> None:
        """Writes the answers of an update that failed, so that the user can look at them."""
        rows = [
            {"update": update, "prompt_id": prompt.id, "prompt": prompt.text, **asdict(answer)}
            for prompt, answer in answered
        ]
        append_lines(self.run.layout.failed_updates, rows)
