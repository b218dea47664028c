"""Stages that measure the machine, sampling, memory, and one update of an 8B model.

Not here: the same loop by TRL, the demo (`loops`).
"""

from __future__ import annotations

import importlib.metadata
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.cuda_check.runner import Size
from benchmarks.cuda_check.workloads import (
    ALL_LAYERS,
    llama_8b,
    make_trainer,
    now,
    peak_gb,
    qwen_05b,
    random_model,
    random_prompts,
    reset_peak,
    rounded,
    run_updates,
    timed_phases,
)
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models import sampling
from ppo_cli.models.cost_estimate import PlannedWork
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.memory_estimate import ModelShape, TrainingPlan, memory_parts
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms
from ppo_cli.preflight.planned_cost import training_plan

CHECKPOINTING = "model.train.gradient_checkpointing"
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def machine(size: Size) -> Iterator[dict[str, Any]]:
    """Versions, and what the device can do at best."""
    yield {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in LIBRARIES}}
    if size.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        yield {
            "gpu": properties.name,
            "capability": list(torch.cuda.get_device_capability()),
            "memory_gb": round(properties.total_memory / 1e9, 1),
            "cuda": torch.version.cuda,
        }
    dtype = torch.float32 if size.device == "cpu" else torch.bfloat16
    side, copied = (256, 1 << 20) if size.toy else (8192, 1 << 30)
    left, right = (torch.randn(side, side, device=size.device).to(dtype) for _ in range(2))
    seconds = _best(lambda: left @ right, size)
    yield {"matmul_tflops": round(2 * side**3 / seconds / 1e12, 3), "matmul_dtype": str(dtype)}
    source = torch.zeros(copied, dtype=torch.uint8, device=size.device)
    target = torch.empty_like(source)
    yield {"memory_gb_per_s": round(2 * copied / _best(lambda: target.copy_(source), size) / 1e9, 1)}
    tiny = torch.zeros(1, device=size.device)
    launches = 100

    def launch() -> None:
        for _ in range(launches):
            tiny.add_(1)

    yield {"microseconds_per_launch": round(_best(launch, size) / launches * 1e6, 2)}
    model = random_model(qwen_05b(size), size)
    head, hidden = LMHead(model), torch.randn(128, model.config.hidden_size, device=size.device).to(model.dtype)
    with torch.inference_mode():
        exact = _best(lambda: head.logits(hidden), size)
        plain = _best(lambda: torch.nn.functional.linear(hidden, head.weight).float(), size)
    yield {"logits_of_128_rows_ms": rounded({"float32_output": 1e3 * exact, "rounded": 1e3 * plain})}


def _best(work: Callable[[], Any], size: Size) -> float:
    work()
    times = []
    for _ in range(5):
        started = now(size)
        work()
        times.append(now(size) - started)
    return min(times)


def sampling_speed(size: Size, model: Any, rows: int, prompt: int, answer: int) -> float:
    """Answer tokens per second of `rows` answers without end tokens."""
    params = SamplingParams(max_new_tokens=answer, temperature=1.0, stop_ids=(), pad_id=0)
    prompts = random_prompts(rows, prompt, model.config.vocab_size)
    uniforms = [keyed_uniforms(1, row, count=answer)[None, :] for row in range(rows)]
    started = now(size)
    if size.device == "cpu":
        sampling.sample_on_gpu(model, prompts, uniforms, params, lambda _done: None, None)
    else:
        sampling.sample_answers(model, prompts, uniforms, params)
    return rows * answer / (now(size) - started)


def sampling_rates(size: Size) -> Iterator[dict[str, Any]]:
    """Tokens per second of 0.5B at 16, 64 and 256 rows, with refilled slots, and without recorded steps."""
    model = random_model(qwen_05b(size), size)
    prompt, answer, sizes = (4, 8, (2, 4)) if size.toy else (64, 256, (16, 64, 256))
    sampling_speed(size, model, 2, prompt, 8)  # libraries set themselves up
    for rows in sizes:
        reset_peak(size)
        yield {f"tokens_per_s_{rows}_rows": round(sampling_speed(size, model, rows, prompt, answer), 1)}
        yield {f"peak_gb_{rows}_rows": round(peak_gb(size), 2)}
    rows = sizes[-1]
    with mock.patch("ppo_cli.models.slot_sampling.MAX_SLOTS", rows // 2):
        yield {f"tokens_per_s_{rows}_rows_in_half_the_slots": round(sampling_speed(size, model, rows, prompt, answer))}
    short = answer if size.toy else 64
    with mock.patch.object(sampling, "fits_slots", return_value=False):
        params = SamplingParams(max_new_tokens=short, temperature=1.0, stop_ids=(), pad_id=0)
        prompts = random_prompts(rows, prompt, model.config.vocab_size)
        started = now(size)
        sampling.sample_answers(model, prompts, [np.zeros((1, short)) + 0.5 for _ in prompts], params)
        yield {f"tokens_per_s_{rows}_rows_eager": round(rows * short / (now(size) - started), 1)}


def memory(size: Size) -> Iterator[dict[str, Any]]:
    """Peak memory of one update of 0.5B with adapters on all layers, against the estimate."""
    episodes, prompt, answer = (8, 4, 8) if size.toy else (64, 64, 256)
    for kind, checkpointing in (("plain", False), ("checkpointing", True)):
        model = random_model(qwen_05b(size), size)
        reset_peak(size)
        own = [f"{CHECKPOINTING}={str(checkpointing).lower()}", *_update_of(episodes, answer)]
        with tempfile.TemporaryDirectory() as folder:
            trainer = make_trainer(Path(folder), model, size, own, prompt_tokens=prompt)
            (row,) = run_updates(trainer)
        parts = memory_parts(_shape_of(model), _plan(trainer.experiment, model, size, prompt))
        yield {
            kind: {
                "peak_gb": round(peak_gb(size), 3),
                "estimate_gb": round(sum(parts.values()) / 1e9, 3),
                "without_program_gb": round((sum(parts.values()) - parts["program"]) / 1e9, 3),
                "seconds": round(row["seconds"], 2),
            }
        }
        del model, trainer


def lora_8b(size: Size) -> Iterator[dict[str, Any]]:
    """One update of the 8B shape with adapters on all layers: 64 answers of 256 tokens to prompts of 256."""
    reset_peak(size)
    started = now(size)
    model = random_model(llama_8b(size), size)
    yield {"model_seconds": round(now(size) - started, 1), "parameters": model.num_parameters()}
    episodes, prompt, answer = (8, 4, 8) if size.toy else (64, 256, 256)
    overrides = [f"{CHECKPOINTING}=true", *_update_of(episodes, answer)]
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(Path(folder), model, size, overrides, prompt_tokens=prompt)
        phases = timed_phases(trainer, size)
        (row,) = run_updates(trainer)
    yield {
        "update_seconds": round(row["seconds"], 2),
        "phases": rounded(phases),
        "answer_tokens": row["answer_tokens"],
        "sampling_tokens_per_s": round(row["answer_tokens"] / phases["sampling"], 1),
        "peak_gb": round(peak_gb(size), 2),
        "sampler_mismatch": row.get("sampler_mismatch"),
    }


def _update_of(episodes: int, answer: int) -> list[str]:
    """One update of one PPO epoch with adapters on all layers."""
    return [
        ALL_LAYERS,
        "model.train.lora.r=16",
        "ppo.updates=1",
        "ppo.epochs=1",
        f"ppo.episodes_per_update={episodes}",
        f"rollout.max_new_tokens={answer}",
    ]


def _shape_of(model: Any) -> ModelShape:
    config = model.config
    return ModelShape(
        parameters=float(model.num_parameters()),
        embedding_parameters=float(config.vocab_size * config.hidden_size),
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        vocabulary=config.vocab_size,
        inner_width=config.intermediate_size,
        heads=config.num_attention_heads,
        key_width=config.num_key_value_heads
        * getattr(config, "head_dim", config.hidden_size // config.num_attention_heads),
    )


def _plan(experiment: Experiment, model: Any, size: Size, prompt_tokens: int) -> TrainingPlan:
    """What the program says of the memory before such a run is computed from this."""
    work = PlannedWork(
        updates=1,
        episodes=experiment.ppo.episodes_per_update,
        epochs=1,
        trained_layers=None,
        max_new_tokens=experiment.rollout.max_new_tokens,
        baseline_answers=0,
        prompt_tokens=prompt_tokens,
        sft_tokens=0,
        whole_evaluations=0,
        interim_evaluations=0,
        eval_prompts=0,
        interim_prompts=0,
        eval_samples=1,
        eval_max_new_tokens=experiment.rollout.max_new_tokens,
        checkpoints_kept=1,
    )
    plan = training_plan(experiment, work, _shape_of(model), size.device, model.dtype.itemsize)
    total = torch.cuda.get_device_properties(0).total_memory if size.device == "cuda" else None
    return replace(plan, device_bytes=total)
