"""Estimated time and disk of an experiment, from operation counts and the speed of one matrix product; and its memory.

A forward pass takes 2 operations per weight and token, a backward pass twice that (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1). A real run reaches a share of the measured speed (`REACHED_SPEED_SHARE`).

Not here: the arithmetic of the memory (`memory_estimate`), counting the work of a config (`preflight.planned_cost`),
timing any of it (`preflight.measured_cost`).
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.models import builtin
from ppo_cli.models.memory_estimate import ModelShape, TrainingPlan, memory_parts
from ppo_cli.records.results import Cost

REACHED_SPEED_SHARE = {"cpu": 0.75, "cuda": 0.1, "mps": 0.1}
"""Share of the matrix product's speed that training reaches, by device. On a CPU from two runs of the built-in
model: the estimate of `refusal` (two threads) is 4 % below its 14 minutes, that of `concise` (one) 13 % above its 21; a
third run that it was not made from, `clarify` (two threads), took 11 min 23 s, 8 % more than was said.
That of CUDA was measured once, that of mps is taken from it."""
LAYER_CALL_SECONDS = 3e-4
"""A layer's forward pass takes no less, however few tokens it has; assumed, not measured."""
SETUP_SECONDS = 8.0
"""To start Python and load the libraries."""
CHECK_SECONDS = 7.0
"""To check the reward before the first update and to write the results, in a run of a tiny model."""
STATISTICS_SECONDS = 3.0
"""For labels and intervals after an evaluation of a few hundred prompts."""
ROWS_TOGETHER, POSITIONS_TOGETHER = 256, 32768
"""Answers, and tokens with their prompts, that are decoded in one batch."""
MEAN_ANSWER_SHARE = 0.6
"""Assumed mean answer length as a share of its limit; most answers end before it."""
FIT_TOKENS = 32
"""Of an answer, read to judge how well it fits its prompt (`prompt_fit.MAX_TOKENS`)."""
TEMPLATE_TOKENS = 8
"""Of a chat template around a user's words, roughly."""
BUILTIN_SHAPE = ModelShape(
    parameters=134.5e6,
    embedding_parameters=49152 * 576,
    layers=30,
    width=576,
    vocabulary=49152,
    inner_width=1536,
    heads=9,
    key_width=192,
)
"""Of the built-in model, which need not have been fetched."""


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
    scored_fits: int = 0
    """Answers whose fit to their prompts the reward scores, over the run."""
    scored_others: int = 0
    """Other prompts that each of these is compared with."""
    measured_fits: int = 0
    """Answers whose fit a whole evaluation measures, one per prompt to answer."""
    measured_others: int = 0
    """Other prompts that each of these is compared with."""


def cost_of_work(
    work: PlannedWork,
    shape: ModelShape | None,
    device: str,
    gflops: float | None,
    bytes_per_weight: int,
    plan: TrainingPlan | None = None,
) -> Cost:
    """Seconds, memory and disk of some work.

    Args:
        work: in counts.
        shape: of the start model; without it only the episodes are known.
        device: cpu, cuda or mps.
        gflops: speed of a large matrix product, 10^9 operations per second.
        bytes_per_weight: 4 in float32, 2 in bfloat16.
        plan: what decides the memory; without it the memory is not estimated.
    """
    episodes = work.updates * work.episodes
    if shape is None or gflops is None:
        return Cost(episodes=episodes, seconds=None, memory_gb=None, disk_gb=None, device=device, gflops=gflops)
    operations = _operations(work, shape)
    weights_gb = shape.parameters * bytes_per_weight / 1e9
    return Cost(
        episodes=episodes,
        seconds=operations / (gflops * 1e9 * REACHED_SPEED_SHARE[device]) + _seconds_besides(work, shape),
        memory_gb=None if plan is None else sum(memory_parts(shape, plan).values()) / 1e9,
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

    def fit(of_answer: float, others: int) -> float:
        return work.prompt_tokens * body + (1 + others) * min(FIT_TOKENS, of_answer) * (body + head)

    def evaluation(prompts: int) -> float:
        generated = work.eval_samples * eval_answer * (body + head)
        kl = 2 * (work.prompt_tokens + eval_answer) * body + 2 * eval_answer * head
        fits = work.measured_fits / max(1, work.eval_prompts) * fit(eval_answer, work.measured_others)
        return prompts * (work.prompt_tokens * body + generated + kl + fits)

    measuring = work.whole_evaluations * evaluation(work.eval_prompts)
    measuring += work.interim_evaluations * evaluation(work.interim_prompts)
    scoring = work.scored_fits * fit(answer, work.scored_others)
    return training + baselines + scoring + measuring + 3 * work.sft_tokens * (body + head)


def _seconds_besides(work: PlannedWork, shape: ModelShape) -> float:
    """Seconds that no operation takes: starting, statistics, and the layer calls of decoding, one token at a time."""

    def calls(answers: float, limit: int) -> float:
        together = max(1.0, min(ROWS_TOGETHER, POSITIONS_TOGETHER / (work.prompt_tokens + limit)))
        return math.ceil(answers / together) * limit * shape.layers

    evaluations = work.whole_evaluations + work.interim_evaluations
    decoding = work.updates * calls(work.episodes, work.max_new_tokens)
    decoding += calls(work.baseline_answers, work.max_new_tokens)
    for times, prompts in (
        (work.whole_evaluations, work.eval_prompts),
        (work.interim_evaluations, work.interim_prompts),
    ):
        decoding += times * calls(prompts * work.eval_samples, work.eval_max_new_tokens)
    return SETUP_SECONDS + CHECK_SECONDS + evaluations * STATISTICS_SECONDS + decoding * LAYER_CALL_SECONDS


def model_shape(start: str) -> ModelShape | None:
    """Sizes of a model on this machine; None for one that would have to be fetched first, or that is broken.

    Args:
        start: `model.start` of the config.
    """
    if start == f"builtin:{builtin.NAME}":
        return BUILTIN_SHAPE
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
        inner = int(config.get("intermediate_size") or config.get("n_inner") or 4 * width)
        heads = int(config.get("num_attention_heads") or config["n_head"])
        head_width = int(config.get("head_dim") or width // heads)
        stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ZeroDivisionError):
        return None  # the command that loads it says what is wrong
    bytes_per_weight = 4 if "32" in str(config.get("dtype") or config.get("torch_dtype") or "float32") else 2
    return ModelShape(
        parameters=stored / bytes_per_weight,
        embedding_parameters=rows * width,
        layers=layers,
        width=width,
        vocabulary=rows,
        inner_width=inner,
        heads=heads,
        key_width=int(config.get("num_key_value_heads") or heads) * head_width,
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
