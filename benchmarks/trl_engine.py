"""TRL 1.12's own PPO loop behind the adapter of `ppo verify-engine`.

    ppo verify-engine benchmarks/trl_engine.py:engine

The loop runs as TRL wrote it. It does not report advantages and values, so `_Observed` reads them where they pass
through two functions of its module. It is also the example of docs/verify-engine.md.

Not here: the loop with our modules (`training_loops`).
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
    TrainerCallback,
)

from ppo_cli.conformance.adapter import EpisodeNumbers, UpdateRecord

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
import trl
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


class TrlEngine:
    """TRL's stock trainer."""

    name = "TRL PPOTrainer"
    version = trl.__version__
    abilities = frozenset({"kl", "ratio", "approx_kl", "advantages", "micro_batches"})

    def training(self, task: Any) -> TrlTraining:
        return TrlTraining(task)


class TrlTraining(TrainerCallback):
    """One training; TRL's callbacks report each update."""

    def __init__(self, task: Any) -> None:
        self.task, self.settings = task, task.settings
        torch.manual_seed(self.settings.seed)  # the critic's head is new, and transformers draws it
        self.tokenizer = AutoTokenizer.from_pretrained(task.model)
        self.model = AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32)
        critic = AutoModelForSequenceClassification.from_pretrained(task.model, num_labels=1, dtype=torch.float32)
        self.width = max(map(len, task.prompts))
        self.observed = _Observed(critic)
        self.build = lambda updates: PPOTrainer(
            args=self.config(updates),
            processing_class=self.tokenizer,
            model=self.model,
            ref_model=None,  # TRL makes a frozen copy
            reward_model=_Reward(task.reward, self.tokenizer, self.width),
            train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in task.prompts]}),
            value_model=critic,
            data_collator=self.collate,
            callbacks=[self],
        )

    def config(self, updates: int) -> PPOConfig:
        given = self.settings
        size = given.micro_batch or given.episodes
        return PPOConfig(
            output_dir=str(self.task.folder),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            num_sample_generations=0,
            lr_scheduler_type="constant",
            stop_token="eos",
            total_episodes=updates * given.episodes,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=given.episodes // size,
            local_rollout_forward_batch_size=given.episodes,
            num_mini_batches=given.minibatches,
            num_ppo_epochs=given.epochs,
            response_length=given.max_new_tokens,
            temperature=given.temperature,
            seed=given.seed,
            learning_rate=given.learning_rate,
            max_grad_norm=given.max_grad_norm,
            cliprange=given.cliprange,
            cliprange_value=given.cliprange_value,
            gamma=given.gamma,
            lam=given.gae_lambda,
            kl_coef=given.kl_coef,
        )

    def collate(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        pad = self.tokenizer.pad_token_id
        ids = [[pad] * (self.width - len(row["input_ids"])) + row["input_ids"] for row in rows]
        return {"input_ids": torch.tensor(ids)}

    def train(self, updates: int, after_update: Any) -> None:
        self.after_update = after_update
        trainer = self.build(updates)
        trainer.remove_callback(PrinterCallback)
        trainer.log = self.keep
        gc.freeze()  # TRL collects garbage three times per update, which is most of a tiny model's time
        try:
            with self.observed.watching():
                trainer.train()
        finally:
            gc.unfreeze()

    def keep(self, logged: dict[str, float]) -> None:
        self.logged = logged

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - TRL's signature
        record = UpdateRecord(
            update=state.global_step,
            kl=self.logged["objective/kl"],
            ratio=self.logged["val/ratio"],
            approx_kl=self.logged["policy/approxkl_avg"],
            episodes=self.observed.episodes(self.width),
        )
        self.after_update(record)

    def policy(self) -> dict[str, torch.Tensor]:
        return self.model.state_dict()


class _Reward(torch.nn.Module):
    """The task's reward as a model that TRL can call: a backbone that gives the score at every position."""

    base_model_prefix = "backbone"

    def __init__(self, reward: Any, tokenizer: Any, width: int) -> None:
        super().__init__()
        self.reward, self.tokenizer, self.width = reward, tokenizer, width
        self.score = torch.nn.Identity()

    def backbone(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> SimpleNamespace:
        prompts, answers = [], []
        for ids, mask in zip(input_ids.tolist(), attention_mask.tolist(), strict=True):
            real = [token if is_real else None for token, is_real in zip(ids, mask, strict=True)]
            prompts.append([token for token in real[: self.width] if token is not None])
            answer = [token for token in real[self.width :] if token is not None]
            if self.tokenizer.pad_token_id == self.tokenizer.eos_token_id and len(answer) < len(real) - self.width:
                answer.append(self.tokenizer.eos_token_id)  # TRL's mask hides it
            answers.append(answer)
        scores = torch.tensor(self.reward(prompts, answers), dtype=torch.float32)
        return SimpleNamespace(hidden_states=(scores.view(-1, 1, 1).expand(-1, input_ids.shape[1], 1),))


class _Observed:
    """Values and advantages of an update."""

    def __init__(self, critic: Any) -> None:
        self.critic = critic

    @contextmanager
    def watching(self) -> Any:
        """Inside the block the two functions that they pass through keep them."""
        get_reward, whiten = ppo_trainer.get_reward, ppo_trainer.masked_whiten

        def keep_values(model: Any, *arguments: Any) -> Any:
            result = get_reward(model, *arguments)
            if model is self.critic:
                self.values = result[0].squeeze(-1)
            return result

        def keep_advantages(values: Any, mask: Any, **options: Any) -> Any:
            self.advantages, self.mask = whiten(values, mask, **options), mask
            return self.advantages

        ppo_trainer.get_reward, ppo_trainer.masked_whiten = keep_values, keep_advantages
        try:
            yield
        finally:
            ppo_trainer.get_reward, ppo_trainer.masked_whiten = get_reward, whiten

    def episodes(self, width: int) -> list[EpisodeNumbers]:
        values = self.values[:, width - 1 : -1]
        lengths = self.mask.sum(1).tolist()
        rows = zip(values, self.advantages, lengths, strict=True)
        return [
            EpisodeNumbers(values=row[: length + 1].tolist(), advantages=own[:length].tolist())
            for row, own, length in rows
        ]


def engine() -> TrlEngine:
    """The adapter."""
    return TrlEngine()
