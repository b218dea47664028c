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
from ppo_cli.engine.distributed import Team
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.trainer import Materials, PolicyTrainer
from ppo_cli.evaluation.evaluate import answer, who_answers
from ppo_cli.records.events import nobody
from ppo_cli.setup.resolve import read_inputs, stand_on
from ppo_cli.setup.reward_resources import open_reward
from ppo_cli.setup.start_model import load_start
from ppo_cli.store.runs import Run
from ppo_cli.training.baseline_answers import kept_answers, sample_others
from ppo_cli.training.worker_commands import ANSWER, BEGIN, END, GO_ON, LOAD, OTHERS, PREPARE, TRAIN


def follow(team: Team) -> None:
    """Does a share of one training, until the leader says that it has ended."""
    order, *about = team.follow()
    if order == BEGIN:
        _Follower(team, *about).obey(END)


class _Follower:
    """One process's part in one training."""

    def __init__(self, team: Team, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.team, self.run = team, Run(Path(folder))
        self.experiment, _ = self.run.verify()
        self.ground = stand_on(read_inputs(self.experiment), nobody)
        open_reward(self.ground.inputs.reward, nobody, self.run.layout.service_scores(team.rank))
        self.start = load_start(self.ground, nobody)
        self.policy = Policy(self.start.model, self.experiment.model.train, seed=self.experiment.seed)
        self.trainer: PolicyTrainer | None = None
        self.duties: dict[str, Callable[..., None]] = {
            OTHERS: self.others,
            PREPARE: self.prepare,
            ANSWER: self.answer,
            LOAD: self.load,
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
        sample_others(self.ground, self.policy, nobody, self.team)

    def prepare(self) -> None:
        materials = Materials(
            policy=self.policy,
            tokens=self.ground.tokens,
            prompts=self.ground.inputs.train,
            others=kept_answers(self.run, self.ground),
            reward=self.ground.inputs.reward,
            device=self.start.device,
            team=self.team,
        )
        self.trainer = PolicyTrainer(self.experiment, materials, self.run.layout.root, nobody)

    def answer(self, step: int, chosen: list[str]) -> None:
        wanted = set(chosen)
        answer(
            who_answers(self.policy, step),
            self.policy.as_plain_reference,
            self.ground.tokens,
            [prompt for prompt in self.ground.inputs.evaluation if prompt.id in wanted],
            self.experiment,
            nobody,
            self.team,
        )

    def load(self, checkpoint: str) -> None:
        load_checkpoint(self._trainer(), Path(checkpoint))

    def train(self) -> None:
        def after_update(_update: int) -> bool:
            (going,) = self.obey(GO_ON)
            return bool(going)

        self._trainer().train(lambda _metrics, _episodes, _seconds: None, after_update)

    def _trainer(self) -> PolicyTrainer:
        if self.trainer is None:
            raise RuntimeError("the leader trains before it has prepared")
        return self.trainer
