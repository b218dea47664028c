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


def run_worker(team: ProcessGroup) -> None:
    """Does a share of one training, until the leader says that it has ended."""
    order, *about = team.follow()
    if order == START:
        Worker(team, *about).obey(STOP)


class Worker:
    """One process's part in one training."""

    def __init__(self, team: ProcessGroup, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.team, self.run = team, Run(Path(folder))
        self.experiment, _ = self.run.verify()
        self.ground = resolve_experiment(read_inputs(self.experiment), ignore_events)
        open_terms(self.ground.inputs.reward, ignore_events, self.run.layout.service_scores(team.rank))
        self.start = load_start_model(self.ground, ignore_events)
        self.policy = Policy(self.start.model, self.experiment.model.train, seed=self.experiment.seed)
        self.trainer: PolicyTrainer | None = None
        self.duties: dict[str, Callable[..., None]] = {
            SAMPLE_BASELINE: self.others,
            BUILD_TRAINER: self.prepare,
            EVALUATE: self.answer,
            LOAD_CHECKPOINT: self.load,
            TRAIN: self.train,
        }

    def obey(self, last: str) -> Any:  # noqa: ANN401
        """Does what the leader says, up to one order that ends it; gives what came with that one."""
        while True:
            order, *about = self.team.follow()
            if order == last:
                return about
            self.duties[order](*about)

    def others(self) -> None:
        sample_baseline_answers(self.ground, self.policy, ignore_events, self.team)

    def prepare(self) -> None:
        materials = TrainerInputs(
            policy=self.policy,
            tokens=self.ground.tokens,
            prompts=self.ground.inputs.train,
            others=load_baseline_answers(self.run, self.ground),
            reward=self.ground.inputs.reward,
            device=self.start.device,
            team=self.team,
        )
        self.trainer = PolicyTrainer(self.experiment, materials, self.run.layout.root, ignore_events)

    def answer(self, step: int, chosen: list[str]) -> None:
        wanted = set(chosen)
        sample_answers(
            policy_at_step(self.policy, step),
            self.policy.as_plain_reference,
            self.ground.tokens,
            [prompt for prompt in self.ground.inputs.evaluation if prompt.id in wanted],
            self.experiment,
            ignore_events,
            self.team,
        )

    def load(self, checkpoint: str) -> None:
        load_checkpoint(self._trainer(), Path(checkpoint))

    def train(self) -> None:
        def after_update(_update: int) -> bool:
            (going,) = self.obey(CONTINUE)
            return bool(going)

        self._trainer().train(lambda _metrics, _episodes, _seconds: None, after_update)

    def _trainer(self) -> PolicyTrainer:
        if self.trainer is None:
            raise RuntimeError("the leader trains before it has prepared")
        return self.trainer
