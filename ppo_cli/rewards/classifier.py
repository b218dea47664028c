"""A reward term that a sequence classifier scores, with the classifier's own tokenizer and chat template.

With one label its logit is the score. With several labels the config names one, and the score is its log-odds against
all others; for two labels that is the difference of the logits. A tokenizer without a chat template gets prompt and
answer as a pair. The weights must be safetensors, and no code of the model's is run.

Not here: training one from pairs (`engine.reward_model`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from ppo_cli.errors import ConfigError, ModelError
from ppo_cli.experiment.term_types import Classifier, Preference
from ppo_cli.models.loading import choose_device, quiet_transformers
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer

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
            token_ids(path, tokenizer, prompt.text, answer.text, limit)
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


def token_ids(path: str, tokenizer: Any, prompt: str, answer: str, limit: int) -> dict[str, list[int]]:  # noqa: ANN401
    """The model inputs of one conversation; the beginning of one that is longer than the limit is left out.

    Raises:
        ModelError: the chat template fails on it.
    """
    if not tokenizer.chat_template:
        return dict(tokenizer(prompt, answer, truncation="longest_first", max_length=limit))
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    try:
        ids = tokenizer.apply_chat_template(messages, return_dict=False)[-limit:]
    except TemplateError as error:
        raise ModelError(f"{path}.model: its chat template fails: {error}.", "Use another model.") from None
    return {"input_ids": ids, "attention_mask": [1] * len(ids)}


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
            dtype=torch.float32 if device.type == "cpu" else "auto",
            output_loading_info=True,
        )
    if report["missing_keys"]:
        raise ModelError(
            f"{path}.model: {folder} is not a trained classifier: it has no {min(report['missing_keys'])}.",
            TRAIN_ONE,
        )
    if tokenizer.pad_token_id is None and model.config.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # never read: without a pad token rows are scored one by one
    elif tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(model.config.pad_token_id)
    elif model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.to(device).eval()


@contextmanager
def _readable(path: str, folder: Path) -> Iterator[None]:
    """Turns the errors of transformers, within the block, into one sentence that names the folder."""
    try:
        with quiet_transformers():
            yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, ImportError) as error:
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
