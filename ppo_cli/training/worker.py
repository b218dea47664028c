"""Worker loop of the non-main ranks: wait for a command from the main process, do this rank's shard, repeat.

Workers write nothing: the main process keeps the records.

Not here: the commands (`worker_commands`), the main process (`run_loop`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ppo_cli.engine.checkpoints import gather_for_checkpoint, load_checkpoint
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs
from ppo_cli.errors import RewardUnavailableError
from ppo_cli.evaluation.answering_models import AnsweringModels
from ppo_cli.evaluation.evaluate import sample_answers
from ppo_cli.records.events import ignore_events
from ppo_cli.setup.resolve import read_inputs, resolve_experiment, with_start
from ppo_cli.setup.reward_resources import open_terms
from ppo_cli.setup.start_model import load_start_model, share_reference
from ppo_cli.store.runs import Run
from ppo_cli.training.baseline_answers import (
    load_baseline_answers,
    sample_baseline_answers,
    score_baseline_answers,
)
from ppo_cli.training.worker_commands import WorkerCommand


def run_worker(process_group: ProcessGroup) -> None:
    """Does this rank's shard of one training, until the main process ends it."""
    command, *arguments = process_group.receive()
    if command is WorkerCommand.START:
        Worker(process_group, *arguments).handle_commands(until=WorkerCommand.STOP)


class Worker:
    """One non-main rank of distributed training."""

    def __init__(self, process_group: ProcessGroup, folder: str, threads: int, start: str) -> None:
        """Opens the run and loads the start model.

        Args:
            process_group: this rank and the others.
            folder: of the run.
            threads: that torch computes with, as in the main process.
            start: the start model, where the main process found it.
        """
        torch.set_num_threads(threads)
        self.process_group, self.run = process_group, Run(Path(folder))
        self.experiment = with_start(self.run.verify()[0], start)
        self.resolved = resolve_experiment(read_inputs(self.experiment), ignore_events)
        open_terms(self.resolved.inputs.reward, ignore_events, self.run.layout.reward_cache(process_group.rank))
        self.start = load_start_model(self.resolved, ignore_events)
        self.policy = Policy(self.start.model, self.experiment.model.train, seed=self.experiment.seed)
        if process_group.sharded:
            self.policy.shard(process_group.world_size)
        else:
            share_reference(self.resolved, self.policy.reference_model)
        self._trainer: PolicyTrainer | None = None
        self.handlers: dict[WorkerCommand, Callable[..., object]] = {
            WorkerCommand.SAMPLE_BASELINE: self.sample_baseline,
            WorkerCommand.SCORE_BASELINE: self.score_baseline,
            WorkerCommand.BUILD_TRAINER: self.build_trainer,
            WorkerCommand.EVALUATE: self.evaluate,
            WorkerCommand.LOAD_CHECKPOINT: self.load_checkpoint,
            WorkerCommand.SAVE_CHECKPOINT: lambda: gather_for_checkpoint(self.trainer),
            WorkerCommand.HASH_REFERENCE: self.policy.reference_digest,
            WorkerCommand.TRAIN: self.train,
        }

    @property
    def trainer(self) -> PolicyTrainer:
        if self._trainer is None:
            raise RuntimeError(f"a command needs the trainer before {WorkerCommand.BUILD_TRAINER}")
        return self._trainer

    def handle_commands(self, until: WorkerCommand) -> list[Any]:
        """Handles commands up to the one that ends the loop; returns the arguments of that one."""
        while True:
            command, *arguments = self.process_group.receive()
            if command is until:
                return arguments
            if command is WorkerCommand.STOP:  # the main process ends with an error of its own
                sys.exit(0)
            self.handlers[command](*arguments)

    def sample_baseline(self) -> None:
        sample_baseline_answers(self.resolved, self.policy, ignore_events, self.process_group)

    def score_baseline(self) -> None:
        score_baseline_answers(self.resolved, load_baseline_answers(self.run, self.resolved), self.process_group)

    def build_trainer(self) -> None:
        inputs = TrainerInputs(
            policy=self.policy,
            tokenizer=self.resolved.tokenizer,
            prompts=self.resolved.train.prompts,
            prompt_token_ids=self.resolved.train.token_ids,
            baseline_answers=load_baseline_answers(self.run, self.resolved),
            reward=self.resolved.inputs.reward,
            device=self.start.device,
            process_group=self.process_group,
        )
        self._trainer = PolicyTrainer(self.experiment, inputs, self.run.layout.root, ignore_events)

    def evaluate(self, step: int, prompt_ids: list[str]) -> None:
        models = AnsweringModels.at_step(self.policy, step, self.resolved, self.process_group)
        prompts = self.resolved.evaluation.only(set(prompt_ids))
        sample_answers(models, prompts, self.experiment.evaluation, ignore_events)

    def load_checkpoint(self, checkpoint: str) -> None:
        load_checkpoint(self.trainer, Path(checkpoint))

    def train(self) -> None:
        def after_update(_update: int) -> bool:
            (another_update,) = self.handle_commands(until=WorkerCommand.CONTINUE)
            return bool(another_update)

        try:
            self.trainer.train(lambda _metrics, _episodes, _seconds: None, after_update)
        except RewardUnavailableError:
            if self.process_group.sharded:  # the main process may write a checkpoint of the update before
                self.handle_commands(until=WorkerCommand.STOP)
            raise
