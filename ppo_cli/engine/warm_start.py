"""A short supervised warm start with TRL's SFTTrainer: adapters are trained, merged, and cached by their inputs.

PPO amplifies what the policy already does; a start model that never refuses gives it nothing to amplify.

Not here: PPO (`trainer`), checking the start model (`preflight`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from peft import get_peft_model
from transformers import PrinterCallback, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from ppo_cli.engine.lora import lora_config
from ppo_cli.engine.split_decoder import SplitDecoder
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.schema import Sft
from ppo_cli.models.cache_dir import cached
from ppo_cli.models.cached_folder import verify_manifest, write_manifest
from ppo_cli.models.control_tokens import encode_answer
from ppo_cli.models.folder_checks import require_embeddings
from ppo_cli.models.loading import ChatTokenizer, export_support_files, quiet_transformers, writing_weights
from ppo_cli.models.one_gpu import require_one_gpu
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, Phase, Progress

TRAINING_VERSION = 5
"""Raised whenever the training below writes other files; it is part of the cache key."""
MANIFEST = "warm-start-manifest.json"


@dataclass(frozen=True, kw_only=True)
class ModelToTrain:
    """The model that a warm start begins with."""

    folder: Path
    digests: Mapping[str, Any]
    """Of its weights, config.json and tokenizer."""
    tokenizer: ChatTokenizer
    load: Callable[[], Any]
    """Loads it as a transformers causal language model, whose weights are then changed."""
    device_and_dtype: str
    """Part of the cache key, since they change the last digits of the result."""


def warm_start(model: ModelToTrain, examples: Sequence[Prompt], settings: Sft, on_event: EventHandler) -> Path:
    """The folder of the warm-started model, training it the first time.

    Args:
        model: to begin with.
        examples: prompts with answers.
        settings: of the SFT.
        on_event: called with progress.

    Raises:
        IntegrityError: the cached model was changed.
        DiskFullError: no space is left.
        NoPermissionError: the cache folder may not be written.
    """
    key = sha256_of(
        {
            "training_version": TRAINING_VERSION,
            "model": dict(model.digests),
            "system_prompt": model.tokenizer.system_prompt,
            "settings": settings.model_dump(),
            "examples": [as_row(example) for example in examples],
            "device_and_dtype": model.device_and_dtype,
        }
    )
    target = cached("warm-starts", key[:16])
    if not target.exists():
        _train_into(target, model, examples, settings, on_event)
    verify_manifest(target, MANIFEST, "warm start")
    return target


def _train_into(
    target: Path, model: ModelToTrain, examples: Sequence[Prompt], settings: Sft, on_event: EventHandler
) -> None:
    """Trains in a temporary folder and renames it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        writing_weights(target),
        quiet_transformers(),
        quiet_datasets(),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".sft-", ignore_cleanup_errors=True) as work,
    ):
        merged = _train(model, examples, settings, Path(work), on_event)
        folder = Path(work) / "model"
        merged.save_pretrained(folder, max_shard_size="100GB")
        export_support_files(model.folder, folder)
        write_manifest(folder, MANIFEST)
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():  # else another process has made the same folder meanwhile
                raise
            shutil.rmtree(folder, ignore_errors=True)


def _train(start: ModelToTrain, examples: Sequence[Prompt], settings: Sft, work: Path, on_event: EventHandler) -> Any:  # noqa: ANN401
    """The trained model with its adapters merged."""
    model = start.load()
    require_one_gpu(model.device)
    steps = settings.epochs * -(-len(examples) // settings.batch_size)
    on_event(Phase(name="warm start (SFT)", total=steps, unit="steps"))
    set_seed(settings.seed)
    layers = SplitDecoder(model, settings.top_layers).upper_layers
    config = lora_config(model, layers, r=settings.lora_r, alpha=2 * settings.lora_r)
    rows = [_example(start.tokenizer, example) for example in examples]
    require_embeddings(model, {example.id: row["input_ids"] for example, row in zip(examples, rows, strict=True)})
    trainer = SFTTrainer(
        model=get_peft_model(model, config),
        args=SFTConfig(
            output_dir=str(work / "trainer"),
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="linear",
            train_sampling_strategy="group_by_length",  # a third of the time would go into padding
            seed=settings.seed,
            max_length=None,
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=model.device.type == "cpu",
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=model.device.type == "cuda",
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=start.tokenizer.tokenizer,
        callbacks=[StepProgress(on_event)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    trainer.accelerator.free_memory()
    return merged.eval()


def _example(tokenizer: ChatTokenizer, example: Prompt) -> dict[str, list[int]]:
    """The prompt as rollouts tokenize it, then the answer and the end-of-turn token; only these two are learnt."""
    prompt = tokenizer.render(example.chat)
    answer = [*encode_answer(tokenizer.tokenizer, _without_end(tokenizer, example.answer or "")), tokenizer.stop_ids[0]]
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)}


def _without_end(tokenizer: ChatTokenizer, answer: str) -> str:
    """A written answer without an end-of-turn token at its end, since that token follows every answer."""
    ends = tuple(str(token) for token in tokenizer.tokenizer.convert_ids_to_tokens(list(tokenizer.stop_ids)))
    while (text := answer.rstrip()).endswith(ends):
        answer = next(text.removesuffix(end) for end in ends if text.endswith(end))
    return answer


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Switches off the progress bars of `datasets` inside the block."""
    were_enabled = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if were_enabled:
            enable_progress_bars()


class StepProgress(TrainerCallback):
    """Reports each optimizer step as progress."""

    def __init__(self, on_event: EventHandler) -> None:
        self.on_event = on_event

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        self.on_event(Progress(done=state.global_step))
