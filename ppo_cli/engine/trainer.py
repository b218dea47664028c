"""The PPO training loop: generate, score, compute advantages, update the policy, record.

A subclass of TRL 1.12's PPOTrainer. TRL builds the accelerator, wraps the optimizer and joins policy and critic in one
module; `train` is ours, because TRL's own loop keeps full-vocabulary scores of every rollout, runs all layers in every
pass, ignores gradient clipping and cannot be resumed.

Where several processes train together, each does every step for its shard of an update's episodes.

Not here: files, evaluation, formulas (`ppo_math`), the optimizer steps (`policy_update`), records (`experience`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import PrinterCallback
from trl.experimental.ppo import PPOTrainer

from ppo_cli.engine import ppo_math
from ppo_cli.engine.critic import CriticModule
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.eight_bit_adamw import make_optimizer
from ppo_cli.engine.experience import (
    Experience,
    ExperienceStats,
    episode_records,
    update_metrics,
    validate_experience,
)
from ppo_cli.engine.forward_passes import ForwardPasses
from ppo_cli.engine.optimizer import MasterWeights
from ppo_cli.engine.placebo import permuted
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.policy_update import PolicyUpdater
from ppo_cli.engine.rollouts import EpisodePrompts, PromptOrder, Rollouts, answer_masks, generate
from ppo_cli.engine.saved_activations import start_tokens
from ppo_cli.engine.tokens_per_pass import TokensPerPass
from ppo_cli.engine.trl_config import to_trl_config
from ppo_cli.errors import MemoryFullError, PpoError, RewardUnavailableError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.determinism import strict_algorithms
from ppo_cli.models.free_memory import return_free_memory
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.models.sampling import SamplingParams
from ppo_cli.records.answers import Answer, Prompt, RewardScore
from ppo_cli.records.events import EventHandler, Notice, Phase, Progress
from ppo_cli.records.training import Episode, UpdateMetrics
from ppo_cli.rewards.reward_function import RewardFunction, weighted_sum
from ppo_cli.rewards.scaling import any_normalised, apply_scales, fit_scales

ADAM_EPSILON = 1e-5
"""As in OpenAI's code of 2019 (Ziegler et al.); torch's 1e-8 makes the first steps several times larger."""


@dataclass(frozen=True, kw_only=True)
class TrainerInputs:
    """What one training needs besides its settings."""

    policy: Policy
    tokenizer: ChatTokenizer
    """Decodes answers."""
    prompts: Sequence[Prompt]
    """All training prompts, in the order of their file."""
    prompt_token_ids: Sequence[Sequence[int]]
    """Of each prompt, chat template applied."""
    baseline_answers: Mapping[str, Sequence[Answer]]
    """By prompt id; empty if the reward subtracts no baseline."""
    reward: RewardFunction
    device: torch.device
    process_group: ProcessGroup = field(default_factory=ProcessGroup)
    """This process and those that train with it."""


RecordUpdate = Callable[[UpdateMetrics, list[Episode], float], None]
"""Called with each update's metrics, its episodes and the seconds it took."""
OnFailedUpdate = Callable[[int, Sequence[tuple[Prompt, Answer]]], None]
"""Called with the number of a failed update and its answers: a score, loss or gradient was not finite."""


class PolicyTrainer(PPOTrainer):
    """PPO on one frozen experiment."""

    def __init__(self, experiment: Experiment, inputs: TrainerInputs, folder: Path, on_event: EventHandler) -> None:
        """Builds the critic, the optimizer and TRL's trainer around the policy.

        Args:
            experiment: the settings.
            inputs: policy, prompts and reward.
            folder: where TRL may write files; it writes none.
            on_event: called with notices and progress.

        """
        self.experiment, self.inputs, self.on_event = experiment, inputs, on_event
        self.policy, self.process_group = inputs.policy, inputs.process_group
        if not self.policy.shares_lower_layers:
            family = self.policy.model.config.model_type
            on_event(Notice(text=f"The layers of {family} cannot be split, so every pass runs all of them: slower."))
        self.critic = CriticModule(self.policy, experiment.ppo.critic, seed=experiment.seed)
        self.kl_coef = experiment.kl.coef
        self.term_scales: dict[str, float] = {}
        self.updates_done = 0
        self.prompt_order = PromptOrder.of(inputs.prompts, experiment.seed, experiment.ppo.answers_per_prompt)
        self.sampling_params = SamplingParams(
            max_new_tokens=experiment.rollout.max_new_tokens,
            temperature=experiment.rollout.temperature,
            stop_ids=inputs.tokenizer.stop_ids,
            pad_id=inputs.tokenizer.pad_id,
        )
        super().__init__(
            args=to_trl_config(experiment, folder, inputs.device),
            processing_class=inputs.tokenizer.tokenizer,
            model=self.policy.trainable,
            ref_model=None if experiment.model.train.lora else torch.nn.Identity(),
            # TRL requires a reward model and a dataset; only its own loop, which is not used, reads them.
            reward_model=torch.nn.Identity(),
            train_dataset=[None],
            value_model=self.critic,
        )
        self.remove_callback(PrinterCallback)
        start = start_tokens(self.policy, self.critic, experiment.ppo.optimizer)
        size = TokensPerPass(experiment.ppo.tokens_per_pass, start, on_event)
        self.passes = ForwardPasses(
            self.policy, self.critic, experiment.rollout.temperature, self.process_group, on_event, size
        )
        self.updater = PolicyUpdater(
            experiment, self.passes, self.accelerator, self.optimizer, self.process_group, on_event
        )
        self.adamw: MasterWeights = self.updater.adamw

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:  # noqa: ARG002 - TRL's signature
        """AdamW over float32 masters; policy and critic each with its own learning rate and one schedule."""
        ppo = self.experiment.ppo
        groups = [
            {"params": list(self.policy.parameters.values()), "lr": ppo.learning_rate},
            {"params": list(self.critic.parameters()), "lr": ppo.critic_learning_rate},
        ]
        self.optimizer = make_optimizer(ppo.optimizer, groups, eps=ADAM_EPSILON, weight_decay=0.0)
        if self.policy.sharded_layers is not None:
            self.model._is_accelerate_prepared = True  # noqa: SLF001 - its data parallelism takes no sharded weights
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda done: ppo_math.learning_rate_factor(
                done, ppo.updates, ppo.warmup_updates, ppo.learning_rate_schedule
            ),
        )

    def train(
        self,
        record: RecordUpdate,
        after_update: Callable[[int], bool],
        on_failed_update: OnFailedUpdate = lambda _update, _answered: None,
    ) -> str | None:
        """Runs the updates that are left.

        Args:
            record: called with each update as soon as it is done.
            after_update: called then with the number of updates done; False ends the training.
            on_failed_update: called with the answers of an update that failed, before the error is raised.

        Returns:
            Why the training ended early, or None.

        Raises:
            CheckFailedError: the reward did not return finite scores, or policy and reference differ before the first
                step.
            PpoError: a loss or gradient was not finite; that step was not taken.
        """
        for update in range(self.updates_done + 1, self.experiment.ppo.updates + 1):
            started = time.perf_counter()
            # 1. Generate: one answer per episode, sampled from the policy.
            rollouts = self.generate(update)
            try:
                # 2. Score: the reward of each answer, minus that of its baseline answers.
                scores = self.score(rollouts)
                # 3. Compute advantages: log-probabilities, values, KL penalty, rewards per token, GAE.
                experience = self.compute_advantages(rollouts, scores)
                with self.process_group.raise_everywhere():
                    validate_experience(update, experience, self.policy.rounds_like)
                # 4. Update the policy and the critic: epochs over minibatches.
                optimization = self.update_policy(update, rollouts, experience)
            except (RewardUnavailableError, MemoryFullError):
                raise  # nothing is wrong with the answers; on resuming the same ones are sampled again
            except PpoError:
                answered = list(zip(rollouts.prompts, rollouts.answers, strict=True))
                on_failed_update(update, self.process_group.gather(answered))
                raise
            # 5. Record: metrics and episodes; then the schedule and the KL coefficient of the next update.
            episodes = self.episodes(update, rollouts, scores, experience)
            metrics = update_metrics(update, episodes, experience.stats, optimization, self.term_scales)
            self.finish_update(metrics)
            record(metrics, episodes, time.perf_counter() - started)
            if not after_update(update):
                return "stopped by the user"
            stop_at = self.experiment.kl.stop_at
            if stop_at is not None and metrics.kl > stop_at:
                return f"KL to the reference reached {metrics.kl:.1f} nats per answer, above kl.stop_at = {stop_at:g}"
        return None

    def generate(self, update: int) -> Rollouts:
        """Samples this process's shard of the update's episodes from the policy, adapters merged."""
        size = self.experiment.ppo.episodes_per_update
        indices = self.process_group.shard(self.prompt_order.batch(update, size))
        episodes = EpisodePrompts(
            numbers=self._episode_numbers(update),
            prompts=[self.inputs.prompts[index] for index in indices],
            token_ids=[self.inputs.prompt_token_ids[index] for index in indices],
        )
        self.on_event(Phase(name=f"update {update}: sampling", total=len(indices), unit="answers"))
        with self.policy.merged_model() as model:
            rollouts = generate(
                model,
                self.inputs.tokenizer,
                episodes,
                self.sampling_params,
                self.experiment.seed,
                progress=lambda done: self.on_event(Progress(done=done)),
                recorder=self.policy.decoder.recorder(),
            )
        return rollouts.padded_to(max(self.process_group.gather([rollouts.targets.shape[1]])))

    def score(self, rollouts: Rollouts) -> list[RewardScore]:
        """Rewards of the episodes, normalised terms on their scale.

        Raises:
            CheckFailedError: the reward did not return finite scores.
            RewardUnavailableError: a service that the reward needs does not answer.
        """
        baselines = [self.inputs.baseline_answers.get(prompt.id, ()) for prompt in rollouts.prompts]
        with self.process_group.raise_everywhere():
            scores = self.inputs.reward(rollouts.prompts, rollouts.answers, baselines)
        return self.normalise_terms(scores)

    def normalise_terms(self, scores: list[RewardScore]) -> list[RewardScore]:
        """The same scores with every normalised term on its scale, which the first update's episodes give."""
        terms = self.experiment.reward.terms
        if not any_normalised(terms):
            return scores
        if not self.term_scales:
            self.term_scales = fit_scales(self.process_group.gather(scores), terms)
        return apply_scales(scores, terms, self.term_scales)

    @torch.no_grad()
    def compute_advantages(self, rollouts: Rollouts, scores: Sequence[RewardScore]) -> Experience:
        """One pass through policy, reference and critic; then rewards per token, advantages and returns.

        Advantages are whitened over the episodes of all processes; the result holds this process's shard.
        """
        ppo, kl, group = self.experiment.ppo, self.experiment.kl, self.process_group
        activations = self.passes.lower_activations(rollouts)
        outputs = self.passes.before_update(rollouts, activations)
        lengths = group.gather_rows(rollouts.lengths)
        response_mask, value_mask = answer_masks(lengths, rollouts.targets.shape[1])
        logprobs, ref_logprobs = group.gather_rows(outputs.logprobs), group.gather_rows(outputs.ref_logprobs)
        values = group.gather_rows(outputs.values) * value_mask
        rewards_per_answer = group.gather_rows(
            torch.tensor([score.reward for score in scores], device=lengths.device, dtype=torch.float32)
        )
        if self.experiment.reward.placebo:
            rewards_per_answer = permuted(rewards_per_answer, self.experiment.seed, self.updates_done + 1)
        if ppo.baseline_fit:
            known = group.gather_rows(self._baseline_scores(scores, lengths.device))
            rewards_per_answer = ppo_math.minus_explained(rewards_per_answer, known)
        rewards_per_answer = ppo_math.limit_rewards(rewards_per_answer, ppo.cliprange_reward)
        rewards_per_answer = ppo_math.minus_other_answers(rewards_per_answer, ppo.answers_per_prompt)

        penalty = ppo_math.kl_penalty(logprobs, ref_logprobs, kl.estimator) * response_mask
        rewards = ppo_math.per_token_rewards(penalty, rewards_per_answer, lengths, self.kl_coef)
        if ppo.whiten_rewards:
            rewards = ppo_math.whiten(rewards, value_mask, keep_mean=True) * value_mask
        advantages, returns = ppo_math.gae(rewards, values, ppo.gamma, ppo.gae_lambda, lengths)
        advantages = ppo_math.whiten(advantages, response_mask) * response_mask

        kl_per_answer = ((logprobs - ref_logprobs) * response_mask).sum(1)
        mismatch = (group.gather_rows(rollouts.sampler_logprobs) - logprobs).abs()
        entropies = group.gather_rows(outputs.entropies)
        own = slice(group.rank, None, group.world_size)
        return Experience(
            activations=activations,
            features=outputs.features,
            old_logprobs=outputs.logprobs,
            values=values[own],
            advantages=advantages[own],
            returns=returns[own],
            kl=kl_per_answer[own],
            lengths=lengths,
            stats=ExperienceStats(
                kl=float(kl_per_answer.mean()),
                penalty=self.kl_coef * float(penalty.sum(1).mean()),
                entropy=float(ppo_math.masked_mean(entropies, response_mask)),
                sampler_mismatch=float(ppo_math.masked_mean(mismatch, response_mask)),
                explained_variance=ppo_math.explained_variance(values[value_mask], returns[value_mask]),
                kl_coef=self.kl_coef,
                placebo=self.experiment.reward.placebo,
            ),
        )

    def _baseline_scores(self, scores: Sequence[RewardScore], device: torch.device) -> torch.Tensor:
        """[n] mean score of each answer's baseline answers, units of reward."""
        terms = self.experiment.reward.terms
        no_answer = dict.fromkeys(terms, 0.0)
        sums = [-weighted_sum(terms, no_answer, score.baseline_terms, self.term_scales) for score in scores]
        return torch.tensor(sums, device=device, dtype=torch.float32)

    def update_policy(self, update: int, rollouts: Rollouts, experience: Experience) -> dict[str, float]:
        """Optimizer steps on the experience.

        Returns:
            Means over the steps and the policy's learning rate, by the names of UpdateMetrics.

        Raises:
            PpoError: a gradient is not finite; the step was not taken.
        """
        learning_rate = float(self.lr_scheduler.get_last_lr()[0])
        with strict_algorithms(self.inputs.device):
            return {**self.updater.run(update, rollouts, experience), "learning_rate": learning_rate}

    def episodes(
        self, update: int, rollouts: Rollouts, scores: Sequence[RewardScore], experience: Experience
    ) -> list[Episode]:
        """The records of all N episodes of the update, gathered from every process."""
        numbers, kl = self._episode_numbers(update), experience.kl.tolist()
        own = episode_records(update, numbers, rollouts, scores, kl, self.inputs.baseline_answers)
        return self.process_group.gather(own)

    def finish_update(self, metrics: UpdateMetrics) -> None:
        """Advances the learning-rate schedule and the KL controller to the next update; gives free memory back."""
        self.lr_scheduler.step()
        self.updates_done = metrics.update
        return_free_memory()
        kl = self.experiment.kl
        if kl.target is not None:
            size = self.experiment.ppo.episodes_per_update
            self.kl_coef = ppo_math.adaptive_kl_coef(self.kl_coef, metrics.kl, kl.target, size, kl.horizon)

    def _episode_numbers(self, update: int) -> list[int]:
        """Numbers over the run, counted from 1, of this process's shard of the update's episodes."""
        size = self.experiment.ppo.episodes_per_update
        return self.process_group.shard(range((update - 1) * size + 1, update * size + 1))
