"""A reward term that a sequence classifier scores, with the classifier's own tokenizer and chat template.

With one label its logit is the score. With several labels the config names one, and the score is its log-odds against
all others; for two labels that is the difference of the logits. A tokenizer without a chat template gets prompt and
answer as a pair; one that does not mark pairs, as that of a decoder, gets a blank line between them and its end token.
The weights must be safetensors, and no code of the model's is run.

Not here: training one from pairs (`engine.reward_model`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from ppo_cli.errors import ConfigError, ModelError
from ppo_cli.experiment.term_types import Classifier, Preference
from ppo_cli.models.control_tokens import encode_chat, found_control_tokens
from ppo_cli.models.device import choose_device
from ppo_cli.models.folder_checks import (
    raise_known_reason,
    require_finite_weights,
    require_matching_weights,
    require_plain_weights,
)
from ppo_cli.models.loading import quiet_transformers
from ppo_cli.records.answers import Answer, ChatMessage, Prompt, transcript
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer

SEPARATOR = "\n\n"
"""Stands between prompt and answer for a tokenizer with neither a chat template nor a mark of its own."""
HEAD = re.compile(r"(score|classifier|classification_head|pooler|pre_classifier|summary)\b")
TRAIN_ONE = "Use a reward model, or train one with type: preference."


def classifier(path: str, term: Classifier, context: RewardContext) -> Scorer:
    """A classifier from the hub or a folder as a term.

    Raises:
        UsageError: it cannot be fetched or read, or the label to score by is not clear.
    """
    if context.fetch_model is None:
        raise ConfigError(
            f"{path}: this command fetches no reward model.", "Use the command `train`, `sft-check` or `reward`."
        )
    folder = context.fetch_model(f"{path}.model", term.model, term.revision)
    return scorer_in(path, folder, term, context.device, term.label)


def reward_model_term(path: str, term: Preference, context: RewardContext) -> Scorer:
    """A preference model trained here as a term.

    Raises:
        UsageError: its pairs or the model to train from cannot be used.
    """
    if context.train_reward_model is None:
        raise ConfigError(
            f"{path}: this command trains no reward model.", "Use the command `train`, `sft-check` or `reward`."
        )
    folder = context.train_reward_model(path, term, context.on_event)
    return scorer_in(path, folder, term, context.device, None)


def scorer_in(path: str, folder: Path, term: Classifier | Preference, device: str, label: str | None) -> Scorer:
    """The classifier in a folder, ready to score.

    Raises:
        UsageError: it cannot be read, or the label to score by is not clear.
    """
    with _under(path):
        require_plain_weights(folder)
    with _readable(path, folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    architectures = config.architectures or []
    if architectures and not any("SequenceClassification" in name for name in architectures):
        raise ModelError(f"{path}.model: {folder} is not a sequence classifier but a {architectures[0]}.", TRAIN_ONE)
    label_index = _label_index(path, config, label)
    tokenizer, model = _load(path, folder, choose_device(device))
    limit = min(term.max_tokens, _longest(tokenizer, model.config))
    batch_size = term.batch_size if model.config.pad_token_id is not None else 1

    @torch.no_grad()
    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _baseline: BaselineAnswers) -> list[float]:
        rows = [
            token_ids(path, tokenizer, prompt.messages or prompt.text, answer.text, limit)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        by_length = sorted(range(len(rows)), key=lambda index: (len(rows[index]["input_ids"]), index))
        scores = [0.0] * len(rows)
        for first in range(0, len(rows), batch_size):
            indices = by_length[first : first + batch_size]
            batch = tokenizer.pad([rows[index] for index in indices], return_tensors="pt").to(model.device)
            logits = model(**batch).logits.float()
            for index, value in zip(indices, _log_odds(logits, label_index).tolist(), strict=True):
                scores[index] = value
        return scores

    return Scorer(score)


def token_ids(
    path: str,
    tokenizer: Any,  # noqa: ANN401 - transformers is untyped here
    prompt: str | Sequence[ChatMessage],
    answer: str,
    limit: int,
) -> dict[str, list[int]]:
    """The model inputs of one conversation; the beginning of one that is longer than the limit is left out.

    Raises:
        ModelError: the chat template fails on it.
    """
    text = prompt if isinstance(prompt, str) else transcript(prompt)
    if not tokenizer.chat_template:
        as_text = {"split_special_tokens": True} if found_control_tokens(tokenizer, [text, answer]) else {}
        if _marks_pairs(tokenizer):
            return dict(tokenizer(text, answer, truncation="longest_first", max_length=limit, **as_text))
        ids = tokenizer(f"{text}{SEPARATOR}{answer}", **as_text)["input_ids"]
        ids = [*ids, tokenizer.eos_token_id][-limit:] if tokenizer.eos_token_id is not None else ids[-limit:]
        return {"input_ids": ids, "attention_mask": [1] * len(ids)}
    turns = [ChatMessage(role="user", content=prompt)] if isinstance(prompt, str) else prompt
    messages = [*turns, ChatMessage(role="assistant", content=answer)]
    try:
        ids = encode_chat(tokenizer, messages, add_generation_prompt=False)[-limit:]
    except Exception as error:  # noqa: BLE001 - a template is a program, and raises what it likes
        raise ModelError(f"{path}.model: its chat template fails: {error}.", "Use another model.") from None
    return {"input_ids": ids, "attention_mask": [1] * len(ids)}


def _marks_pairs(tokenizer: Any) -> bool:  # noqa: ANN401
    """Whether a tokenizer shows where the first text of a pair ends, as those of encoders do with [SEP]."""
    return tokenizer("a", "b")["input_ids"][-1] in tokenizer.all_special_ids


def _load(path: str, folder: Path, device: torch.device) -> tuple[Any, Any]:
    with _readable(path, folder):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, padding_side="right", truncation_side="left"
        )
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype="auto" if device.type == "cuda" else torch.float32,
            output_loading_info=True,
        )
    if report["missing_keys"] and all(HEAD.match(name) for name in report["missing_keys"]):
        raise ModelError(
            f"{path}.model: {folder} is not a trained classifier: it has no {min(report['missing_keys'])}.",
            TRAIN_ONE,
        )
    with _under(path):
        require_matching_weights(report, folder, classifier=True)
        require_finite_weights(model, folder)
    _agree_on_pad(path, folder, tokenizer, model)
    return tokenizer, model.to(device).eval()


def _agree_on_pad(path: str, folder: Path, tokenizer: Any, model: Any) -> None:  # noqa: ANN401
    """Makes tokenizer and model pad with one token: a decoder scores at the last token that is not the model's pad.

    The model's own goes first, so that a row gets the score in a batch that it gets alone.

    Raises:
        ModelError: no pad token of either has an embedding.
    """
    ids = tokenizer.pad_token_id, model.config.pad_token_id
    if ids == (None, None):
        tokenizer.pad_token = tokenizer.eos_token  # never read: without a pad token rows are scored one by one
        return
    rows = model.get_input_embeddings().weight.shape[0]
    for pad in reversed(ids):
        token = tokenizer.convert_ids_to_tokens(pad) if pad is not None and 0 <= pad < rows else None
        if token is not None:
            tokenizer.pad_token, model.config.pad_token_id = token, pad
            return
    raise ModelError(
        f"{path}.model: {folder} pads with token {ids[0]} or {ids[1]}, and has embeddings for {rows} tokens only.",
        "Use the tokenizer that belongs to this model.",
    )


@contextmanager
def _under(path: str) -> Iterator[None]:
    """Errors of a model within the block name the reward's key that asked for it."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path}.model: {error.message}", error.next_step) from None


@contextmanager
def _readable(path: str, folder: Path) -> Iterator[None]:
    """Turns the errors of transformers, within the block, into one sentence that names the folder."""
    try:
        with quiet_transformers():
            yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - transformers raises whatever a broken file leads to
        with _under(path):
            raise_known_reason(error, folder, classifier=True)
        lines = str(error).strip().splitlines()
        why = lines[0].rstrip(".") if lines else type(error).__name__
        raise ModelError(
            f"{path}.model: {folder} cannot be read as a sequence classifier: {why}.", "Use another model."
        ) from None


def _label_index(path: str, config: Any, label: str | None) -> int:  # noqa: ANN401
    """Index of the label that is scored.

    Raises:
        ConfigError: the model has no label, or the config must name one.
    """
    labels = [str(config.id2label[index]) for index in range(config.num_labels)]
    if not labels:
        raise ConfigError(f"{path}.model: it has no label, so it gives no score.", "Use another model.")
    if label is None and len(labels) > 1:
        raise ConfigError(
            f"{path}.label: missing; the model has {len(labels)} labels ({', '.join(labels[:8])}).",
            "Name the label of a good answer.",
        )
    if label is not None and label not in labels:
        close = difflib.get_close_matches(label, labels, n=1, cutoff=0.4)
        hint = f"Did you mean {close[0]}?" if close else f"It has {', '.join(labels[:8])}."
        raise ConfigError(f"{path}.label: the model has no label '{label}'.", hint)
    return labels.index(label) if label is not None else 0


def _log_odds(logits: torch.Tensor, label: int) -> torch.Tensor:
    """[rows] from [rows, labels]: the label's logit minus the logsumexp of all others, if there are any."""
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1)
    return logits[:, label] - others.logsumexp(dim=1) if others.shape[1] else logits[:, label]


def _longest(tokenizer: Any, config: Any) -> int:  # noqa: ANN401
    """Longest input in tokens; a tokenizer without a limit states a huge number."""
    return min(int(tokenizer.model_max_length), int(getattr(config, "max_position_embeddings", None) or 1 << 30))
