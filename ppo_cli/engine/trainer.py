"""The PPO loop: roll out, score, estimate advantages, optimise, record.

A subclass of TRL 1.12's PPOTrainer. TRL builds the accelerator, the optimizer's frame and the policy-and-critic
wrapper; `train` is ours, because TRL's own holds every rollout's full-vocabulary scores, runs all layers in every
pass, ignores gradient clipping and cannot be resumed.

Where several processes train together (`team`), each does this for its share of an update's episodes.

Not here: files, evaluation, formulas (`estimators`), records (`experience`).
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

from ppo_cli.engine import ppo_math
from ppo_cli.engine.critic import CriticModule
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.experience import Experience, ExperienceStats, RunningMeans, episode_records, update_metrics
from ppo_cli.engine.logprobs import token_logprobs, token_logprobs_and_entropy
from ppo_cli.engine.optimizer import MasterWeightAdamW
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.rollouts import PromptOrder, Rollouts, answer_masks, generate, micro_batches
from ppo_cli.engine.trl_config import to_trl_config
from ppo_cli.engine.trl_reward_adapter import RewardModule
from ppo_cli.errors import GateError, PpoError, RewardUnavailableError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms
from ppo_cli.records.answers import Answer, Prompt, RewardScore
from ppo_cli.records.events import EventHandler, Notice, Phase, Progress
from ppo_cli.records.training import Episode, UpdateMetrics
from ppo_cli.rewards.reward_function import RewardFunction
from ppo_cli.rewards.scaling import any_normalised, apply_scales, fit_scales

MAX_TOKENS_PER_PASS = {"cpu": 2048, "cuda": 16384}
"""Padded tokens in one pass through the trained layers, by device."""
MAX_ROWS_PER_PASS = 32
"""Episodes in one pass through the frozen layers, where they were not overheard."""
ADAM_EPSILON = 1e-5
"""As in the 2019 reference; torch's 1e-8 makes the first steps several times larger."""
FIRST_KL_TOLERANCE = 1e-3
"""Nats an answer: before the first step policy and reference are the same weights."""
SAMPLER_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15}
"""Mean |log-probability while sampling - when trained on|, nats a token; more means that they differ in kind."""


LOWER_LAYERS = "Its episodes are in broken.jsonl; start a run with a lower ppo.learning_rate or a larger kl.coef."
"""What to do after numbers that are not finite."""


@dataclass(frozen=True)
class TrainerInputs:
    """Everything one training needs besides its settings."""

    policy: Policy
    tokenizer: ChatTokenizer
    prompts: Sequence[Prompt]
    baseline_answers: Mapping[str, Sequence[Answer]]
    """The other answers by prompt id; empty when there are none to compare with."""
    reward: RewardFunction
    device: torch.device
    process_group: ProcessGroup = field(default_factory=ProcessGroup)
    """This process and those that train with it."""


UpdateSink = Callable[[UpdateMetrics, list[Episode], float], None]
"""Receives each update's metrics, its episodes and the seconds it took."""
OnFailedUpdate = Callable[[int, Sequence[tuple[Prompt, Answer]]], None]
"""Receives the number of an update that could not be learnt from, and what was answered in it."""


@dataclass(frozen=True)
class ForwardOutputs:
    """What policy and reference say of n episodes, before this update."""

    logprobs: torch.Tensor
    """[n, T] of the policy, nats, 0 outside the answer."""
    ref_logprobs: torch.Tensor
    """[n, T] of the reference, nats, 0 outside the answer."""
    entropies: torch.Tensor
    """[n, T] of the policy's next-token distributions, nats."""
    features: torch.Tensor
    """[n, T, width] the reference's final hidden states."""
    values: torch.Tensor
    """[n, T] of the critic, anything after the end."""


class PolicyTrainer(PPOTrainer):
    """PPO on one frozen experiment."""

    def __init__(self, experiment: Experiment, materials: TrainerInputs, folder: Path, on_event: EventHandler) -> None:
        """Builds critic, optimizer and TRL's frame around the policy.

        Args:
            experiment: the settings.
            materials: policy, prompts and reward.
            folder: where TRL may put files; it puts none.
            on_event: told of progress.

        """
        self.experiment, self.materials, self.on_event = experiment, materials, on_event
        self.policy, self.process_group = materials.policy, materials.process_group
        if not self.policy.shares_lower_layers:
            family = self.policy.model.config.model_type
            on_event(Notice(text=f"The layers of {family} cannot be cut in two, so every pass runs them all: slower."))
        self.critic = CriticModule(self.policy, experiment.ppo.critic, seed=experiment.seed)
        self.kl_coef = experiment.kl.coef
        self.term_scales: dict[str, float] = {}
        self.updates_done = 0
        self.order = PromptOrder(len(materials.prompts), experiment.seed)
        self.decoding = SamplingParams(
            max_new_tokens=experiment.rollout.max_new_tokens,
            temperature=experiment.rollout.temperature,
            stop_ids=materials.tokenizer.stop_ids,
            pad_id=materials.tokenizer.pad_id,
        )
        rendered = {tuple(materials.tokenizer.render(prompt.text)): prompt for prompt in materials.prompts}
        super().__init__(
            args=to_trl_config(experiment, folder, materials.device),
            processing_class=materials.tokenizer.tokenizer,
            model=self.policy.trainable,
            ref_model=None if experiment.model.train.lora else torch.nn.Identity(),
            reward_model=RewardModule(
                materials.reward, materials.tokenizer, rendered, materials.baseline_answers, max(map(len, rendered))
            ),
            train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in rendered]}),
            value_model=self.critic,
        )
        self.remove_callback(PrinterCallback)
        self.adamw: MasterWeightAdamW = self.optimizer.optimizer

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
        rescue: OnFailedUpdate = lambda _update, _answered: None,
    ) -> str | None:
        """Runs the updates that are left.

        Args:
            record: receives each update as soon as it is done.
            after_update: called then with the number of updates done; False ends the training.
            rescue: receives the answers of an update that could not be learnt from, before the error goes on.

        Returns:
            Why it ended early, or None.

        Raises:
            GateError: the reward broke its contract, or policy and reference differ before the first step.
            PpoError: a loss or gradient was not finite; the weights are those of the update before.
        """
        for update in range(self.updates_done + 1, self.experiment.ppo.updates + 1):
            started = time.perf_counter()
            rollouts = self.generate(update)
            try:
                with self.process_group.raise_everywhere():
                    scored = self.score(rollouts)
                scored = self.normalise_terms(scored)
                experience = self.compute_advantages(rollouts, scored)
                with self.process_group.raise_everywhere():
                    self.validate_experience(update, experience)
                learning = self.update_policy(update, rollouts, experience)
            except RewardUnavailableError:
                raise  # nothing is wrong with the answers; they are sampled again as they were
            except PpoError:
                rescue(update, self.process_group.gather(list(zip(rollouts.prompts, rollouts.answers, strict=True))))
                raise
            episodes = self.episodes(update, rollouts, scored, experience)
            metrics = update_metrics(update, episodes, experience.summary, learning, self.term_scales)
            self.finish_update(metrics)
            record(metrics, episodes, time.perf_counter() - started)
            if not after_update(update):
                return "stopped by the user"
            stop_at = self.experiment.kl.stop_at
            if stop_at is not None and metrics.kl > stop_at:
                return f"KL to the reference reached {metrics.kl:.1f} nats an answer, past kl.stop_at = {stop_at:g}"
        return None

    # --- the five steps ------------------------------------------------------------------------------

    def generate(self, update: int) -> Rollouts:
        """Samples this process's share of the update's episodes from the policy as a plain model."""
        size = self.experiment.ppo.episodes_per_update
        numbers = self.process_group.shard(range((update - 1) * size + 1, update * size + 1))
        prompts = [self.materials.prompts[index] for index in self.process_group.shard(self.order.batch(update, size))]
        with self.policy.merged_model() as model:
            rollouts = generate(
                model,
                self.materials.tokenizer,
                prompts,
                self.decoding,
                seed=self.experiment.seed,
                episodes=numbers,
                update=update,
                on_event=self.on_event,
                tap=self.policy.stack.recorder(),
            )
        return rollouts.padded_to(max(self.process_group.gather([rollouts.targets.shape[1]])))

    def score(self, rollouts: Rollouts) -> list[RewardScore]:
        """Rewards of the episodes."""
        others = [self.materials.baseline_answers.get(prompt.id, ()) for prompt in rollouts.prompts]
        return self.materials.reward(rollouts.prompts, rollouts.answers, others)

    def normalise_terms(self, scored: list[RewardScore]) -> list[RewardScore]:
        """The same with every normalised term on its scale, which the first update's episodes give."""
        terms = self.experiment.reward.terms
        if not any_normalised(terms):
            return scored
        if not self.term_scales:
            self.term_scales = fit_scales(self.process_group.gather(scored), terms)
        return apply_scales(scored, terms, self.term_scales)

    @torch.no_grad()
    def compute_advantages(self, rollouts: Rollouts, scored: Sequence[RewardScore]) -> Experience:
        """One pass for policy, reference and critic; then rewards a token, advantages and returns over all episodes."""
        ppo, kl, process_group = self.experiment.ppo, self.experiment.kl, self.process_group
        activations = self._activations(rollouts)
        passed = self._forward_all(rollouts, activations)
        lengths = process_group.gather_rows(rollouts.lengths)
        mask, mask_next = answer_masks(lengths, rollouts.targets.shape[1])
        logprobs, reference = process_group.gather_rows(passed.logprobs), process_group.gather_rows(passed.ref_logprobs)
        values = process_group.gather_rows(passed.values) * mask_next
        scores = process_group.gather_rows(
            torch.tensor([item.reward for item in scored], device=mask.device, dtype=torch.float32)
        )

        penalty = ppo_math.kl_penalty(logprobs, reference, kl.estimator) * mask
        rewards = ppo_math.per_token_rewards(penalty, scores, lengths, self.kl_coef)
        if ppo.whiten_rewards:
            rewards = ppo_math.whiten(rewards, mask_next, keep_mean=True) * mask_next
        advantages, returns = ppo_math.gae(rewards, values, ppo.gamma, ppo.gae_lambda)
        advantages = ppo_math.whiten(advantages, mask) * mask
        nats = ((logprobs - reference) * mask).sum(1)
        mismatch = (process_group.gather_rows(rollouts.sampler_logprobs) - logprobs).abs()

        mine = slice(process_group.rank, None, process_group.world_size)
        return Experience(
            activations=activations,
            features=passed.features,
            old_logprobs=passed.logprobs,
            values=values[mine],
            advantages=advantages[mine],
            returns=returns[mine],
            kl=nats[mine],
            lengths=lengths,
            summary=ExperienceStats(
                kl=float(nats.mean()),
                penalty=self.kl_coef * float(penalty.sum(1).mean()),
                entropy=float(ppo_math.masked_mean(process_group.gather_rows(passed.entropies), mask)),
                sampler_mismatch=float(ppo_math.masked_mean(mismatch, mask)),
                explained_variance=ppo_math.explained_variance(values[mask_next], returns[mask_next]),
                kl_coef=self.kl_coef,
            ),
        )

    def update_policy(self, update: int, rollouts: Rollouts, experience: Experience) -> dict[str, float]:
        """PPO epochs over minibatches in a seeded order; one optimizer step a minibatch.

        Returns:
            Means over the optimizer steps, by the names of UpdateMetrics.
        """
        ppo = self.experiment.ppo
        size = ppo.episodes_per_update // ppo.minibatches
        means = RunningMeans()
        learning_rate = float(self.lr_scheduler.get_last_lr()[0])
        self.on_event(Phase(name=f"update {update}: learning", total=ppo.epochs * ppo.minibatches, unit="steps"))
        for epoch in range(ppo.epochs):
            luck = keyed_uniforms(self.experiment.seed, "minibatches", update, epoch, count=ppo.episodes_per_update)
            order = np.argsort(luck, kind="stable").tolist()
            for number in range(ppo.minibatches):
                self.minibatch_step(order[number * size : (number + 1) * size], rollouts, experience, means)
                self.on_event(Progress(done=epoch * ppo.minibatches + number + 1))
        names = ("approx_kl", "clip_fraction", "ratio", "policy_loss", "value_loss", "grad_norm")
        return {**{name: means[name] for name in names}, "learning_rate": learning_rate}

    def minibatch_step(
        self, rows: Sequence[int], rollouts: Rollouts, experience: Experience, means: RunningMeans
    ) -> None:
        """One optimizer step on one minibatch, gathered over micro-batches of like length.

        Args:
            rows: the minibatch, as places among all episodes of the update.
            rollouts: this process's share of them.
            experience: what was estimated.
            means: takes what is reported.
        """
        ppo = self.experiment.ppo
        places = rollouts.answer_positions()
        tokens, steps = (mask.sum() for mask in answer_masks(experience.lengths[rows], rollouts.targets.shape[1]))
        mine = [
            row // self.process_group.world_size
            for row in rows
            if row % self.process_group.world_size == self.process_group.rank
        ]
        sums = dict.fromkeys(("policy_loss", "value_loss", "approx_kl", "clip_fraction", "ratio"), 0.0)
        for part, length in self._micro_batches(mine, rollouts):
            ids, mask, mask_next = rollouts.ids[part, :length], rollouts.response_mask[part], rollouts.value_mask[part]
            hidden = self.policy.policy_hidden(experience.activations[part, :length], ids)
            logprobs = token_logprobs(
                self.policy.head,
                _gather(hidden, places[part])[mask],
                rollouts.targets[part][mask],
                self.experiment.rollout.temperature,
            )
            log_ratio = logprobs - experience.old_logprobs[part][mask]
            policy_losses, clipped = ppo_math.policy_loss(log_ratio, experience.advantages[part][mask], ppo.cliprange)
            value_losses = ppo_math.value_loss(
                self._value_predictions(
                    experience.features[part], experience.activations[part, :length], ids, places[part]
                )[mask_next],
                experience.values[part][mask_next],
                experience.returns[part][mask_next],
                ppo.cliprange_value,
            )
            policy_part, value_part = policy_losses.sum() / tokens, value_losses.sum() / steps
            self.accelerator.backward(policy_part + ppo.value_coef * value_part)
            self.adamw.collect_gradients()

            change = log_ratio.detach()
            sums["policy_loss"] += float(policy_part.detach())
            sums["value_loss"] += float(value_part.detach())
            sums["approx_kl"] += float(0.5 * (change**2).sum() / tokens)
            sums["clip_fraction"] += float(clipped.sum() / tokens)
            sums["ratio"] += float(change.exp().sum() / tokens)
        self.process_group.all_reduce_(self.adamw.gradients())
        for name, value in self._sum_over_processes(sums).items():
            means.add(name, value)
        means.add("grad_norm", self._clip_and_step())

    # --- around the steps ----------------------------------------------------------------------------

    def validate_experience(self, update: int, experience: Experience) -> None:
        """Everything must be finite; before the first step policy and reference, sampler and trainer must agree.

        Raises:
            PpoError: a log-probability, value or reward is not finite.
            GateError: they do not agree; what PPO would learn from is not what it thinks it is.
        """
        for name in ("logprobs", "values", "advantages", "returns", "kl"):
            if not torch.isfinite(getattr(experience, name)).all():
                raise PpoError(
                    f"The {name} of update {update} are not all finite, so nothing was learnt from them.", LOWER_LAYERS
                )
        if update != 1:
            return
        kl = experience.summary.kl
        if not abs(kl) <= FIRST_KL_TOLERANCE:
            raise GateError(
                f"Before the first step the KL to the reference is {kl:.3g} nats an answer, not 0.",
                "Policy and reference differ; check model.start and model.warm_start.",
            )
        mismatch, limit = experience.summary.sampler_mismatch, SAMPLER_TOLERANCE[self.policy.model.dtype]
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
            self.kl_coef = ppo_math.adaptive_kl_coef(self.kl_coef, metrics.kl, kl.target, size, kl.horizon)

    def episodes(
        self, update: int, rollouts: Rollouts, scored: Sequence[RewardScore], experience: Experience
    ) -> list[Episode]:
        """The records of all of the update's episodes."""
        size = self.experiment.ppo.episodes_per_update
        numbers = self.process_group.shard(range((update - 1) * size + 1, update * size + 1))
        kl, others = experience.kl.tolist(), self.materials.baseline_answers
        return self.process_group.gather(episode_records(update, numbers, rollouts, scored, kl, others))

    def _clip_and_step(self) -> float:
        """Scales policy and critic gradients down to max_grad_norm each, and steps; gives the policy's norm before.

        Raises:
            PpoError: a gradient is not finite; nothing was changed by this minibatch.
        """
        limit = self.experiment.ppo.max_grad_norm
        norms = [float(torch.nn.utils.clip_grad_norm_(group["params"], limit)) for group in self.adamw.param_groups]
        if not np.isfinite(norms).all():
            self.optimizer.zero_grad()
            raise PpoError(
                f"A gradient is not finite in update {self.updates_done + 1}, so it was not applied.",
                LOWER_LAYERS,
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norms[0]

    def _forward_all(self, rollouts: Rollouts, activations: torch.Tensor) -> ForwardOutputs:
        """Policy and reference over the episodes, a few of like length at a time."""
        temperature, (count, steps) = self.experiment.rollout.temperature, rollouts.targets.shape
        shape = (count, steps)
        logprobs, reference, entropies, values = (torch.zeros(shape, device=rollouts.ids.device) for _ in range(4))
        features = self.policy.head.weight.new_zeros((*shape, self.policy.head.weight.shape[1]))
        places = rollouts.answer_positions()
        done = 0
        self.on_event(Phase(name="old and reference log-probabilities", total=count, unit="answers"))
        for rows, length in self._micro_batches(range(count), rollouts):
            ids, mask = rollouts.ids[rows, :length], rollouts.response_mask[rows]
            lower, targets = activations[rows, :length], rollouts.targets[rows][mask]
            hidden = _gather(self.policy.policy_hidden(lower, ids), places[rows])
            features[rows] = _gather(self.policy.reference_hidden(lower, ids), places[rows])
            values[rows] = self._value_predictions(features[rows], lower, ids, places[rows])
            chosen, uncertain = token_logprobs_and_entropy(self.policy.head, hidden[mask], targets, temperature)
            expected = token_logprobs(self.policy.head, features[rows][mask], targets, temperature)
            logprobs[rows], entropies[rows] = _scatter(chosen, mask), _scatter(uncertain, mask)
            reference[rows] = _scatter(expected, mask)
            done += len(rows)
            self.on_event(Progress(done=done))
        return ForwardOutputs(
            logprobs=logprobs, ref_logprobs=reference, entropies=entropies, features=features, values=values
        )

    def _value_predictions(
        self, reference: torch.Tensor, lower: torch.Tensor, ids: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """The critic's values at given places: [rows, T]."""
        own = self.critic.layers is not None
        hidden = _gather(self.critic.own_hidden(lower, ids), places) if own else reference
        return self.critic.head(hidden)

    def _sum_over_processes(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Adds up what every process summed over its own rows."""
        values = torch.tensor(list(sums.values()), dtype=torch.float64, device=self.materials.device)
        self.process_group.all_reduce_([values])
        return dict(zip(sums, values.tolist(), strict=True))

    def _activations(self, rollouts: Rollouts) -> torch.Tensor:
        """[N, length, width] below the cut: overheard while sampling, or else computed now."""
        if rollouts.activations is not None:
            return rollouts.activations
        return torch.cat([self.policy.stack.run_lower(ids) for ids in rollouts.ids.split(MAX_ROWS_PER_PASS)])

    def _micro_batches(self, rows: Sequence[int], rollouts: Rollouts) -> Any:  # noqa: ANN401
        lengths = (rollouts.prompt_lengths + rollouts.lengths).tolist()
        return micro_batches(rows, lengths, MAX_TOKENS_PER_PASS[self.materials.device.type])


def _gather(hidden: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Hidden states at given places: [rows, length, width] and [rows, T] to [rows, T, width]."""
    places = places.clamp(max=hidden.shape[1] - 1)
    return hidden.gather(1, places.unsqueeze(2).expand(-1, -1, hidden.shape[2]))


def _scatter(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Values at the true places of a mask, 0 elsewhere: [tokens] to the mask's shape."""
    full = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
    full[mask] = values
    return full
