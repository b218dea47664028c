"""A preference model from pairs of answers, with TRL's RewardTrainer, kept by the content that made it.

A causal language model gets a fresh head of one label (Bradley and Terry 1952, by way of Ouyang et al. 2022), adapters
on all layers are trained beside it and merged. A fifth of the prompts is held out, always the same; how often the
model prefers the chosen answer of those pairs is said whenever the reward is opened.

Not here: scoring with it (`rewards.classifier`).
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import get_peft_model
from transformers import AutoModelForSequenceClassification, PrinterCallback, set_seed
from trl import RewardConfig, RewardTrainer

from ppo_cli.engine.lora import lora_config
from ppo_cli.engine.split_decoder import SplitDecoder
from ppo_cli.engine.warm_start import StepProgress, quiet_datasets
from ppo_cli.errors import IntegrityError, PromptError, reason_of
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.experiment.term_types import Preference
from ppo_cli.models import loading
from ppo_cli.models.cache_dir import cache_folder
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, Notice, Phase
from ppo_cli.rewards.classifier import scorer_in, token_ids
from ppo_cli.stats.intervals import wilson
from ppo_cli.store.files import read_json, write_json

TRAINING_VERSION = 1
"""Raised whenever the training below gives other weights, so that an old result is not taken for a new one."""
MANIFEST = "preference-manifest.json"
HELD_OUT = 5
"""One prompt in so many is held out."""
MIN_PAIRS = 10
"""Fewer teach nothing and leave too few to check on."""
MIN_HELD_OUT_ACCURACY = 0.65
"""Held-out accuracy below which a warning is given; PPO finds what such a model gets wrong. Own choice."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, of which one was preferred."""

    prompt: str
    chosen: str
    rejected: str


def reward_model(path: str, term: Preference, start: Path, device: torch.device, on_event: EventHandler) -> Path:
    """The folder of the preference model, training it the first time.

    Args:
        path: of the term in the config, for messages.
        term: the term itself.
        start: folder of the model to train from.
        device: to train and to score on.
        on_event: told of progress and of the held-out accuracy.

    Raises:
        PromptError: the pairs cannot be used.
        ModelError: the model to train from cannot be used.
    """
    pairs = read_pairs(Path(term.pairs))
    tokenizer = loading.load_tokenizer(start)
    moving = {
        name: getattr(term, name) for name in ("epochs", "learning_rate", "lora_r", "batch_size", "max_tokens", "seed")
    }
    key = sha256_of(
        {
            "recipe": TRAINING_VERSION,
            "start": loading.model_digests(start, tokenizer),
            "settings": moving,
            "pairs": [vars(pair) for pair in pairs],
            "kind": device.type,
        }
    )
    target = cache_folder() / "preference-models" / key[:16]
    if not target.exists():
        _train_into(target, path, pairs, term, start, tokenizer, device, on_event)
    manifest = read_json(target / MANIFEST)
    if sha256_file(target / "model.safetensors") != manifest["model.safetensors"]:
        raise IntegrityError(f"The cached preference model {target} was changed.", "Remove it; it is made anew.")
    _report_accuracy(path, manifest["right"], manifest["held_out"], on_event)
    return target


def read_pairs(file: Path) -> list[Pair]:
    """Pairs from JSON lines.

    Raises:
        PromptError: names the line that cannot be used.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # other line ends may stand inside a text
    except OSError as error:
        raise PromptError(f"{file} cannot be read: {reason_of(error)}.", "Check the path.") from None
    except UnicodeDecodeError as error:
        raise PromptError(f"{file}: not UTF-8 text at byte {error.start}.", "Save it as UTF-8.") from None
    pairs = [_pair(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if len(pairs) < MIN_PAIRS:
        raise PromptError(f"{file}: {len(pairs)} pairs; at least {MIN_PAIRS} are needed.", "Add pairs.")
    taught, held_out = split(pairs)
    if not taught or not held_out:
        raise PromptError(f"{file}: its pairs are about too few prompts to hold some out.", "Add other prompts.")
    return pairs


def split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from, and pairs to check on; all pairs of a prompt fall on one side, whatever else is there."""
    sides: tuple[list[Pair], list[Pair]] = ([], [])
    for pair in pairs:
        sides[int(hashlib.sha256(pair.prompt.encode()).hexdigest(), 16) % HELD_OUT == 0].append(pair)
    return sides


def _pair(file: Path, number: int, line: str) -> Pair:
    try:
        row = json.loads(line)
        values = [row[name] for name in ("prompt", "chosen", "rejected")]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PromptError(f"{file}, line {number}: must be {{prompt, chosen, rejected}}.", "Mend that line.") from None
    if not all(isinstance(value, str) for value in values) or not values[0].strip():
        raise PromptError(f"{file}, line {number}: prompt, chosen and rejected must be texts.", "Mend that line.")
    pair = Pair(*values)
    if pair.chosen.strip() == pair.rejected.strip():
        raise PromptError(f"{file}, line {number}: chosen and rejected are the same.", "Remove that line.")
    return pair


def _report_accuracy(path: str, right: int, held_out: int, on_event: EventHandler) -> None:
    accuracy = right / held_out
    low, high = wilson(accuracy, held_out)
    text = f"{path}: prefers the chosen answer in {accuracy:.0%} of {held_out} held-out pairs [{low:.0%}, {high:.0%}]"
    if accuracy < MIN_HELD_OUT_ACCURACY:
        on_event(
            Notice(
                text=f"{text}, below {MIN_HELD_OUT_ACCURACY:.0%}: PPO will find what it gets wrong.", level="warning"
            )
        )
    else:
        on_event(Notice(text=f"{text}."))


def _train_into(
    target: Path,
    path: str,
    pairs: Sequence[Pair],
    term: Preference,
    start: Path,
    tokenizer: loading.ChatTokenizer,
    device: torch.device,
    on_event: EventHandler,
) -> None:
    taught, held_out = split(pairs)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        loading.writing_weights(target),
        loading.quiet_transformers(),
        quiet_datasets(),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".preference-", ignore_cleanup_errors=True) as work,
    ):
        plain_tokenizer = copy.deepcopy(tokenizer.tokenizer)
        model = _with_score_head(start, plain_tokenizer, device, term.seed)
        trained = _train(path, model, plain_tokenizer, taught, term, Path(work), on_event)
        folder = Path(work) / "model"
        trained.save_pretrained(folder, max_shard_size="100GB")
        plain_tokenizer.save_pretrained(folder)
        right = _count_right(path, folder, held_out, term, device)
        write_json(
            folder / MANIFEST,
            {
                "model.safetensors": sha256_file(folder / "model.safetensors"),
                "right": right,
                "held_out": len(held_out),
                "taught": len(taught),
            },
        )
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():  # else another process made the same folder meanwhile
                raise
            shutil.rmtree(folder, ignore_errors=True)


def _with_score_head(start: Path, tokenizer: loading.ChatTokenizer, device: torch.device, seed: int) -> Any:  # noqa: ANN401
    """The model's own layers under a fresh head of one label."""
    base = loading.load_model(start, tokenizer, device, torch.float32)
    config = copy.deepcopy(base.config)
    config.num_labels, config.pad_token_id = 1, tokenizer.pad_id
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).to(device)
    model.base_model.load_state_dict(base.base_model.state_dict())
    torch.nn.init.normal_(model.score.weight, std=1 / (model.score.weight.shape[1] + 1) ** 0.5)
    return model


def _train(
    path: str,
    model: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    pairs: Sequence[Pair],
    term: Preference,
    work: Path,
    on_event: EventHandler,
) -> Any:  # noqa: ANN401
    batch_size = min(term.batch_size, len(pairs))
    steps = term.epochs * -(-len(pairs) // batch_size)
    on_event(Phase(name="preference model", total=steps, unit="steps"))
    config = lora_config(model, SplitDecoder(model, None).upper_layers, r=term.lora_r, alpha=2 * term.lora_r)
    config.task_type, config.modules_to_save = "SEQ_CLS", ["score"]

    def ids(prompt: str, answer: str) -> list[int]:
        return token_ids(path, tokenizer, prompt, answer, term.max_tokens)["input_ids"]

    rows = [
        {"chosen_ids": ids(pair.prompt, pair.chosen), "rejected_ids": ids(pair.prompt, pair.rejected)} for pair in pairs
    ]
    set_seed(term.seed)
    trainer = RewardTrainer(
        model=get_peft_model(model, config),
        args=RewardConfig(
            output_dir=str(work / "trainer"),
            num_train_epochs=term.epochs,
            per_device_train_batch_size=batch_size,
            learning_rate=term.learning_rate,
            lr_scheduler_type="linear",
            seed=term.seed,
            max_length=None,
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
        processing_class=tokenizer,
        callbacks=[StepProgress(on_event)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    trainer.accelerator.free_memory()
    return merged.eval()


def _count_right(path: str, folder: Path, pairs: Sequence[Pair], term: Preference, device: torch.device) -> int:
    """Held-out pairs whose chosen answer scores more."""
    scorer = scorer_in(path, folder, term, str(device), None)
    prompts = [Prompt(id=str(place), text=pair.prompt) for place, pair in enumerate(pairs)]
    texts = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    answers = [Answer(text=text, token_count=len(text.split()), finish="eos") for text in texts]
    scores = list(scorer.score([*prompts, *prompts], answers, [()] * len(answers)))
    return sum(good > bad for good, bad in zip(scores[: len(pairs)], scores[len(pairs) :], strict=True))
