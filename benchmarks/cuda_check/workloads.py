"""What the stages run on: random models of real shapes, made in memory, and trainers around them.

No model is fetched. With random weights an answer seldom ends before its limit, so the counts of tokens are exact.

Not here: the measurements (`equality`, `speed`, `loops`).
"""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, PretrainedConfig, Qwen2Config

from benchmarks.cuda_check.runner import Size
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.experiment.load import load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.events import ignore_events
from tests.engine.trainer_inputs import trainer_inputs
from tests.engine.trl_stock_trainer import forget_accelerators
from tests.tiny_models import SHAPE, save_tiny_model, write_tiny_config

TOY = {**SHAPE, "num_hidden_layers": 2}
ALL_LAYERS = "model.train.top_layers=null"


def qwen_05b(size: Size) -> PretrainedConfig:
    """The shape of Qwen2.5-0.5B."""
    if size.toy:
        return Qwen2Config(**TOY)
    return Qwen2Config(
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        vocab_size=151936,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
    )


def llama_8b(size: Size) -> PretrainedConfig:
    """The shape of Llama 3.1 8B."""
    if size.toy:
        return LlamaConfig(**TOY)
    return LlamaConfig(
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
    )


def random_model(config: PretrainedConfig, size: Size, dtype: torch.dtype | None = None) -> Any:
    """A model with random weights on the device; by default bfloat16 on a GPU and float32 on a CPU."""
    torch.manual_seed(0)
    dtype = dtype or (torch.float32 if size.device == "cpu" else torch.bfloat16)
    with torch.device(size.device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.generation_config = GenerationConfig(eos_token_id=[2], pad_token_id=0)
    model.config.pad_token_id = 0
    return model.eval()


def random_prompts(count: int, tokens: int, vocabulary: int) -> list[list[int]]:
    """Token ids, [count] of [tokens], without special ones."""
    return np.random.default_rng(0).integers(6, vocabulary, size=(count, tokens)).tolist()


def make_trainer(
    folder: Path, model: Any, size: Size, overrides: Sequence[str] = (), prompt_tokens: int | None = None
) -> PolicyTrainer:
    """Our trainer around a model, with the prompts, the tokenizer and the reward of a tiny config.

    Args:
        folder: empty; gets the config and the tokenizer.
        model: trained.
        size: gives the device.
        overrides: of the config.
        prompt_tokens: length of random prompts in place of the config's.
    """
    forget_accelerators()  # of an earlier trainer, which may have been on another device
    tokenizer = folder / "tokenizer"
    if not tokenizer.exists():
        save_tiny_model(tokenizer)
    experiment = tiny_experiment(folder, tokenizer, size, overrides)
    inputs = replace(trainer_inputs(experiment, tokenizer, model=model), device=torch.device(size.device))
    if prompt_tokens:
        ids = random_prompts(len(inputs.prompts), prompt_tokens, model.config.vocab_size)
        inputs = replace(inputs, prompt_token_ids=ids)
    return PolicyTrainer(experiment, inputs, folder, ignore_events)


def tiny_experiment(folder: Path, model: Path, size: Size, overrides: Sequence[str]) -> Experiment:
    """The tiny config of the tests on the device, without warm-up."""
    fixed = ["reward.baseline=none", "ppo.warmup_updates=0", f"device={size.device}"]
    return load_experiment(write_tiny_config(folder, model), [*fixed, *overrides]).experiment


def run_updates(trainer: PolicyTrainer, after: Callable[[int], bool] = lambda _update: True) -> list[dict[str, Any]]:
    """Runs the updates that are left; of each, its metrics with the seconds and the answer tokens."""
    rows: list[dict[str, Any]] = []
    trainer.train(
        lambda metrics, episodes, seconds: rows.append(
            {**vars(metrics), "seconds": seconds, "answer_tokens": sum(each.answer.token_count for each in episodes)}
        ),
        after,
    )
    return rows


def timed_phases(trainer: PolicyTrainer, size: Size) -> dict[str, float]:
    """Seconds per phase, which later updates add up in."""
    phases: dict[str, float] = {}

    def timed(phase: str, method: str) -> None:
        plain = getattr(trainer, method)

        def measured(*given: Any) -> Any:
            started = now(size)
            result = plain(*given)
            phases[phase] = phases.get(phase, 0.0) + now(size) - started
            return result

        setattr(trainer, method, measured)

    timed("sampling", "generate")
    timed("log-probabilities", "compute_advantages")
    timed("learning", "update_policy")
    return phases


def digest(trainer: PolicyTrainer) -> str:
    """sha256 of the float32 masters."""
    whole = hashlib.sha256()
    for master in trainer.adamw.masters():
        whole.update(master.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def now(size: Size) -> float:
    """Seconds of a clock, once the GPU has done all it was given."""
    if size.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def reset_peak(size: Size) -> None:
    """Begins a new measurement of the peak of the GPU's memory."""
    if size.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb(size: Size) -> float:
    """Of the GPU since `reset_peak`; on a CPU of the process since its start."""
    if size.device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def rounded(numbers: dict[str, float], digits: int = 3) -> dict[str, float]:
    """For the screen."""
    return {name: round(value, digits) for name, value in numbers.items()}
