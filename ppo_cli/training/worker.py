"""What the processes of a team do that do not lead: their share of whatever the leader says comes next.

They write nothing: the leader keeps the records.

Not here: the orders (`orders`), the decisions (`train`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ppo_cli.engine.checkpoints import load_checkpoint
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs
from ppo_cli.evaluation.evaluate import policy_at_step, sample_answers
from ppo_cli.records.events import ignore_events
from ppo_cli.setup.resolve import read_inputs, resolve_experiment
from ppo_cli.setup.reward_resources import open_terms
from ppo_cli.setup.start_model import load_start_model
from ppo_cli.store.runs import Run
from ppo_cli.training.baseline_answers import load_baseline_answers, sample_baseline_answers
from ppo_cli.training.worker_commands import (
    BUILD_TRAINER,
    CONTINUE,
    EVALUATE,
    LOAD_CHECKPOINT,
    SAMPLE_BASELINE,
    START,
    STOP,
    TRAIN,
)


def run_worker(process_group: ProcessGroup) -> None:
    """Does a share of one training, until the leader says that it has ended."""
    order, *about = process_group.receive()
    if order == START:
        Worker(process_group, *about).handle_commands(STOP)


class Worker:
    """One process's part in one training."""

    def __init__(self, process_group: ProcessGroup, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.process_group, self.run = process_group, Run(Path(folder))
        self.experiment, _ = self.run.verify()
        self.resolved = resolve_experiment(read_inputs(self.experiment), ignore_events)
        open_terms(self.resolved.inputs.reward, ignore_events, self.run.layout.reward_cache(process_group.rank))
        self.start = load_start_model(self.resolved, ignore_events)
        self.policy = Policy(self.start.model, self.experiment.model.train, seed=self.experiment.seed)
        self.trainer: PolicyTrainer | None = None
        self.handlers: dict[str, Callable[..., None]] = {
            SAMPLE_BASELINE: self.sample_baseline,
            BUILD_TRAINER: self.build_trainer,
            EVALUATE: self.evaluate,
            LOAD_CHECKPOINT: self.load_checkpoint,
            TRAIN: self.train,
        }

    def handle_commands(self, last: str) -> Any:  # noqa: ANN401
        """Does what the leader says, up to one order that ends it; gives what came with that one."""
        while True:
            order, *about = self.process_group.receive()
            if order == last:
                return about
            self.handlers[order](*about)

    def sample_baseline(self) -> None:
        sample_baseline_answers(self.resolved, self.policy, ignore_events, self.process_group)

    def build_trainer(self) -> None:
        materials = TrainerInputs(
            policy=self.policy,
            tokenizer=self.resolved.tokenizer,
            prompts=self.resolved.inputs.train,
            baseline_answers=load_baseline_answers(self.run, self.resolved),
            reward=self.resolved.inputs.reward,
            device=self.start.device,
            process_group=self.process_group,
        )
        self.trainer = PolicyTrainer(self.experiment, materials, self.run.layout.root, ignore_events)

    def evaluate(self, step: int, chosen: list[str]) -> None:
        wanted = set(chosen)
        sample_answers(
            policy_at_step(self.policy, step),
            self.policy.reference_model,
            self.resolved.tokenizer,
            [prompt for prompt in self.resolved.inputs.evaluation if prompt.id in wanted],
            self.experiment,
            ignore_events,
            self.process_group,
        )

    def load_checkpoint(self, checkpoint: str) -> None:
        load_checkpoint(self._trainer(), Path(checkpoint))

    def train(self) -> None:
        def after_update(_update: int) -> bool:
            (going,) = self.handle_commands(CONTINUE)
            return bool(going)

        self._trainer().train(lambda _metrics, _episodes, _seconds: None, after_update)

    def _trainer(self) -> PolicyTrainer:
        if self.trainer is None:
            raise RuntimeError("the leader trains before it has prepared")
        return self.trainer
