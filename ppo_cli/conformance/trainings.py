"""Trains a trainer on the tiny model and keeps what it did; recomputes log-probabilities without its help.

Each training starts from the same state of the global random generators, so that a check of one property does not fail
for another: only the checks of seeds change that state.

Not here: the checks, the models (`tiny_models`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ppo_cli.conformance.adapter import (
    Engine,
    ResumableTraining,
    Reward,
    Settings,
    Task,
    Tokens,
    Training,
    UpdateRecord,
)
from ppo_cli.conformance.tiny_models import EOS, PAD, PROMPTS, tiny_model, write_model
from ppo_cli.rewards.user_code import UserCode

Weights = Mapping[str, torch.Tensor]

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "pad is EOS": {"pad_is_eos": True},
    "other padding": {"other_padding": True},
    "repetition penalty": {"repetition_penalty": 1.5},
}
"""Model folders: what `write_model` is told."""


def even_letters(_prompts: Sequence[Tokens], answers: Sequence[Tokens]) -> list[float]:
    """Half the number of letters with an even id."""
    return [sum(token % 2 == 0 for token in answer if token != EOS) / 2 for answer in answers]


def brevity(_prompts: Sequence[Tokens], answers: Sequence[Tokens]) -> list[float]:
    """Less by a quarter per token, so that the highest reward is to end at once."""
    return [-len(answer) / 4 for answer in answers]


def not_a_number(_prompts: Sequence[Tokens], answers: Sequence[Tokens]) -> list[float]:
    """1 per answer, but for the first."""
    return [math.nan, *[1.0] * (len(answers) - 1)]


@dataclass(frozen=True)
class Episode:
    """One answer, as the reward got it."""

    prompt: Tokens
    answer: Tokens
    score: float


@dataclass
class Trained:
    """What one training did."""

    weights: list[Weights]
    """Of the policy: before training, then after each update."""
    records: list[UpdateRecord] = field(default_factory=list)
    episodes: list[list[Episode]] = field(default_factory=list)
    """Per update."""


class Trainings:
    """Trains one trainer, each wanted training once."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Writes the model folders.

        Args:
            engine: the trainer.
            folder: an empty one.
        """
        self.engine = engine
        self.start: Weights = _copy(tiny_model().state_dict())
        self._folder, self._made = folder, 0
        self._models = {name: write_model(folder / name.replace(" ", "-"), **made) for name, made in VARIANTS.items()}
        self._kept: dict[tuple[Any, ...], Trained] = {}
        self._user_code = UserCode()

    def run(
        self,
        settings: Settings,
        updates: int,
        *,
        reward: Reward = even_letters,
        variant: str = "plain",
        global_seed: int = 0,
        observe: Callable[[], None] | None = None,
    ) -> Trained:
        """A training from the start.

        Args:
            settings: of the training.
            updates: how many.
            reward: scores the answers.
            variant: the model folder.
            global_seed: of the global random generators before it.
            observe: called after each update.
        """
        key = (settings, updates, reward, variant, global_seed, observe)
        if key not in self._kept:
            trained = Trained([self._start_of(variant)])
            with self._user_code.running():
                seed_global_generators(global_seed)
                self._train(self.new(settings, trained, reward, variant), updates, trained, observe)
            self._kept[key] = trained
        return self._kept[key]

    def resumed(self, settings: Settings, first: int, updates: int) -> Trained:
        """A training that is saved after `first` updates and continued by a new one, which this returns."""
        before, after = Trained([self.start]), Trained([self.start])
        with self._user_code.running():
            seed_global_generators(0)
            training = cast(ResumableTraining, self.new(settings, before, even_letters, "plain"))
            self._train(training, first, before, None)
            saved = self._new_folder()
            training.save(saved)
            seed_global_generators(1)
            continued = cast(ResumableTraining, self.new(settings, after, even_letters, "plain"))
            continued.load(saved)
            self._train(continued, updates, after, None)
        return after

    def weights_after(self, settings: Settings, updates: int, reward: Reward) -> Weights:
        """The policy after a training, or after the error that ended it."""
        trained = Trained([self.start])
        with self._user_code.running():
            seed_global_generators(0)
            training = self.new(settings, trained, reward, "plain")
            try:
                self._train(training, updates, trained, None)
            except Exception:  # noqa: BLE001 - refusing to train is right here
                return _copy(training.policy())
        return trained.weights[-1]

    def new(self, settings: Settings, trained: Trained, reward: Reward, variant: str) -> Training:
        """A training that has done nothing, whose episodes are kept in `trained`."""

        def watched(prompts: Sequence[Tokens], answers: Sequence[Tokens]) -> list[float]:
            scores = reward(prompts, answers)
            if len(trained.episodes) < len(trained.weights):
                trained.episodes.append([])
            rows = zip(prompts, answers, scores, strict=True)
            trained.episodes[-1] += [Episode(tuple(prompt), tuple(answer), score) for prompt, answer, score in rows]
            return scores

        task = Task(
            model=self._models[variant],
            prompts=PROMPTS,
            reward=watched,
            settings=settings,
            folder=self._new_folder(),
        )
        return self.engine.training(task)

    def _train(self, training: Training, updates: int, trained: Trained, observe: Callable[[], None] | None) -> None:
        def after_update(record: UpdateRecord) -> None:
            trained.records.append(record)
            trained.weights.append(_copy(training.policy()))
            if observe is not None:
                observe()

        training.train(updates, after_update)
        if trained.records[-1].update != updates:
            raise ValueError(f"asked for {updates} updates, and the last one is {trained.records[-1].update}")

    def _start_of(self, variant: str) -> Weights:
        if variant != "other padding":
            return self.start
        changed = _copy(self.start)
        changed["model.embed_tokens.weight"][PAD, 1:] = 3.0
        return changed

    def _new_folder(self) -> Path:
        self._made += 1
        folder = self._folder / f"training-{self._made}"
        folder.mkdir()
        return folder


def seed_global_generators(seed: int) -> None:
    """Seeds the generators that every library of this process shares."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the one that libraries share
    torch.manual_seed(seed)


@torch.no_grad()
def next_token_logprobs(episodes: Sequence[Episode], weights: Weights) -> list[torch.Tensor]:
    """Per answer [n, vocabulary]: log-probabilities at each of its tokens, each answer alone, without padding, nats."""
    model = tiny_model()
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    found = []
    for episode in episodes:
        ids = torch.tensor([[*episode.prompt, *episode.answer]])
        logits = model(input_ids=ids).logits[0, len(episode.prompt) - 1 : -1]
        found.append(torch.log_softmax(logits, dim=-1))
    return found


def log_ratios(episodes: Sequence[Episode], weights: Weights, others: Weights) -> list[torch.Tensor]:
    """Per answer [n]: log-probability of each of its tokens under some weights less that under others, nats."""
    rows = zip(episodes, next_token_logprobs(episodes, weights), next_token_logprobs(episodes, others), strict=True)
    return [(own - other).gather(1, torch.tensor(episode.answer)[:, None]).squeeze(1) for episode, own, other in rows]


def exact_kl(episodes: Sequence[Episode], weights: Weights, others: Weights) -> float:
    """KL(weights || others) of the next token, over the whole vocabulary, mean over the tokens of the answers, nats."""
    rows = zip(next_token_logprobs(episodes, weights), next_token_logprobs(episodes, others), strict=True)
    return float(torch.cat([(own.exp() * (own - other)).sum(1) for own, other in rows]).mean())


def distance(weights: Weights, others: Weights) -> float:
    """Euclidean distance of two policies, without the padding token's own embedding."""
    differences = [_without_padding(name, weights[name]) - _without_padding(name, others[name]) for name in weights]
    return math.sqrt(sum(float(difference.pow(2).sum()) for difference in differences))


def _without_padding(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor[PAD + 1 :] if name.endswith("embed_tokens.weight") else tensor


def _copy(weights: Weights) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().to("cpu", torch.float32, copy=True) for name, tensor in weights.items()}
