"""The training loops of `bench.py`: TRL's as its example sets it up (a), TRL's with our modules (b), and ours (c).

Each loop trains the start model on the prompts of configs/refusal.yaml and returns its time, its answer tokens and the
time per phase.

Not here: processes, memory, tables (`bench`).
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent.parent / "configs" / "refusal.yaml"
SCRATCH = Path(tempfile.gettempdir()) / "ppo-bench"
"""A folder that TRL requires; nothing is written there."""

Measured = tuple[float, int, dict[str, float]]
"""Seconds, answer tokens, seconds by phase."""


def set_up(updates: int, overrides: Sequence[str]) -> Any:
    """The resolved experiment of every loop: configs/refusal.yaml without what only our loop has."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    warnings.simplefilter("ignore")
    from ppo_cli.experiment.load import load_experiment
    from ppo_cli.records.events import ignore_events
    from ppo_cli.setup.resolve import read_inputs, resolve_experiment

    fixed = ["model.warm_start=null", "reward.baseline=none", "ppo.warmup_updates=0", f"ppo.updates={updates}"]
    return resolve_experiment(read_inputs(load_experiment(CONFIG, [*fixed, *overrides]).experiment), ignore_events)


def prompt_tokens(resolved: Any, first: int = 1) -> int:
    """Tokens of the prompts that a loop answers, from one update on."""
    from ppo_cli.engine.rollouts import PromptOrder

    ppo, token_ids = resolved.experiment.ppo, resolved.train.token_ids
    order = PromptOrder.of(resolved.train.prompts, resolved.experiment.seed, ppo.answers_per_prompt)
    used = (index for update in range(first, ppo.updates + 1) for index in order.batch(update, ppo.episodes_per_update))
    return sum(len(token_ids[index]) for index in used)


# --- (c) our loop ------------------------------------------------------------------------------------


def our_trainer(resolved: Any) -> tuple[Any, Path]:
    """Our loop on the start model, and the folder of that model."""
    from ppo_cli.engine.policy import Policy
    from ppo_cli.engine.trainer import PolicyTrainer, TrainerInputs
    from ppo_cli.records.events import ignore_events
    from ppo_cli.setup.start_model import load_start_model

    experiment = resolved.experiment
    start = load_start_model(resolved, ignore_events)
    inputs = TrainerInputs(
        policy=Policy(start.model, experiment.model.train, seed=experiment.seed),
        tokenizer=resolved.tokenizer,
        prompts=resolved.train.prompts,
        prompt_token_ids=resolved.train.token_ids,
        baseline_answers={},
        reward=resolved.inputs.reward,
        device=start.device,
    )
    return PolicyTrainer(experiment, inputs, SCRATCH, ignore_events), start.folder


def run_ours(resolved: Any) -> Measured:
    trainer, _ = our_trainer(resolved)
    phases: dict[str, float] = {}
    methods = {"sampling": "generate", "log-probabilities": "compute_advantages", "learning": "update_policy"}
    for phase, method in methods.items():
        setattr(trainer, method, timed(getattr(trainer, method), phase, phases))
    lengths: list[int] = []
    started = now()
    trainer.train(
        lambda _row, episodes, _seconds: lengths.extend(episode.answer.token_count for episode in episodes),
        lambda _update: True,
    )
    return now() - started, sum(lengths), phases


# --- (a), (b) TRL's loop -----------------------------------------------------------------------------


def run_with_our_modules(resolved: Any) -> Measured:
    from datasets import Dataset
    from trl.experimental.ppo import PPOTrainer
    from trl_reward_adapter import RewardModule

    from ppo_cli.engine.critic import CriticModule
    from ppo_cli.engine.policy import Policy
    from ppo_cli.engine.trl_config import to_trl_config
    from ppo_cli.records.events import ignore_events
    from ppo_cli.setup.start_model import load_start_model

    experiment, tokenizer = resolved.experiment, resolved.tokenizer
    start = load_start_model(resolved, ignore_events)
    policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
    prompts = {tuple(token_ids): prompt for prompt, token_ids in resolved.train}
    trainer = PPOTrainer(
        args=to_trl_config(experiment, SCRATCH, start.device),
        processing_class=tokenizer.tokenizer,
        model=policy.trainable,
        ref_model=None,
        reward_model=RewardModule(resolved.inputs.reward, tokenizer, prompts, {}),
        train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in prompts]}),
        value_model=CriticModule(policy, seed=experiment.seed),
    )
    trainer.dataloader = left_padded(resolved)
    return run_trl(trainer, tokenizer)


def run_example(resolved: Any) -> Measured:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GenerationConfig
    from trl.experimental.ppo import PPOTrainer

    from ppo_cli.engine.trl_config import to_trl_config
    from ppo_cli.models.device import choose_device
    from ppo_cli.models.loading import quiet_transformers

    experiment, tokenizer, folder = resolved.experiment, resolved.tokenizer, resolved.model_source.folder
    with quiet_transformers():
        policy, reference = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for _ in range(2))
        reward, value = (
            AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
            for _ in range(2)
        )
    policy.generation_config = GenerationConfig(eos_token_id=list(tokenizer.stop_ids), pad_token_id=tokenizer.pad_id)
    token_ids = list(dict.fromkeys(map(tuple, resolved.train.token_ids)))
    trainer = PPOTrainer(
        args=to_trl_config(experiment, SCRATCH, choose_device(experiment.device)),
        processing_class=tokenizer.tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward,
        train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in token_ids]}),
        value_model=value,
    )
    trainer.dataloader = left_padded(resolved)
    return run_trl(trainer, tokenizer)


def run_trl(trainer: Any, tokenizer: Any) -> Measured:
    """TRL's loop with its rollouts counted and timed."""
    from trl.experimental.ppo import ppo_trainer

    phases: dict[str, float] = {}
    generate = timed(ppo_trainer.batch_generation, "sampling", phases)
    answer_tokens = 0

    def counted(model: Any, queries: Any, *settings: Any) -> Any:
        nonlocal answer_tokens
        sequences, scores = generate(model, queries, *settings)
        for row in sequences[:, queries.shape[1] :].tolist():
            ends = [index for index, token in enumerate(row) if token in tokenizer.stop_ids]
            answer_tokens += ends[0] + 1 if ends else len(row)
        return sequences, scores

    ppo_trainer.batch_generation = counted
    started = now()
    trainer.train()
    seconds = now() - started
    return seconds, answer_tokens, {**phases, "the rest": seconds - sum(phases.values())}


def left_padded(resolved: Any) -> list[dict[str, Any]]:
    """The prompts of each update, in our order, as TRL's data loader would give them."""
    import torch

    from ppo_cli.engine.rollouts import PromptOrder

    experiment, pad_id = resolved.experiment, resolved.tokenizer.pad_id
    prompts = {tuple(token_ids): prompt for prompt, token_ids in resolved.train}
    token_ids = list(prompts)
    width = max(map(len, token_ids))
    order = PromptOrder.of(list(prompts.values()), experiment.seed, experiment.ppo.answers_per_prompt)
    batches = []
    for update in range(1, experiment.ppo.updates + 1):
        chosen = [token_ids[index] for index in order.batch(update, experiment.ppo.episodes_per_update)]
        rows = [[pad_id] * (width - len(ids)) + list(ids) for ids in chosen]
        batches.append({"input_ids": torch.tensor(rows)})
    return batches


def now() -> float:
    """Seconds of a clock, once a GPU has done all it was given."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(function: Callable[..., Any], phase: str, phases: dict[str, float]) -> Callable[..., Any]:
    """The same function, which adds the seconds that it takes to `phases[phase]`."""

    def wrapper(*positional: Any, **named: Any) -> Any:
        started = now()
        try:
            return function(*positional, **named)
        finally:
            phases[phase] = phases.get(phase, 0.0) + now() - started

    return wrapper


LOOPS: dict[str, Callable[[Any], Measured]] = {"a": run_example, "b": run_with_our_modules, "c": run_ours}
