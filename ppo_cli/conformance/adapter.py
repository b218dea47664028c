"""What a PPO trainer has to be able to do so that `ppo verify-engine` can check it: three small classes.

An adapter is a factory, a function without arguments that returns an `Engine`. The suite asks the engine for a
`Training` per task, lets it train, and reads the policy's weights after each update. That is all it needs; what a
trainer can give beyond that is named in `abilities`, and a check that needs an ability which is missing is reported as
"not checked".

Not here: the checks, an adapter (`own_engine`; docs/verify-engine.md has one for another trainer).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Tokens = Sequence[int]

Reward = Callable[[Sequence[Tokens], Sequence[Tokens]], list[float]]
"""Prompts and answers as token ids, without padding, to one score per answer. An answer holds its EOS token, if any."""

Ability = Literal["kl", "ratio", "approx_kl", "advantages", "micro_batches", "dual_clip", "resume"]
"""What a trainer may be able to give:

    kl              `UpdateRecord.kl`
    ratio           `UpdateRecord.ratio`
    approx_kl       `UpdateRecord.approx_kl`
    advantages      `UpdateRecord.episodes`
    micro_batches   it reads `Settings.micro_batch`
    dual_clip       it reads `Settings.dual_clip`
    resume          it gives a `ResumableTraining`
"""
ABILITIES: frozenset[Ability] = frozenset(
    {"kl", "ratio", "approx_kl", "advantages", "micro_batches", "dual_clip", "resume"}
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one training. What is not named here stays off: no schedule, warm-up, reward scaling or dropout.

    All weights of the policy are trained, or the part that the trainer trains by default, with Adam at a constant
    learning rate. The penalty is kl_coef times log(policy / start model) per token, taken from the reward (k1).
    """

    seed: int = 1
    episodes: int = 16
    """Answers per update."""
    epochs: int = 1
    minibatches: int = 1
    """Optimizer steps per epoch."""
    micro_batch: int | None = None
    """Episodes per backward pass; None takes a whole minibatch. Never changes what is computed."""
    learning_rate: float = 1e-2
    """Of policy and critic."""
    max_grad_norm: float = 1e9
    """Gradients are scaled down to this norm."""
    cliprange: float = 0.2
    cliprange_value: float = 10.0
    dual_clip: float | None = None
    """Bounds the loss of tokens of negative advantage at this ratio (Ye et al. 2020); None does not."""
    gamma: float = 1.0
    gae_lambda: float = 0.95
    kl_coef: float = 0.0
    temperature: float = 1.0
    """Divides the logits while sampling and in every log-probability of the training."""
    max_new_tokens: int = 8


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one training is about."""

    model: Path
    """Folder of a transformers causal language model with its tokenizer, on the CPU in float32."""
    prompts: Sequence[Tokens]
    """Token ids; each ends where the answer begins."""
    reward: Reward
    settings: Settings
    folder: Path
    """An empty folder for files of the trainer."""


@dataclass(frozen=True, kw_only=True)
class EpisodeNumbers:
    """What an update learns from one answer of n tokens, its EOS token included."""

    values: Sequence[float]
    """The critic's values before the update: n, the score lying on the last token; or n + 1, the score lying on the
    step after it, as in the code of Ziegler et al. 2019."""
    advantages: Sequence[float]
    """n, as the policy loss uses them."""


@dataclass(frozen=True, kw_only=True)
class UpdateRecord:
    """What a trainer reports of one update; None without the ability."""

    update: int
    """Counted from 1 over the whole training."""
    kl: float | None = None
    """Mean over answers of the sum over tokens of log policy - log reference, before the update, nats."""
    ratio: float | None = None
    """Mean of policy / old policy over answer tokens and optimizer steps."""
    approx_kl: float | None = None
    """Mean of any usual estimate of KL(old policy || policy) over answer tokens and optimizer steps, nats per token."""
    episodes: Sequence[EpisodeNumbers] | None = None
    """In the order in which the reward got the answers."""


class Training(Protocol):
    """One training of a policy."""

    def train(self, updates: int, after_update: Callable[[UpdateRecord], None]) -> None:
        """Trains until `updates` updates are done in all; calls `after_update` after each, before the next begins."""

    def policy(self) -> Mapping[str, Any]:
        """The policy's weights now, as the `state_dict` of the model in the task's folder; adapters are merged."""


class ResumableTraining(Training, Protocol):
    """A training with the ability `resume`."""

    def save(self, folder: Path) -> None:
        """Writes everything that the training continues from."""

    def load(self, folder: Path) -> None:
        """Makes this new training of the same task the one that was saved."""


class Engine(Protocol):
    """A trainer."""

    @property
    def name(self) -> str:
        """What the certificate calls it."""

    @property
    def version(self) -> str:
        """Of the trainer."""

    @property
    def abilities(self) -> Collection[Ability]:
        """What it can give; a check of anything else is "not checked"."""

    def training(self, task: Task) -> Training:
        """A new training that has done no update."""
