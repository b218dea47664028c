"""Stages that run whole loops: TRL's beside ours, and the demo.

Not here: parts of our loop (`speed`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, TrainerCallback
from trl.experimental.ppo import PPOTrainer

from benchmarks.cuda_check.runner import Size
from benchmarks.cuda_check.workloads import (
    ALL_LAYERS,
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
    tiny_experiment,
)
from ppo_cli.engine.trl_config import to_trl_config
from ppo_cli.models.builtin import NAME
from ppo_cli.models.cache_dir import cache_folder
from ppo_cli.models.loading import load_tokenizer
from tests.terminal import ppo
from tests.tiny_models import save_tiny_model, write_tiny_config

ROOT = Path(__file__).resolve().parents[2]
UPDATES = 2
"""The second one is timed: in the first, libraries set themselves up."""


def _overrides(size: Size) -> tuple[list[str], int]:
    """Equal settings for both loops, and the tokens of a prompt."""
    episodes, tokens = (16, 4) if size.toy else (64, 64)
    settings = [
        ALL_LAYERS,
        "model.train.lora=null",
        f"ppo.updates={UPDATES}",
        "ppo.minibatches=4",
        f"ppo.episodes_per_update={episodes}",
        f"rollout.max_new_tokens={tokens}",
    ]
    return settings, tokens


def trl(size: Size) -> Iterator[dict[str, Any]]:
    """One update of 0.5B trained in full, by our loop and by TRL's with four models, as its example sets it up."""
    overrides, tokens = _overrides(size)
    reset_peak(size)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(Path(folder), random_model(qwen_05b(size), size), size, overrides, tokens)
        phases = timed_phases(trainer, size)
        rows = run_updates(trainer)
        episodes = trainer.experiment.ppo.episodes_per_update
        seconds = rows[-1]["seconds"]
        ours = {
            "episodes_per_s": round(episodes / seconds, 3),
            "seconds": round(seconds, 3),
            "phases_of_both_updates": rounded(phases),
            "peak_gb": round(peak_gb(size), 2),
            "weights": str(trainer.policy.model.dtype),
        }
        yield {"ours": ours}
        del trainer
    reset_peak(size)
    with tempfile.TemporaryDirectory() as folder:
        seconds = _trl_seconds(Path(folder), size, overrides, tokens)
    theirs = {"episodes_per_s": round(episodes / seconds, 3), "seconds": round(seconds, 3)}
    yield {"trl": {**theirs, "peak_gb": round(peak_gb(size), 2), "weights": "torch.float32"}}
    yield {"times_as_fast": round(theirs["seconds"] / ours["seconds"], 2)}


def _trl_seconds(folder: Path, size: Size, overrides: list[str], tokens: int) -> float:
    """Seconds of the second update of TRL's own loop."""
    experiment = tiny_experiment(folder, save_tiny_model(folder / "model"), size, overrides)
    config = qwen_05b(size)
    policy, reference = (random_model(config, size, torch.float32) for _ in range(2))
    config.num_labels = 1
    with torch.device(size.device):
        reward, value = (AutoModelForSequenceClassification.from_config(config, dtype=torch.float32) for _ in range(2))
    ids = random_prompts(experiment.ppo.episodes_per_update, tokens, config.vocab_size)
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(now(size))

    trainer = PPOTrainer(
        args=to_trl_config(experiment, folder, torch.device(size.device)),
        processing_class=load_tokenizer(folder / "model").tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward,
        train_dataset=Dataset.from_dict({"input_ids": ids}),
        value_model=value,
        callbacks=[Clock()],
    )
    trainer.dataloader = [{"input_ids": torch.tensor(ids)}] * UPDATES
    trainer.train()
    return ends[1] - ends[0]


def demo(size: Size) -> Iterator[dict[str, Any]]:
    """`ppo train` from the command line to the last table; the recipe where the built-in model is on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        built_in = any(cache_folder().glob(f"{NAME}*")) and not size.toy
        if built_in:
            config, name, own = ROOT / "configs" / "refusal.yaml", "configs/refusal.yaml", ["ppo.updates=8"]
        else:
            config = write_tiny_config(Path(folder), save_tiny_model(Path(folder) / "model"))
            why = "toy size" if size.toy else "the built-in model is not on this machine"
            name, own = f"a tiny random model ({why})", ["ppo.updates=2"]
        yield {"config": name, "overrides": own}
        started = time.perf_counter()
        screen = ppo("train", config, "--runs-dir", Path(folder) / "runs", f"device={size.device}", *own)
        yield {
            "seconds_of_command": round(time.perf_counter() - started, 1),
            "exit_code": screen.code,
            "screen": (screen.out if screen.code == 0 else screen.err).splitlines()[-12:],
            "peak_gb": round(peak_gb(size), 2),
        }
    if screen.code != 0:
        raise AssertionError(f"ppo train ended with exit code {screen.code}")
