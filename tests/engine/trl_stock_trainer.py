"""TRL's stock PPOTrainer on tiny models, with a count of what it does, and our trainer on the same."""

from types import SimpleNamespace

import numpy as np
import torch
from accelerate.state import AcceleratorState, GradientState
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, LlamaConfig, TrainerCallback
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.experiment.load import load_experiment
from ppo_cli.records.answers import RewardScore
from ppo_cli.records.events import ignore_events
from tests.engine.trainer_inputs import trainer_inputs
from tests.tiny_models import SHAPE, tiny_lm, tiny_tokenizer

PAD, EOS = SHAPE["pad_token_id"], SHAPE["eos_token_id"]
PROMPT_WIDTH = 6


def forget_accelerators():
    """accelerate shares its accumulation state between all trainers of a process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def collect_no_garbage(monkeypatch):
    """TRL's loop collects garbage three times per update, which is most of a tiny model's time."""
    monkeypatch.setattr(ppo_trainer, "gc", SimpleNamespace(collect=lambda: None))


def tiny_critic(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = LlamaConfig(**{**SHAPE, "num_hidden_layers": 1}, num_labels=1)
        return AutoModelForSequenceClassification.from_config(config).eval()


def tiny_prompts(count, width=PROMPT_WIDTH):
    return np.random.default_rng(0).integers(6, SHAPE["vocab_size"], size=(count, width)).tolist()


class TokenReward(torch.nn.Module):
    """A function of the answers' ids [rows, T] as a TRL reward model; it gives [rows]."""

    base_model_prefix = "backbone"

    def __init__(self, reward):
        super().__init__()
        self.reward = reward
        self.score = torch.nn.Identity()

    def backbone(self, input_ids, attention_mask, **_):
        rewards = self.reward(torch.where(attention_mask, input_ids, PAD)[:, PROMPT_WIDTH:]).float()
        return SimpleNamespace(hidden_states=(rewards.view(-1, 1, 1).expand(-1, input_ids.shape[1], 1),))


def even_tokens(answers):
    """A reward with some spread: how many tokens have an even number."""
    return ((answers % 2 == 0) & (answers != PAD)).sum(1)


class Stock(TrainerCallback):
    """One training by TRL's own loop, and what it did in each update."""

    def __init__(self, folder, *, policy=None, reference=None, critic=None, tokenizer=None, **given):
        forget_accelerators()
        self.logged, self.steps, self.gradient_norms = [], [], []
        self.policy = policy or tiny_lm(seed=3)
        self.start = weights(self.policy)
        reward = given.pop("reward", even_tokens)
        prompts = given.pop("prompts", None) or tiny_prompts(64)
        evaluation = given.pop("evaluation", None)
        callbacks = given.pop("callbacks", [])
        updates = given.pop("updates", 2)
        settings = {
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "report_to": "none",
            "disable_tqdm": True,
            "save_strategy": "no",
            "learning_rate": 1e-2,
            "per_device_train_batch_size": 8,
            "num_ppo_epochs": 2,
            "num_sample_generations": 0,
            "response_length": 6,
            "stop_token": "eos",
            "temperature": 1.0,
            **given,
        }
        batch = settings["per_device_train_batch_size"] * settings.get("gradient_accumulation_steps", 1)
        self.trainer = PPOTrainer(
            args=PPOConfig(output_dir=str(folder), total_episodes=updates * batch, **settings),
            processing_class=tokenizer or tiny_tokenizer(),
            model=self.policy,
            ref_model=reference,
            reward_model=reward if isinstance(reward, torch.nn.Module) else TokenReward(reward),
            train_dataset=Dataset.from_dict(prompts if isinstance(prompts, dict) else {"input_ids": prompts}),
            value_model=critic or tiny_critic(),
            eval_dataset=Dataset.from_dict({"input_ids": evaluation}) if evaluation else None,
            callbacks=[self, *callbacks],
        )
        self.trainer.log = self.logged.append
        self.trainer.optimizer.optimizer.register_step_pre_hook(self._on_optimizer_step)

    def train(self):
        self.steps.append(0)
        self.trainer.train()
        self.steps.pop()
        return self

    def on_step_end(self, args, state, control, **_):
        self.steps.append(0)

    def _on_optimizer_step(self, optimizer, *_):
        self.steps[-1] += 1
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.gradient_norms.append(float(torch.nn.utils.get_total_norm(gradients)))


class Ours:
    """One training by our loop on the tiny config, and what it did in each update."""

    def __init__(self, config, model_folder, folder, *overrides, policy=None, reward=None, prompts=None):
        forget_accelerators()
        self.metrics, self.episodes, self.steps, self.gradient_norms = [], [], [], []
        self.experiment = load_experiment(
            config, ["reward.baseline=none", "ppo.warmup_updates=0", *overrides]
        ).experiment
        inputs = trainer_inputs(self.experiment, model_folder, model=policy, reward=reward, prompts=prompts)
        self.trainer = PolicyTrainer(self.experiment, inputs, folder, ignore_events)
        self.start = weights(self.trainer.policy.trainable)
        self._optimizer_step = self.trainer.optimizer.step
        self.trainer.optimizer.step = self._watched_step

    def train(self, after_update=lambda update: True):
        self.reason = self.trainer.train(self._record, after_update)
        return self

    def weights(self):
        return {**weights(self.trainer.policy.trainable), **weights(self.trainer.critic)}

    def _record(self, row, episodes, seconds):
        self.metrics.append(row)
        self.episodes.extend(episodes)
        (taken,) = {int(state["step"]) for state in self.trainer.adamw.state.values()}
        self.steps.append(taken - sum(self.steps))

    def _watched_step(self, *arguments):
        for group in self.trainer.adamw.param_groups:
            gradients = [p.grad for p in group["params"] if p.grad is not None]
            self.gradient_norms.append(float(torch.nn.utils.get_total_norm(gradients)))
        return self._optimizer_step(*arguments)


def short_is_good(prompts, answers, baseline_answers):
    return [RewardScore(reward=-answer.token_count / 4, terms={}, baseline_terms={}) for answer in answers]


def weights(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def all_finite(values):
    return all(bool(torch.isfinite(value).all()) for value in values.values())
