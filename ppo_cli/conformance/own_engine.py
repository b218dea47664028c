"""The adapter of this project's trainer.

Not here: the trainer (`engine.trainer`), what an adapter is (`adapter`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

import ppo_cli
from ppo_cli.conformance.adapter import ABILITIES, Ability, EpisodeNumbers, Settings, Task, UpdateRecord
from ppo_cli.engine.checkpoints import load_checkpoint, save_checkpoint
from ppo_cli.engine.experience import Experience
from ppo_cli.engine.forward_passes import ForwardPasses
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.rollouts import Rollouts
from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.records.answers import Answer, Prompt, RewardScore
from ppo_cli.records.events import ignore_events
from ppo_cli.records.training import Episode, UpdateMetrics
from ppo_cli.store.layout import RunLayout

MANY_UPDATES = 1000
CPU = torch.device("cpu")


class WatchedTrainer(PolicyTrainer):
    """The trainer, which keeps the last update's answers and what it learns from them."""

    rollouts: Rollouts
    experience: Experience

    def generate(self, update: int) -> Rollouts:
        self.rollouts = super().generate(update)
        return self.rollouts

    def compute_advantages(self, rollouts: Rollouts, scores: Sequence[RewardScore]) -> Experience:
        self.experience = super().compute_advantages(rollouts, scores)
        return self.experience


@dataclass(frozen=True)
class SmallPasses(ForwardPasses):
    """Forward passes over at most so many episodes."""

    episodes_per_pass: int = 1

    def micro_batches(self, rows: Sequence[int], rollouts: Rollouts) -> Iterator[tuple[list[int], int]]:
        lengths = (rollouts.prompt_lengths + rollouts.lengths).tolist()
        for first in range(0, len(rows), self.episodes_per_pass):
            part = list(rows[first : first + self.episodes_per_pass])
            yield part, max(lengths[row] for row in part)


class OwnEngine:
    """This project's trainer."""

    name = "ppo-cli"
    version = ppo_cli.__version__
    abilities: frozenset[Ability] = ABILITIES

    def __init__(self, trainer: type[WatchedTrainer] = WatchedTrainer, device: torch.device = CPU) -> None:
        self._trainer, self._device = trainer, device

    def training(self, task: Task) -> OwnTraining:
        """A new training."""
        return OwnTraining(task, self._trainer, self._device)


class OwnTraining:
    """One training by this project's trainer."""

    def __init__(self, task: Task, trainer: type[WatchedTrainer], device: torch.device) -> None:
        self._task = task
        tokenizer = load_tokenizer(task.model)
        experiment = to_experiment(task).model_copy(update={"device": str(device)})
        model = load_model(task.model, tokenizer, device, torch.float32)
        prompts = [Prompt(id=f"prompt-{number}", text=str(number)) for number in range(len(task.prompts))]
        inputs = TrainerInputs(
            policy=Policy(model, experiment.model.train, seed=experiment.seed),
            tokenizer=tokenizer,
            prompts=prompts,
            prompt_token_ids=[list(ids) for ids in task.prompts],
            baseline_answers={},
            reward=self._score,
            device=device,
        )
        self.trainer = trainer(experiment, inputs, task.folder, ignore_events)
        if task.settings.micro_batch is not None:
            passes = self.trainer.passes
            own = {item.name: getattr(passes, item.name) for item in fields(passes)}
            self.trainer.passes = SmallPasses(**own, episodes_per_pass=task.settings.micro_batch)
            self.trainer.updater = replace(self.trainer.updater, passes=self.trainer.passes)

    def train(self, updates: int, after_update: Callable[[UpdateRecord], None]) -> None:
        """Trains until `updates` updates are done in all."""

        def record(metrics: UpdateMetrics, _episodes: list[Episode], _seconds: float) -> None:
            after_update(self._record(metrics))

        if self.trainer.updates_done < updates:
            self.trainer.train(record, lambda done: done < updates)

    def policy(self) -> Mapping[str, Any]:
        """The policy's weights."""
        with self.trainer.policy.merged_model() as model:
            return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def save(self, folder: Path) -> None:
        """Writes a checkpoint."""
        layout = RunLayout(folder)
        layout.checkpoints.mkdir(parents=True)
        save_checkpoint(self.trainer, layout, self._task.model)

    def load(self, folder: Path) -> None:
        """Loads the newest checkpoint of a folder."""
        load_checkpoint(self.trainer, max(RunLayout(folder).checkpoints.iterdir()))

    def _score(
        self, prompts: Sequence[Prompt], _answers: Sequence[Answer], _baselines: Sequence[Sequence[Answer]]
    ) -> list[RewardScore]:
        rollouts = self.trainer.rollouts
        rows = zip(rollouts.targets.tolist(), rollouts.lengths.tolist(), strict=True)
        answer_ids = [ids[:length] for ids, length in rows]
        prompt_ids = [self._task.prompts[int(prompt.text)] for prompt in prompts]
        scores = self._task.reward(prompt_ids, answer_ids)
        return [RewardScore(reward=score, terms={}, baseline_terms={}) for score in scores]

    def _record(self, metrics: UpdateMetrics) -> UpdateRecord:
        rollouts, experience = self.trainer.rollouts, self.trainer.experience
        return UpdateRecord(
            update=metrics.update,
            kl=metrics.kl,
            ratio=metrics.ratio,
            approx_kl=metrics.approx_kl,
            episodes=[
                EpisodeNumbers(
                    values=experience.values[row][rollouts.response_mask[row]].tolist(),
                    advantages=experience.advantages[row][rollouts.response_mask[row]].tolist(),
                )
                for row in range(len(rollouts.lengths))
            ],
        )


def to_experiment(task: Task) -> Experiment:
    """The settings of a task as this project's config; all layers are trained, without adapters."""
    settings: Settings = task.settings
    return Experiment.model_validate(
        {
            "name": "verify-engine",
            "goal": "Conformance of the trainer.",
            "model": {"start": str(task.model), "dtype": "float32", "train": {"top_layers": None, "lora": None}},
            "prompts": {"train": "none", "eval": "none"},
            "rollout": {"max_new_tokens": settings.max_new_tokens, "temperature": settings.temperature},
            "reward": {"baseline": "none"},
            "kl": {"coef": settings.kl_coef, "stop_at": None},
            "ppo": {
                "updates": MANY_UPDATES,
                "episodes_per_update": settings.episodes,
                "epochs": settings.epochs,
                "minibatches": settings.minibatches,
                "learning_rate": settings.learning_rate,
                "critic_learning_rate": settings.learning_rate,
                "warmup_updates": 0,
                "cliprange": settings.cliprange,
                "cliprange_value": settings.cliprange_value,
                "dual_clip": settings.dual_clip,
                "gamma": settings.gamma,
                "gae_lambda": settings.gae_lambda,
                "max_grad_norm": settings.max_grad_norm,
            },
            "seed": settings.seed,
            "device": "cpu",
        }
    )
