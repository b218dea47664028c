"""A reward model trained from pairs of answers with TRL's RewardTrainer, cached by its inputs.

A causal language model gets a new head of one label (Bradley and Terry 1952; Ouyang et al. 2022, arXiv:2203.02155).
Adapters on all layers are trained with it and merged. A fifth of the prompts is held out, always the same; whenever the
reward is opened, a notice gives the share of their pairs in which the model prefers the chosen answer.

Not here: scoring with it (`rewards.classifier`).
"""

from __future__ import annotations

import copy
import hashlib
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
from ppo_cli.errors import PromptError
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.term_types import Preference
from ppo_cli.models import loading
from ppo_cli.models.cache_dir import cached
from ppo_cli.models.cached_folder import verify_manifest, write_manifest
from ppo_cli.models.model_digests import model_digests
from ppo_cli.models.one_gpu import require_one_gpu
from ppo_cli.prompts.preference_pairs import Pair, PairFile, read_pair_file
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, Notice, Phase
from ppo_cli.rewards.classifier import scorer_in, token_ids
from ppo_cli.stats.score_intervals import wilson

TRAINING_VERSION = 3
"""Raised whenever the training below gives other weights, or its manifest other keys; it is part of the cache key."""
MANIFEST = "reward-model-manifest.json"
PROMPTS_PER_HELD_OUT = 5
"""One prompt in this many is held out."""
MIN_PAIRS = 10
"""Fewer teach nothing and leave too few to check on."""
MIN_HELD_OUT_ACCURACY = 0.65
"""Below it a warning is given: PPO exploits what such a model gets wrong. Own choice."""


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What one training of a reward model needs besides its pairs."""

    term_path: str
    term: Preference
    start: Path
    tokenizer: loading.ChatTokenizer
    """Of the start model."""
    device: torch.device
    on_event: EventHandler


def train_reward_model(
    term_path: str, term: Preference, start: Path, device: torch.device, on_event: EventHandler
) -> Path:
    """The folder of the reward model, training it the first time.

    Args:
        term_path: of the reward term in the config, for messages.
        term: the term itself.
        start: folder of the model to train from.
        device: to train and to score on.
        on_event: called with progress and the held-out accuracy.

    Raises:
        PromptError: the pairs cannot be used.
        ModelError: the model to train from cannot be used.
        IntegrityError: the cached model was changed.
        DiskFullError: no space is left.
        NoPermissionError: the cache folder may not be written.
    """
    read = read_pairs(Path(term.pairs))
    for notice in read.notices:
        on_event(Notice(text=f"{term.pairs}: {notice}"))
    pairs = read.pairs
    tokenizer = loading.load_tokenizer(start)
    settings = {
        name: getattr(term, name) for name in ("epochs", "learning_rate", "lora_r", "batch_size", "max_tokens", "seed")
    }
    key = sha256_of(
        {
            "training_version": TRAINING_VERSION,
            "start": model_digests(start, tokenizer),
            "settings": settings,
            "pairs": [pair.as_row() for pair in pairs],
            "device": device.type,
        }
    )
    target = cached("reward-models", key[:16])
    if not target.exists():
        training = _Training(
            term_path=term_path,
            term=term,
            start=start,
            tokenizer=tokenizer,
            device=device,
            on_event=on_event,
        )
        _train_into(target, pairs, training)
    manifest = verify_manifest(target, MANIFEST, "reward model")
    _report_accuracy(term_path, manifest["correct_pairs"], manifest["held_out_pairs"], on_event)
    return target


def read_pairs(file: Path) -> PairFile:
    """The pairs to train on.

    Raises:
        PromptError: names the row that cannot be used, or there are too few pairs.
    """
    read = read_pair_file(file)
    if len(read.pairs) < MIN_PAIRS:
        raise PromptError(f"{file}: {len(read.pairs)} pairs; at least {MIN_PAIRS} are needed.", "Add pairs.")
    train, held_out = split(read.pairs)
    if not train or not held_out:
        raise PromptError(f"{file}: its pairs have too few prompts to hold some out.", "Add other prompts.")
    return read


def split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and held-out pairs; the prompt alone decides, so all pairs of a prompt are on one side."""
    sides: tuple[list[Pair], list[Pair]] = ([], [])
    for pair in pairs:
        digest = int(hashlib.sha256(pair.prompt.text.encode()).hexdigest(), 16)
        sides[digest % PROMPTS_PER_HELD_OUT == 0].append(pair)
    return sides


def _report_accuracy(term_path: str, correct: int, held_out: int, on_event: EventHandler) -> None:
    accuracy = correct / held_out
    low, high = wilson(accuracy, held_out)
    text = f"{term_path}: prefers the chosen answer in {accuracy:.0%} of {held_out} held-out pairs"
    text = f"{text} [{low:.0%}, {high:.0%}]"
    if accuracy < MIN_HELD_OUT_ACCURACY:
        text = f"{text}, below {MIN_HELD_OUT_ACCURACY:.0%}: PPO will exploit what it gets wrong."
        on_event(Notice(text=text, level="warning"))
    else:
        on_event(Notice(text=f"{text}."))


def _train_into(target: Path, pairs: Sequence[Pair], training: _Training) -> None:
    """Trains and checks in a temporary folder, and renames it."""
    train, held_out = split(pairs)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        loading.writing_weights(target),
        loading.quiet_transformers(),
        quiet_datasets(),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".reward-model-", ignore_cleanup_errors=True) as work,
    ):
        tokenizer = copy.deepcopy(training.tokenizer.tokenizer)
        trained = _train(training, tokenizer, train, Path(work))
        folder = Path(work) / "model"
        trained.save_pretrained(folder, max_shard_size="100GB")
        tokenizer.save_pretrained(folder)
        write_manifest(
            folder,
            MANIFEST,
            {
                "train_pairs": len(train),
                "held_out_pairs": len(held_out),
                "correct_pairs": _count_correct(training, folder, held_out),
            },
        )
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():  # else another process has made the same folder meanwhile
                raise
            shutil.rmtree(folder, ignore_errors=True)


def _with_score_head(training: _Training) -> Any:  # noqa: ANN401
    """The start model's layers under a new head of one label."""
    tokenizer, seed = training.tokenizer, training.term.seed
    base = loading.load_model(training.start, tokenizer, training.device, torch.float32)
    config = copy.deepcopy(base.config)
    config.num_labels, config.pad_token_id = 1, tokenizer.pad_id
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).to(training.device)
    model.base_model.load_state_dict(base.base_model.state_dict())
    torch.nn.init.normal_(model.score.weight, std=1 / (model.score.weight.shape[1] + 1) ** 0.5)
    return model


def _train(training: _Training, tokenizer: Any, pairs: Sequence[Pair], work: Path) -> Any:  # noqa: ANN401
    """The trained model with its adapters merged."""
    require_one_gpu(training.device)
    model, term = _with_score_head(training), training.term
    batch_size = min(term.batch_size, len(pairs))
    steps = term.epochs * -(-len(pairs) // batch_size)
    training.on_event(Phase(name="reward model", total=steps, unit="steps"))
    layers = SplitDecoder(model, None).upper_layers
    config = lora_config(model, layers, r=term.lora_r, alpha=2 * term.lora_r)
    config.task_type, config.modules_to_save = "SEQ_CLS", ["score"]

    def ids(prompt: Prompt, answer: str) -> list[int]:
        asked = prompt.messages or prompt.text
        return token_ids(training.term_path, tokenizer, asked, answer, term.max_tokens)["input_ids"]

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
        callbacks=[StepProgress(training.on_event)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    trainer.accelerator.free_memory()
    return merged.eval()


def _count_correct(training: _Training, folder: Path, pairs: Sequence[Pair]) -> int:
    """Number of pairs whose chosen answer gets the higher score."""
    scorer = scorer_in(training.term_path, folder, training.term, str(training.device), None)
    prompts = [pair.prompt for pair in pairs]
    texts = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    answers = [Answer(text=text, token_count=len(text.split()), finish="eos") for text in texts]
    scores = list(scorer.score([*prompts, *prompts], answers, [()] * len(answers)))
    return sum(chosen > rejected for chosen, rejected in zip(scores[: len(pairs)], scores[len(pairs) :], strict=True))
