"""Estimated time, memory and disk of an experiment, from operation counts and the speed of one matrix product.

A forward pass takes 2 operations per weight and token, a backward pass twice that (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1). A real run reaches a share of the measured speed (`REACHED_SPEED_SHARE`).

Not here: counting the work of a config (`preflight.planned_cost`), timing any of it (`preflight.measured_cost`).
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.models import builtin
from ppo_cli.records.results import Cost

REACHED_SPEED_SHARE = {"cpu": 0.36, "cuda": 0.1, "mps": 0.1}
"""Share of the matrix product's speed that training reaches, by device; measured once, that of mps taken from CUDA."""
MEAN_ANSWER_SHARE = 0.6
"""Assumed mean answer length as a share of its limit; most answers end before it."""
PROGRAM_GB = 1.3
"""Memory of the interpreter and the libraries."""
TOKENS_PER_PASS = 2048
"""Tokens whose activations are kept for a backward pass."""
VALUES_PER_LAYER = 34
"""Activations kept per token and layer for a backward pass, in units of the model's width."""
TEMPLATE_TOKENS = 8
"""Of a chat template around a user's words, roughly."""


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes of a model."""

    parameters: float
    embedding_parameters: float
    """Vocabulary times width; the output layer is as large."""
    layers: int
    width: int


@dataclass(frozen=True, kw_only=True)
class PlannedWork:
    """What an experiment does, in counts."""

    updates: int
    episodes: int
    """Per update."""
    epochs: int
    """PPO epochs per update."""
    trained_layers: int | None
    """None means all."""
    max_new_tokens: int
    """Of a training answer."""
    baseline_answers: int
    """Sampled from the reference, over the run."""
    prompt_tokens: float
    """Mean per training prompt, chat template applied."""
    sft_tokens: float
    """Tokens trained on in the warm start, all epochs."""
    whole_evaluations: int
    interim_evaluations: int
    eval_prompts: int
    """Of a whole evaluation."""
    interim_prompts: int
    """Of an interim evaluation."""
    eval_samples: int
    """Answers per evaluation prompt."""
    eval_max_new_tokens: int
    checkpoints_kept: int


def cost_of_work(
    work: PlannedWork, shape: ModelShape | None, device: str, gflops: float | None, bytes_per_weight: int
) -> Cost:
    """Seconds, memory and disk of some work.

    Args:
        work: in counts.
        shape: of the start model; without it only the episodes are known.
        device: cpu, cuda or mps.
        gflops: speed of a large matrix product, 10^9 operations per second.
        bytes_per_weight: 4 in float32, 2 in bfloat16.
    """
    episodes = work.updates * work.episodes
    if shape is None or gflops is None:
        return Cost(episodes=episodes, seconds=None, memory_gb=None, disk_gb=None, device=device, gflops=gflops)
    operations = _operations(work, shape)
    weights_gb = shape.parameters * bytes_per_weight / 1e9
    trained = (work.trained_layers or shape.layers) / shape.layers
    values = TOKENS_PER_PASS * (work.trained_layers or shape.layers) * VALUES_PER_LAYER * shape.width
    activations_gb = values * bytes_per_weight / 1e9
    return Cost(
        episodes=episodes,
        seconds=operations / (gflops * 1e9 * REACHED_SPEED_SHARE[device]),
        memory_gb=PROGRAM_GB + weights_gb * (1.5 + trained) + activations_gb,
        disk_gb=weights_gb * work.checkpoints_kept + 0.02,
        device=device,
        gflops=gflops,
    )


def _operations(work: PlannedWork, shape: ModelShape) -> float:
    """Floating-point operations of everything a run does."""
    body = 2 * (shape.parameters - shape.embedding_parameters)
    head = 2 * shape.embedding_parameters
    upper = body * (work.trained_layers or shape.layers) / shape.layers
    lower = body - upper

    answer = MEAN_ANSWER_SHARE * work.max_new_tokens
    length = work.prompt_tokens + answer
    sampling = length * body + answer * head
    passes = length * (lower + 2 * upper) + 2 * answer * head
    learning = work.epochs * (3 * length * upper + 4 * answer * head)
    training = work.updates * work.episodes * (sampling + passes + learning)
    baselines = work.baseline_answers * (length * body + answer * head)

    eval_answer = MEAN_ANSWER_SHARE * work.eval_max_new_tokens

    def evaluation(prompts: int) -> float:
        generated = work.eval_samples * eval_answer * (body + head)
        kl = 2 * (work.prompt_tokens + eval_answer) * body + 2 * eval_answer * head
        return prompts * (work.prompt_tokens * body + generated + kl)

    measuring = work.whole_evaluations * evaluation(work.eval_prompts)
    measuring += work.interim_evaluations * evaluation(work.interim_prompts)
    return training + baselines + measuring + 3 * work.sft_tokens * (body + head)


def model_shape(start: str) -> ModelShape | None:
    """Sizes of a model on this machine; None for one that would have to be fetched first, or that is broken.

    Args:
        start: `model.start` of the config.
    """
    if start == f"builtin:{builtin.NAME}":
        return ModelShape(parameters=134.5e6, embedding_parameters=49152 * 576, layers=30, width=576)
    folder = Path(start)
    config_file = folder / "config.json"
    if not config_file.is_file():
        return None
    try:
        config = json.loads(config_file.read_bytes())
        config = config.get("text_config", config)
        width = int(config.get("hidden_size") or config["n_embd"])
        layers = int(config.get("num_hidden_layers") or config["n_layer"])
        rows = int(config["vocab_size"])
        stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # the command that loads it says what is wrong
    bytes_per_weight = 4 if "32" in str(config.get("dtype") or config.get("torch_dtype") or "float32") else 2
    return ModelShape(
        parameters=stored / bytes_per_weight, embedding_parameters=rows * width, layers=layers, width=width
    )


def guess_token_count(text: str) -> float:
    """Tokens of a prompt with its chat template, guessed from its words and characters, without a tokenizer."""
    wide = len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", text))
    return TEMPLATE_TOKENS + 1.35 * len(text.split()) + 1.6 * wide


def measure_gflops(device: str, dtype_name: str) -> float:
    """Speed of a large matrix product on this machine, in 10^9 operations per second."""
    import torch

    dtype = getattr(torch, dtype_name)
    size = {"cpu": 1024, "mps": 4096}.get(device, 8192)
    left, right = (torch.ones((size, size), dtype=dtype, device=device) for _ in range(2))

    def once() -> float:
        started = time.perf_counter()
        product = left @ right
        float(product[0, 0])  # waits for a GPU
        return time.perf_counter() - started

    once()
    return 2 * size**3 / min(once() for _ in range(5)) / 1e9
