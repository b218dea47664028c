"""Stages that ask whether numbers are equal: recorded and eager steps, CUDA and CPU, twice the same, resumed.

Not here: time and memory (`speed`, `loops`).
"""

from __future__ import annotations

import multiprocessing
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.cuda_check.runner import Size
from benchmarks.cuda_check.workloads import (
    ALL_LAYERS,
    digest,
    make_trainer,
    now,
    qwen_05b,
    random_model,
    rounded,
    run_updates,
)
from ppo_cli.engine import trainer as trainer_module
from ppo_cli.engine.checkpoints import load_checkpoint, save_checkpoint
from ppo_cli.models import sampling
from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms
from ppo_cli.store.layout import RunLayout
from tests.tiny_models import FAMILIES, tiny_lm

TOLERANCE = 1e-4
PROMPTS = [[3, 10, 11, 12, 2, 4], [3, 20, 2, 4], [3, 15, 16, 17, 18, 19, 2, 4], [3, 9, 9, 2, 4]]
NEW_TOKENS = 24
CPU = Size(device="cpu", toy=True)


def families(size: Size) -> Iterator[dict[str, Any]]:
    """Seven families in float32: answers from recorded steps against answers that grow token by token."""
    params = SamplingParams(max_new_tokens=NEW_TOKENS, temperature=1.0, stop_ids=(2, 0), pad_id=0)
    numbers = [
        np.stack([keyed_uniforms(1, index, k, count=NEW_TOKENS) for k in range(4)]) for index in range(len(PROMPTS))
    ]
    unequal = []
    for family in FAMILIES:
        model = tiny_lm(family).to(size.device)
        backbone = model.base_model
        recorder = ActivationRecorder((backbone.layers if hasattr(backbone, "layers") else backbone.h)[2])
        fits = sampling.fits_slots(model, max(map(len, PROMPTS)) + NEW_TOKENS)
        # On a CPU the same step runs without being recorded.
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            recorded = sampling.sample_on_gpu(model, PROMPTS, numbers, params, lambda _done: None, recorder)
        eager_because = [str(each.message) for each in warned if "cannot be recorded" in str(each.message)]
        with mock.patch.object(sampling, "fits_slots", return_value=False):
            eager = sampling.sample_answers(model, PROMPTS, numbers, params, recorder=recorder)
        pairs = list(zip(chain(*recorded), chain(*eager), strict=True))
        same = [pair for pair in pairs if pair[0].token_ids == pair[1].token_ids]
        logprobs = max(abs(np.subtract(first.logprobs, second.logprobs)).max() for first, second in same)
        states = max(float((first.activations - second.activations).abs().max()) for first, second in same)
        yield {
            family: {
                "recorded": (fits and not eager_because) if size.device == "cuda" else "not on a CPU",
                **({"eager_because": eager_because[0][:300]} if eager_because else {}),
                "equal_answers": f"{len(same)} of {len(pairs)}",
                "largest_difference": rounded({"logprobs": float(logprobs), "activations": states}, 8),
            }
        }
        if len(same) < len(pairs) or not fits or eager_because:
            unequal.append(family)
    if unequal:
        raise AssertionError(f"answers differ, or no step was recorded: {', '.join(unequal)}")


def trainer(size: Size) -> Iterator[dict[str, Any]]:
    """Two updates in float32 on the device against two on the CPU, every metric."""
    rows = {}
    for name, where in (("device", size), ("cpu", CPU)):
        with tempfile.TemporaryDirectory() as folder:
            model = tiny_lm(seed=3).to(where.device)
            rows[name] = run_updates(make_trainer(Path(folder), model, where, ["ppo.updates=2"]))
        yield {f"seconds_on_{name}": round(sum(row["seconds"] for row in rows[name]), 2)}
    differences = {}
    for ours, cpu in zip(rows["device"], rows["cpu"], strict=True):
        for name, value in cpu.items():
            if isinstance(value, float) and name != "seconds":
                relative = abs(ours[name] - value) / max(abs(value), 0.1)
                differences[name] = max(differences.get(name, 0.0), relative)
    worst = max(differences, key=differences.__getitem__)
    yield {"metrics": len(differences), "largest_difference": differences[worst], "of": worst}
    if differences[worst] > TOLERANCE:
        raise AssertionError(f"{worst} differs by {differences[worst]:.2g}, more than {TOLERANCE:g}")


def repeat(size: Size) -> Iterator[dict[str, Any]]:
    """One update of 0.5B twice here and once in a second process, strict and not: bytes and time."""
    # Forked now, before this process starts CUDA.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    start = context.Event()
    second = context.Process(target=_second_process, args=(size, start, sender), daemon=True)
    second.start()
    results: dict[str, Any] = {}
    for name, strict in (("strict", True), ("not_strict", False)):
        runs = [_one_update(size, strict=strict) for _ in range(2)]
        results[name] = {"sha256": [run[0][:16] for run in runs], "equal": runs[0][0] == runs[1][0]}
        results[name]["learning_seconds"] = [round(run[1], 3) for run in runs]
        yield dict(results)
    cost = min(results["strict"]["learning_seconds"]) / max(1e-9, min(results["not_strict"]["learning_seconds"])) - 1
    yield {"strict_costs_percent": round(100 * cost, 1)}
    if size.device == "cuda":
        torch.cuda.empty_cache()
    start.set()
    answer = receiver.recv()
    second.join()
    equal = answer[:16] == results["strict"]["sha256"][0]
    yield {"second_process": {"sha256": answer[:16], "equal": equal}}
    if not (results["strict"]["equal"] and equal):
        raise AssertionError("an update in strict mode did not give the same bytes twice")


def _second_process(size: Size, start: Any, sender: Any) -> None:
    start.wait()
    sender.send(_one_update(size, strict=True)[0])


def _one_update(size: Size, *, strict: bool) -> tuple[str, float]:
    """sha256 of the masters after one update, and the seconds of its optimizer steps."""
    episodes, tokens = (8, 8) if size.toy else (32, 64)
    overrides = [
        ALL_LAYERS,
        "ppo.updates=1",
        f"ppo.episodes_per_update={episodes}",
        f"rollout.max_new_tokens={tokens}",
    ]
    change = nullcontext() if strict else mock.patch.object(trainer_module, "strict_algorithms", nullcontext)
    with tempfile.TemporaryDirectory() as folder, change:
        made = make_trainer(Path(folder), random_model(qwen_05b(size), size), size, overrides, prompt_tokens=tokens)
        seconds: list[float] = []
        plain = made.update_policy

        def timed(*given: Any) -> Any:
            started = now(size)
            result = plain(*given)
            seconds.append(now(size) - started)
            return result

        made.update_policy = timed
        run_updates(made)
        return digest(made), seconds[0]


def resume(size: Size) -> Iterator[dict[str, Any]]:
    """Two updates in a row against one, a checkpoint, and one more from there: metrics and bytes."""
    with tempfile.TemporaryDirectory() as root:
        layout = RunLayout(Path(root) / "run")
        layout.checkpoints.mkdir(parents=True)

        def make() -> Any:
            folder = Path(root) / "trainer"
            return make_trainer(folder, tiny_lm(seed=3).to(size.device), size, ["ppo.updates=2"])

        whole = make()
        start = Path(root) / "trainer" / "tokenizer"

        def save(update: int) -> bool:
            if update == 1:
                save_checkpoint(whole, layout, start)
            return True

        rows = run_updates(whole, save)
        continued = make()
        load_checkpoint(continued, layout.checkpoint(1))
        after = run_updates(continued)
        same_bytes = digest(whole) == digest(continued)
        drop = {"seconds": None}
        same_metrics = [{**row, **drop} for row in rows[1:]] == [{**row, **drop} for row in after]
    yield {"same_bytes": same_bytes, "same_metrics": same_metrics}
    if not (same_bytes and same_metrics):
        raise AssertionError("a resumed training did not give the same numbers")
