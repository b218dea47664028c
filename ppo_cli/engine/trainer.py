"""The PPO loop: roll out, score, estimate advantages, optimise, record.

A subclass of TRL 1.12's PPOTrainer. TRL builds the accelerator, the optimizer's frame and the policy-and-critic
wrapper; `train` is ours, because TRL's own holds every rollout's full-vocabulary scores, runs all layers in every
pass, ignores gradient clipping and cannot be resumed.

Not here: files, evaluation, formulas (`estimators`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl.experimental.ppo import PPOTrainer

from ppo_cli.engine import estimators
from ppo_cli.engine.arguments import trl_config
from ppo_cli.engine.critic import CriticModule
from ppo_cli.engine.logprobs import token_logprobs, token_logprobs_and_entropy
from ppo_cli.engine.optimizer import MasterWeightAdamW
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.reward_module import RewardModule
from ppo_cli.engine.rollouts import PromptOrder, Rollouts, micro_batches, roll_out
from ppo_cli.errors import GateError, PpoError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.loading import Tokens
from ppo_cli.models.sampling import Decoding, uniforms
from ppo_cli.records import Answer, Episode, Notice, Phase, Progress, Prompt, Scored, UpdateMetrics, Watcher
from ppo_cli.rewards.preference import RewardFunction

TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16384}
"""Padded tokens in one pass through the trained layers, by device."""
ROWS_AT_ONCE = 32
"""Episodes in one pass through the frozen layers, where they were not overheard."""
ADAM_EPSILON = 1e-5
"""As in the 2019 reference; torch's 1e-8 makes the first steps several times larger."""
FIRST_KL_TOLERANCE = 1e-3
"""Nats an answer: before the first step policy and reference are the same weights."""
SAMPLER_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15}
"""Mean |log-probability while sampling - when trained on|, nats a token; more means that they differ in kind."""


LOWER = "Its episodes are in broken.jsonl; start a run with a lower ppo.learning_rate or a larger kl.coef."
"""What to do after numbers that are not finite."""


@dataclass(frozen=True)
class Experience:
    """What an update learns from: N episodes, T tokens in the longest answer."""

    activations: torch.Tensor
    """[N, length, width] below the cut."""
    features: torch.Tensor
    """[N, T, width] what the critic reads."""
    logprobs: torch.Tensor
    """[N, T] of the policy before this update, 0 outside the answer."""
    values: torch.Tensor
    """[N, T] of the critic before this update, 0 after the end."""
    advantages: torch.Tensor
    """[N, T], mean 0 and variance 1 over answer tokens."""
    returns: torch.Tensor
    """[N, T]."""
    kl: torch.Tensor
    """[N] k1 to the reference, nats an answer."""
    penalty: torch.Tensor
    """[N] kl_coef times the chosen estimator, summed over the answer."""
    entropy: float
    """Mean over answer tokens, nats."""
    sampler_mismatch: float
    """Mean |log-probability while sampling - when trained on|, nats a token."""


@dataclass
class Means:
    """Running means of what the optimisation reports."""

    sums: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float, weight: float = 1.0) -> None:
        """Adds a value that stands for `weight` observations."""
        self.sums[name] = self.sums.get(name, 0.0) + value * weight
        self.weights[name] = self.weights.get(name, 0.0) + weight

    def __getitem__(self, name: str) -> float:
        return self.sums[name] / self.weights[name]


@dataclass(frozen=True)
class Materials:
    """Everything one training needs besides its settings."""

    policy: Policy
    tokens: Tokens
    prompts: Sequence[Prompt]
    others: Mapping[str, Sequence[Answer]]
    """The other answers by prompt id; empty when there are none to compare with."""
    reward: RewardFunction
    device: torch.device


UpdateSink = Callable[[UpdateMetrics, list[Episode], float], None]
"""Receives each update's metrics, its episodes and the seconds it took."""


class PolicyTrainer(PPOTrainer):
    """PPO on one frozen experiment."""

    def __init__(self, experiment: Experiment, materials: Materials, folder: Path, watcher: Watcher) -> None:
        """Builds critic, optimizer and TRL's frame around the policy.

        Args:
            experiment: the settings.
            materials: policy, prompts and reward.
            folder: where TRL may put files; it puts none.
            watcher: told of progress.

        """
        self.experiment, self.materials, self.watcher = experiment, materials, watcher
        self.policy = materials.policy
        if not self.policy.shares_lower_layers:
            family = self.policy.model.config.model_type
            watcher(Notice(text=f"The layers of {family} cannot be cut in two, so every pass runs them all: slower."))
        self.critic = CriticModule(self.policy, seed=experiment.seed)
        self.kl_coef = experiment.kl.coef
        self.updates_done = 0
        self.order = PromptOrder(len(materials.prompts), experiment.seed)
        self.decoding = Decoding(
            max_new_tokens=experiment.rollout.max_new_tokens,
            temperature=experiment.rollout.temperature,
            stop_ids=materials.tokens.stop_ids,
            pad_id=materials.tokens.pad_id,
        )
        rendered = {tuple(materials.tokens.render(prompt.text)): prompt for prompt in materials.prompts}
        super().__init__(
            args=trl_config(experiment, folder, materials.device),
            processing_class=materials.tokens.tokenizer,
            model=self.policy.trainable,
            ref_model=None if experiment.model.train.lora else torch.nn.Identity(),
            reward_model=RewardModule(
                materials.reward, materials.tokens, rendered, materials.others, max(map(len, rendered))
            ),
            train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in rendered]}),
            value_model=self.critic,
        )
        self.remove_callback(PrinterCallback)
        self.stepper: MasterWeightAdamW = self.optimizer.optimizer

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:  # noqa: ARG002 - TRL's signature
        """AdamW over float32 masters; policy and critic each with its own learning rate, warmed up linearly."""
        ppo = self.experiment.ppo
        groups = [
            {"params": list(self.policy.parameters.values()), "lr": ppo.learning_rate},
            {"params": list(self.critic.parameters()), "lr": ppo.critic_learning_rate},
        ]
        self.optimizer = MasterWeightAdamW(groups, eps=ADAM_EPSILON, weight_decay=0.0)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda update: min(1.0, (update + 1) / (ppo.warmup_updates + 1))
        )

    def train(
        self,
        record: UpdateSink,
        after_update: Callable[[int], bool],
        rescue: Callable[[int, Rollouts], None] = lambda _update, _rollouts: None,
    ) -> str | None:
        """Runs the updates that are left.

        Args:
            record: receives each update as soon as it is done.
            after_update: called then with the number of updates done; False ends the training.
            rescue: receives the episodes of an update that could not be learnt from, before the error goes on.

        Returns:
            Why it ended early, or None.

        Raises:
            GateError: the reward broke its contract, or policy and reference differ before the first step.
            PpoError: a loss or gradient was not finite; the weights are those of the update before.
        """
        for update in range(self.updates_done + 1, self.experiment.ppo.updates + 1):
            started = time.perf_counter()
            rollouts = self.roll_out(update)
            try:
                scored = self.score(rollouts)
                experience = self.estimate(rollouts, scored)
                self.check_start(update, experience)
                learning = self.optimise(update, rollouts, experience)
            except PpoError:
                rescue(update, rollouts)
                raise
            metrics = self.describe(update, rollouts, scored, experience, learning)
            self.finish_update(metrics)
            episodes = self.episodes(update, rollouts, scored, experience)
            record(metrics, episodes, time.perf_counter() - started)
            if not after_update(update):
                return "stopped by the user"
            stop_at = self.experiment.kl.stop_at
            if stop_at is not None and metrics.kl > stop_at:
                return f"KL to the reference reached {metrics.kl:.1f} nats an answer, past kl.stop_at = {stop_at:g}"
        return None

    # --- the five steps ------------------------------------------------------------------------------

    def roll_out(self, update: int) -> Rollouts:
        """Samples this update's episodes from the policy as a plain model."""
        size = self.experiment.ppo.episodes_per_update
        prompts = [self.materials.prompts[index] for index in self.order.batch(update, size)]
        with self.policy.as_plain_model() as model:
            return roll_out(
                model,
                self.materials.tokens,
                prompts,
                self.decoding,
                seed=self.experiment.seed,
                first_episode=(update - 1) * size + 1,
                update=update,
                watcher=self.watcher,
                tap=self.policy.stack.tap(),
            )

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """Rewards of the episodes."""
        others = [self.materials.others.get(prompt.id, ()) for prompt in rollouts.prompts]
        return self.materials.reward(rollouts.prompts, rollouts.answers, others)

    @torch.no_grad()
    def estimate(self, rollouts: Rollouts, scored: Sequence[Scored]) -> Experience:
        """One pass for policy, reference and critic; then rewards a token, advantages and returns."""
        ppo, kl, temperature = self.experiment.ppo, self.experiment.kl, self.experiment.rollout.temperature
        shape = rollouts.targets.shape
        logprobs, reference = (torch.zeros(shape, device=rollouts.ids.device) for _ in range(2))
        activations = self._activations(rollouts)
        features: torch.Tensor | None = None
        entropy = Means()
        places = rollouts.answer_places()
        done = 0
        self.watcher(Phase(name="old and reference log-probabilities", total=shape[0], unit="answers"))
        for rows, length in self._micro_batches(range(shape[0]), rollouts):
            ids, mask = rollouts.ids[rows, :length], rollouts.mask[rows]
            lower = activations[rows, :length]
            hidden = _gather(self.policy.policy_hidden(lower, ids), places[rows])
            reference_hidden = _gather(self.policy.reference_hidden(lower, ids), places[rows])
            targets = rollouts.targets[rows][mask]
            chosen, entropies = token_logprobs_and_entropy(self.policy.head, hidden[mask], targets, temperature)
            logprobs[rows] = _scatter(chosen, mask)
            reference[rows] = _scatter(
                token_logprobs(self.policy.head, reference_hidden[mask], targets, temperature), mask
            )
            if features is None:
                features = reference_hidden.new_zeros((*shape, reference_hidden.shape[2]))
            features[rows] = reference_hidden
            entropy.add("entropy", float(entropies.mean()), len(targets))
            done += len(rows)
            self.watcher(Progress(done=done))
        if features is None:
            raise ValueError("no episodes")

        penalty = estimators.kl_penalty(logprobs, reference, kl.estimator) * rollouts.mask
        scores = torch.tensor([item.reward for item in scored], device=logprobs.device, dtype=torch.float32)
        rewards = estimators.token_rewards(penalty, scores, rollouts.lengths, self.kl_coef)
        if ppo.whiten_rewards:
            rewards = estimators.whiten(rewards, rollouts.mask_next, keep_mean=True) * rollouts.mask_next
        values = self.critic.head(features) * rollouts.mask_next
        advantages, returns = estimators.generalized_advantages(rewards, values, ppo.gamma, ppo.gae_lambda)
        return Experience(
            activations=activations,
            features=features,
            logprobs=logprobs,
            values=values,
            advantages=estimators.whiten(advantages, rollouts.mask) * rollouts.mask,
            returns=returns,
            kl=((logprobs - reference) * rollouts.mask).sum(1),
            penalty=self.kl_coef * penalty.sum(1),
            entropy=entropy["entropy"],
            sampler_mismatch=float(estimators.masked_mean((rollouts.sampler_logprobs - logprobs).abs(), rollouts.mask)),
        )

    def optimise(self, update: int, rollouts: Rollouts, experience: Experience) -> dict[str, float]:
        """PPO epochs over minibatches in a seeded order; one optimizer step a minibatch.

        Returns:
            Means over the optimizer steps, by the names of UpdateMetrics.
        """
        ppo = self.experiment.ppo
        size = ppo.episodes_per_update // ppo.minibatches
        means = Means()
        learning_rate = float(self.lr_scheduler.get_last_lr()[0])
        self.watcher(Phase(name=f"update {update}: learning", total=ppo.epochs * ppo.minibatches, unit="steps"))
        for epoch in range(ppo.epochs):
            luck = uniforms(self.experiment.seed, "minibatches", update, epoch, count=ppo.episodes_per_update)
            order = np.argsort(luck, kind="stable").tolist()
            for number in range(ppo.minibatches):
                self.step(order[number * size : (number + 1) * size], rollouts, experience, means)
                self.watcher(Progress(done=epoch * ppo.minibatches + number + 1))
        names = ("approx_kl", "clip_fraction", "ratio", "policy_loss", "value_loss", "grad_norm")
        return {**{name: means[name] for name in names}, "learning_rate": learning_rate}

    def step(self, rows: Sequence[int], rollouts: Rollouts, experience: Experience, means: Means) -> None:
        """One optimizer step on one minibatch, gathered over micro-batches of like length."""
        ppo = self.experiment.ppo
        places = rollouts.answer_places()
        tokens, steps = rollouts.mask[rows].sum(), rollouts.mask_next[rows].sum()
        sums = dict.fromkeys(("policy_loss", "value_loss", "approx_kl", "clip_fraction", "ratio"), 0.0)
        for part, length in self._micro_batches(rows, rollouts):
            ids, mask, mask_next = rollouts.ids[part, :length], rollouts.mask[part], rollouts.mask_next[part]
            hidden = self.policy.policy_hidden(experience.activations[part, :length], ids)
            logprobs = token_logprobs(
                self.policy.head,
                _gather(hidden, places[part])[mask],
                rollouts.targets[part][mask],
                self.experiment.rollout.temperature,
            )
            log_ratio = logprobs - experience.logprobs[part][mask]
            policy_losses, clipped = estimators.policy_loss(log_ratio, experience.advantages[part][mask], ppo.cliprange)
            value_losses = estimators.value_loss(
                self.critic.head(experience.features[part][mask_next]),
                experience.values[part][mask_next],
                experience.returns[part][mask_next],
                ppo.cliprange_value,
            )
            policy_part, value_part = policy_losses.sum() / tokens, value_losses.sum() / steps
            self.accelerator.backward(policy_part + ppo.value_coef * value_part)
            self.stepper.collect_gradients()

            change = log_ratio.detach()
            sums["policy_loss"] += float(policy_part.detach())
            sums["value_loss"] += float(value_part.detach())
            sums["approx_kl"] += float(0.5 * (change**2).sum() / tokens)
            sums["clip_fraction"] += float(clipped.sum() / tokens)
            sums["ratio"] += float(change.exp().sum() / tokens)
        for name, value in sums.items():
            means.add(name, value)
        means.add("grad_norm", self._clip_and_step())

    # --- around the steps ----------------------------------------------------------------------------

    def describe(
        self,
        update: int,
        rollouts: Rollouts,
        scored: Sequence[Scored],
        experience: Experience,
        learning: Mapping[str, float],
    ) -> UpdateMetrics:
        """The record of one update."""
        rewards = np.array([item.reward for item in scored])
        tokens = float(rollouts.mask.sum())
        return UpdateMetrics(
            update=update,
            episodes=update * len(scored),
            reward=float(rewards.mean()),
            reward_std=float(rewards.std()),
            terms={name: float(np.mean([item.terms[name] for item in scored])) for name in scored[0].terms},
            kl=float(experience.kl.mean()),
            kl_per_token=float(experience.kl.sum()) / tokens,
            kl_coef=self.kl_coef,
            kl_penalty=float(experience.penalty.mean()),
            tokens=tokens / len(scored),
            ended=float(np.mean([answer.ended for answer in rollouts.answers])),
            entropy=experience.entropy,
            sampler_mismatch=experience.sampler_mismatch,
            explained_variance=estimators.explained_variance(
                experience.values[rollouts.mask_next], experience.returns[rollouts.mask_next]
            ),
            **learning,
        )

    def check_start(self, update: int, experience: Experience) -> None:
        """Everything must be finite; before the first step policy and reference, sampler and trainer must agree.

        Raises:
            PpoError: a log-probability, value or reward is not finite.
            GateError: they do not agree; what PPO would learn from is not what it thinks it is.
        """
        for name in ("logprobs", "values", "advantages", "returns", "kl"):
            if not torch.isfinite(getattr(experience, name)).all():
                raise PpoError(
                    f"The {name} of update {update} are not all finite, so nothing was learnt from them.", LOWER
                )
        if update != 1:
            return
        kl = float(experience.kl.mean())
        if not abs(kl) <= FIRST_KL_TOLERANCE:
            raise GateError(
                f"Before the first step the KL to the reference is {kl:.3g} nats an answer, not 0.",
                "Policy and reference differ; check model.start and model.warm_start.",
            )
        mismatch, limit = experience.sampler_mismatch, SAMPLER_TOLERANCE[self.policy.model.dtype]
        if not mismatch <= limit:
            raise GateError(
                f"Sampling and training disagree by {mismatch:.3g} nats a token (limit {limit:g}).",
                "The model computes something else with a cache than without; use model.dtype=float32 or report it.",
            )

    def finish_update(self, metrics: UpdateMetrics) -> None:
        """Moves schedule and KL controller on to the next update."""
        self.lr_scheduler.step()
        self.updates_done = metrics.update
        kl = self.experiment.kl
        if kl.target is not None:
            size = self.experiment.ppo.episodes_per_update
            self.kl_coef = estimators.steered_kl_coef(self.kl_coef, metrics.kl, kl.target, size, kl.horizon)

    def episodes(
        self, update: int, rollouts: Rollouts, scored: Sequence[Scored], experience: Experience
    ) -> list[Episode]:
        """The update's rollouts as records."""
        first = (update - 1) * len(scored) + 1
        cases = zip(rollouts.prompts, rollouts.answers, scored, experience.kl.tolist(), strict=True)
        others = self.materials.others
        return [
            Episode(
                update=update,
                episode=first + index,
                prompt_id=prompt.id,
                prompt=prompt.text,
                answer=answer.text,
                other=others[prompt.id][0].text if prompt.id in others else None,
                tokens=answer.tokens,
                finish=answer.finish,
                reward=score.reward,
                terms=score.terms,
                other_terms=score.other_terms,
                kl=kl,
            )
            for index, (prompt, answer, score, kl) in enumerate(cases)
        ]

    def _clip_and_step(self) -> float:
        """Scales policy and critic gradients down to max_grad_norm each, and steps; gives the policy's norm before.

        Raises:
            PpoError: a gradient is not finite; nothing was changed by this minibatch.
        """
        limit = self.experiment.ppo.max_grad_norm
        norms = [float(torch.nn.utils.clip_grad_norm_(group["params"], limit)) for group in self.stepper.param_groups]
        if not np.isfinite(norms).all():
            self.optimizer.zero_grad()
            raise PpoError(
                f"A gradient is not finite in update {self.updates_done + 1}, so it was not applied.",
                LOWER,
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norms[0]

    def _activations(self, rollouts: Rollouts) -> torch.Tensor:
        """[N, length, width] below the cut: overheard while sampling, or else computed now."""
        if rollouts.activations is not None:
            return rollouts.activations
        return torch.cat([self.policy.stack.lower(ids) for ids in rollouts.ids.split(ROWS_AT_ONCE)])

    def _micro_batches(self, rows: Sequence[int], rollouts: Rollouts) -> Any:  # noqa: ANN401
        lengths = (rollouts.prompt_lengths + rollouts.lengths).tolist()
        return micro_batches(rows, lengths, TOKENS_AT_ONCE[self.materials.device.type])


def _gather(hidden: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Hidden states at given places: [rows, length, width] and [rows, T] to [rows, T, width]."""
    places = places.clamp(max=hidden.shape[1] - 1)
    return hidden.gather(1, places.unsqueeze(2).expand(-1, -1, hidden.shape[2]))


def _scatter(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Values at the true places of a mask, 0 elsewhere: [tokens] to the mask's shape."""
    full = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
    full[mask] = values
    return full
