"""A short supervised warm start with TRL's SFTTrainer, adapters merged, kept by the content that made it.

PPO amplifies what the policy already does; a start model that never refuses gives it nothing to amplify.

Not here: PPO, judging the start model.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from peft import get_peft_model
from transformers import PrinterCallback, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from ppo_cli.engine.lora import lora_config
from ppo_cli.engine.split_decoder import SplitDecoder
from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.experiment.schema import Sft
from ppo_cli.models.cache_dir import cache_folder
from ppo_cli.models.loading import ChatTokenizer, export_support_files, quiet_transformers, writing_weights
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, Phase, Progress
from ppo_cli.store.files import read_json, write_json

TRAINING_VERSION = 2
"""Raised whenever the training below gives other weights, so that an old result is not taken for a new one."""
MANIFEST = "warm-start-manifest.json"


def warm_start(
    load: Callable[[], Any],
    tokenizer: ChatTokenizer,
    examples: Sequence[Prompt],
    settings: Sft,
    *,
    start: Path,
    start_identity: dict[str, Any],
    kind: str,
    on_event: EventHandler,
) -> Path:
    """The folder of the warm-started model, training it the first time.

    Args:
        load: gives the start model, a transformers causal language model; its weights are used up.
        tokenizer: its tokenizer.
        examples: prompts with answers.
        settings: of the SFT.
        start: folder of the start model.
        start_identity: digests of the start model.
        kind: device and type of the weights, which move the last digits of the result.
        on_event: told of progress.
    """
    key = sha256_of(
        {
            "recipe": TRAINING_VERSION,
            "start": start_identity,
            "system_prompt": tokenizer.system_prompt,
            "settings": settings.model_dump(),
            "examples": [as_row(example) for example in examples],
            "kind": kind,
        }
    )
    target = cache_folder() / "warm-starts" / key[:16]
    if not target.exists():
        _train_into(target, load(), tokenizer, examples, settings, start, on_event)
    manifest = read_json(target / MANIFEST)
    if sha256_file(target / "model.safetensors") != manifest["model.safetensors"]:
        raise IntegrityError(f"The cached warm start {target} was changed.", "Remove that folder; it is made anew.")
    return target


def _train_into(
    target: Path,
    model: Any,  # noqa: ANN401
    tokenizer: ChatTokenizer,
    examples: Sequence[Prompt],
    settings: Sft,
    start: Path,
    on_event: EventHandler,
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        writing_weights(target),
        quiet_transformers(),
        quiet_datasets(),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".sft-", ignore_cleanup_errors=True) as work,
    ):
        merged = _train(model, tokenizer, examples, settings, Path(work), on_event)
        folder = Path(work) / "model"
        merged.save_pretrained(folder, max_shard_size="100GB")
        export_support_files(start, folder)
        write_json(folder / MANIFEST, {"model.safetensors": sha256_file(folder / "model.safetensors")})
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():  # else another process made the same folder meanwhile
                raise
            shutil.rmtree(folder, ignore_errors=True)


def _train(
    model: Any,  # noqa: ANN401
    tokenizer: ChatTokenizer,
    examples: Sequence[Prompt],
    settings: Sft,
    work: Path,
    on_event: EventHandler,
) -> Any:  # noqa: ANN401
    steps = settings.epochs * -(-len(examples) // settings.batch_size)
    on_event(Phase(name="warm start (SFT)", total=steps, unit="steps"))
    set_seed(settings.seed)
    layers = SplitDecoder(model, settings.top_layers).upper_layers
    config = lora_config(model, layers, r=settings.lora_r, alpha=2 * settings.lora_r)
    trainer = SFTTrainer(
        model=get_peft_model(model, config),
        args=SFTConfig(
            output_dir=str(work / "trainer"),
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="linear",
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
        train_dataset=Dataset.from_list([_example(tokenizer, example) for example in examples]),
        processing_class=tokenizer.tokenizer,
        callbacks=[StepProgress(on_event)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    trainer.accelerator.free_memory()
    return merged.eval()


def _example(tokenizer: ChatTokenizer, example: Prompt) -> dict[str, list[int]]:
    """The prompt as rollouts render it, then the answer and the end-of-turn token; only these are learnt."""
    prompt = tokenizer.render(example.text)
    answer = tokenizer.tokenizer(example.answer, add_special_tokens=False)["input_ids"]
    answer = [int(token) for token in answer] + [tokenizer.stop_ids[0]]
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)}


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Keeps the progress bars of `datasets` off the user's screen."""
    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


class StepProgress(TrainerCallback):
    """Tells the watcher of each step."""

    def __init__(self, on_event: EventHandler) -> None:
        self.on_event = on_event

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        self.on_event(Progress(done=state.global_step))
