"""Our trainer with one fault each: what trainers in the field get wrong."""

import json
import random
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import torch

from ppo_cli.conformance.own_engine import OwnEngine, OwnTraining, WatchedTrainer
from ppo_cli.engine import ppo_math
from ppo_cli.engine.policy_update import PolicyUpdater


def changed(trainer, **keys):
    """Gives a trainer other settings of PPO than it was asked for."""
    ppo = trainer.experiment.ppo.model_copy(update=keys)
    trainer.experiment = trainer.experiment.model_copy(update={"ppo": ppo})
    trainer.updater = replace(trainer.updater, experiment=trainer.experiment)


class NoPenalty(WatchedTrainer):
    """The KL coefficient is divided out before it reaches a loss."""

    def compute_advantages(self, rollouts, scores):
        kl_coef, self.kl_coef = self.kl_coef, 0.0
        try:
            return super().compute_advantages(rollouts, scores)
        finally:
            self.kl_coef = kl_coef


class PenaltyOnTheScore(WatchedTrainer):
    """The KL of a whole answer is taken off its score."""

    def compute_advantages(self, rollouts, scores):
        kl_coef, self.kl_coef = self.kl_coef, 0.0
        kl = super().compute_advantages(rollouts, scores).kl.tolist()
        scores = [replace(score, reward=score.reward - kl_coef * nats) for score, nats in zip(scores, kl, strict=True)]
        experience = super().compute_advantages(rollouts, scores)
        self.kl_coef = kl_coef
        return experience


class ReferenceFollows(WatchedTrainer):
    """The reference is copied from the policy every other update."""

    def finish_update(self, metrics):
        super().finish_update(metrics)
        if metrics.update % 2 == 0:
            pairs = zip(self.policy._reference_layers, self.policy.decoder.upper_layers, strict=True)
            for reference, trained in pairs:
                reference.load_state_dict(trained.state_dict())


class OneAdvantagePerAnswer(WatchedTrainer):
    """Every token of an answer gets the advantage of the answer."""

    def compute_advantages(self, rollouts, scores):
        experience = super().compute_advantages(rollouts, scores)
        mask = rollouts.response_mask
        means = (experience.advantages * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        self.experience = replace(experience, advantages=means * mask)
        return self.experience


class ScoreOnPadding(WatchedTrainer):
    """The score lies on the last place of the padded row, so lambda discounts it over the padding."""

    def compute_advantages(self, rollouts, scores):
        experience = super().compute_advantages(rollouts, scores)
        mask, ppo = rollouts.response_mask, self.experiment.ppo
        rewards = torch.zeros(mask.shape)
        rewards[:, -1] = torch.tensor([score.reward for score in scores])
        advantages, _ = ppo_math.gae(rewards, experience.values, ppo.gamma, ppo.gae_lambda)
        self.experience = replace(experience, advantages=ppo_math.whiten(advantages, mask) * mask)
        return self.experience


class WhitenedOverTheRow(WatchedTrainer):
    """Padding counts in the mean and the variance of the advantages."""

    def compute_advantages(self, rollouts, scores):
        experience = super().compute_advantages(rollouts, scores)
        everywhere = torch.ones_like(rollouts.response_mask)
        advantages = ppo_math.whiten(experience.advantages + 0.5 * rollouts.response_mask, everywhere)
        self.experience = replace(experience, advantages=advantages * rollouts.response_mask)
        return self.experience


class WithoutEos(WatchedTrainer):
    """The token that ends an answer is masked out of the loss and of the whitening."""

    hidden = 2

    def generate(self, update):
        rollouts = super().generate(update)
        mask = rollouts.response_mask & (rollouts.targets != self.hidden)
        self.rollouts = replace(rollouts, response_mask=mask, sampler_logprobs=rollouts.sampler_logprobs * mask)
        return self.rollouts

    def compute_advantages(self, rollouts, scores):
        experience = super().compute_advantages(rollouts, scores)
        mask = rollouts.response_mask
        advantages = (
            ppo_math.whiten(experience.advantages, mask) * mask if int(mask.sum()) > 1 else experience.advantages
        )
        return replace(experience, advantages=advantages)


class MaskOfUnequalToPad(WithoutEos):
    """Whatever equals the tokenizer's padding token is taken for padding."""

    @property
    def hidden(self):
        tokens = self.inputs.tokenizer.tokenizer
        named = json.loads((self.start / "tokenizer_config.json").read_text())["pad_token"]
        return tokens.convert_tokens_to_ids(named)


class LearnsPadding(WatchedTrainer):
    """Padding after an answer is learnt from as if it were sampled."""

    def generate(self, update):
        rollouts = super().generate(update)
        everywhere = torch.ones_like(rollouts.response_mask)
        self.rollouts = replace(rollouts, response_mask=everywhere, value_mask=everywhere)
        return self.rollouts

    def compute_advantages(self, rollouts, scores):
        experience = super().compute_advantages(rollouts, scores)
        steps = rollouts.targets.shape[1]
        lengths = torch.full_like(rollouts.lengths, steps)
        advantages = torch.where(experience.advantages == 0, 1.0, experience.advantages)
        outputs = self.passes.before_update(rollouts, experience.activations)
        self.experience = replace(experience, lengths=lengths, advantages=advantages, old_logprobs=outputs.logprobs)
        return self.experience


class DilutedStatistics(WatchedTrainer):
    """The statistics of the steps are means over padded rows."""

    def update_policy(self, update, rollouts, experience):
        statistics = super().update_policy(update, rollouts, experience)
        share = float(rollouts.response_mask.float().mean())
        return {**statistics, "approx_kl": statistics["approx_kl"] * share}


class NoClipping(WatchedTrainer):
    """cliprange is accepted and not used."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        changed(self, cliprange=1.0)


class NoDualClip(WatchedTrainer):
    """dual_clip is accepted and not used."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        changed(self, dual_clip=None)


class DualClipOfGoodTokens(WatchedTrainer):
    """The bound is taken for tokens of positive advantage too."""

    def update_policy(self, update, rollouts, experience):
        plain = ppo_math.policy_loss

        def bounded(log_ratio, advantages, cliprange, dual_clip=None):
            losses, clipped = plain(log_ratio, advantages, cliprange)
            return (losses if dual_clip is None else torch.min(losses, -dual_clip * advantages)), clipped

        with patch.object(ppo_math, "policy_loss", bounded):
            return super().update_policy(update, rollouts, experience)


class OldLogprobsAtTemperatureOne(WatchedTrainer):
    """The ratio divides probabilities of two temperatures."""

    def compute_advantages(self, rollouts, scores):
        experience = super().compute_advantages(rollouts, scores)
        plain = replace(self.passes, temperature=1.0).before_update(rollouts, experience.activations)
        return replace(experience, old_logprobs=plain.logprobs)


class MeanPerMicroBatch(WatchedTrainer):
    """Each micro-batch has the same weight, however many tokens it has."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.updater = _MeanOfMeans(**vars(self.updater))


@dataclass(frozen=True)
class _MeanOfMeans(PolicyUpdater):
    def minibatch_step(self, update, rows, rollouts, experience):
        parts = list(self.passes.micro_batches(rows, rollouts))
        tokens = experience.lengths.float()
        for part, _ in parts:
            own = tokens[part].sum() / (tokens[list(rows)].sum() / len(parts))
            experience.advantages[part] = experience.advantages[part] / own
        return super().minibatch_step(update, rows, rollouts, experience)


class StepPerMicroBatch(WatchedTrainer):
    """An optimizer step for every micro-batch."""

    def update_policy(self, update, rollouts, experience):
        size = getattr(self.passes, "episodes_per_pass", None)
        if size is not None:
            changed(self, minibatches=self.experiment.ppo.episodes_per_update // size)
        return super().update_policy(update, rollouts, experience)


class NoNormLimit(WatchedTrainer):
    """max_grad_norm is accepted and not used."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        changed(self, max_grad_norm=1e9)


class LearnsWhateverItIsGiven(WatchedTrainer):
    """No number is checked before it reaches the weights."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.updater = _Unchecked(**vars(self.updater))

    def train(self, record, after_update, on_failed_update=lambda *_: None):
        rollouts = self.generate(1)
        experience = self.compute_advantages(rollouts, self.score(rollouts))
        self.update_policy(1, rollouts, experience)
        raise RuntimeError("the loss is nan")


@dataclass(frozen=True)
class _Unchecked(PolicyUpdater):
    def _clip_and_step(self, update):
        self.optimizer.step()
        return 1.0


class TakesGenerationSettings(WatchedTrainer):
    """The sampler takes over a setting of the model's folder."""

    def generate(self, update):
        settings = json.loads((self.start / "generation_config.json").read_text())
        temperature = self.sampling_params.temperature / settings.get("repetition_penalty", 1.0)
        self.sampling_params = replace(self.sampling_params, temperature=temperature)
        rollouts = super().generate(update)
        with torch.no_grad():  # nor does it compare the sampler with the trainer
            outputs = self.passes.before_update(rollouts, self.passes.lower_activations(rollouts))
        self.rollouts = replace(rollouts, sampler_logprobs=outputs.logprobs)
        return self.rollouts


class GlobalMinibatches(WatchedTrainer):
    """The order of the answers comes from numpy's global generator."""

    def update_policy(self, update, rollouts, experience):
        seed = int(np.random.randint(1000))  # noqa: NPY002
        self.updater = replace(self.updater, experiment=self.experiment.model_copy(update={"seed": seed}))
        return super().update_policy(update, rollouts, experience)


class SeedsOnce(WatchedTrainer):
    """Seeds a global generator at the start and draws from it from then on."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        random.seed(self.experiment.seed)

    def generate(self, update):
        self.experiment = self.experiment.model_copy(update={"seed": random.randrange(1000)})
        return super().generate(update)


class IgnoresTheSeed(WatchedTrainer):
    """Whatever the seed, it is 1."""

    def __init__(self, experiment, *arguments):
        super().__init__(experiment.model_copy(update={"seed": 1}), *arguments)


class _ForgetfulTraining(OwnTraining):
    def load(self, folder):
        super().load(folder)
        self.trainer.adamw.state.clear()


class ForgetsMoments(OwnEngine):
    """Resuming loads the weights, and not the optimizer's moments."""

    def training(self, task):
        return _ForgetfulTraining(task, self._trainer, self._device)


class _TrainingWithStart(OwnTraining):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        task = arguments[0]
        self.trainer.start = task.model


class Faulty(OwnEngine):
    """Our adapter around a faulty trainer, which may read the start model's folder."""

    def training(self, task):
        return _TrainingWithStart(task, self._trainer, self._device)
