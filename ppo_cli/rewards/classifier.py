"""A term that a sequence classifier scores, read through its own tokenizer and chat template.

With one label its logit is the score. With several the config names one, whose log-odds against all others are the
score: of two labels the difference of their logits. A tokenizer without a chat template gets prompt and answer as a
pair. Safetensors only, and no code of the model's.

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


def classifier(path: str, term: Classifier, surroundings: RewardContext) -> Scorer:
    """A classifier from the hub or a folder as a term.

    Raises:
        UsageError: it cannot be fetched or read, or the label to score by is not clear.
    """
    if surroundings.fetch_model is None:
        raise ConfigError(f"{path}: no model can be fetched here.", "Train with this config instead.")
    folder = surroundings.fetch_model(f"{path}.model", term.model, term.revision)
    return scorer_in(path, folder, term, surroundings.device, term.label)


def reward_model_term(path: str, term: Preference, surroundings: RewardContext) -> Scorer:
    """A preference model trained here as a term.

    Raises:
        UsageError: its pairs or the model to train from cannot be used.
    """
    if surroundings.train_reward_model is None:
        raise ConfigError(f"{path}: no model can be trained here.", "Train with this config instead.")
    folder = surroundings.train_reward_model(path, term, surroundings.on_event)
    return scorer_in(path, folder, term, surroundings.device, None)


def scorer_in(path: str, folder: Path, term: Classifier | Preference, device: str, label: str | None) -> Scorer:
    """The classifier in a folder, ready to score.

    Raises:
        UsageError: it cannot be read, or the label to score by is not clear.
    """
    with _rendered(path, folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    made_for = config.architectures or []
    if made_for and not any("SequenceClassification" in name for name in made_for):
        raise ModelError(f"{path}.model: {folder} is no sequence classifier but a {made_for[0]}.", TRAIN_ONE)
    chosen = _label_index(path, config, label)
    tokenizer, model = _load(path, folder, choose_device(device))
    limit = min(term.max_tokens, _longest(tokenizer, model.config))
    batch_size = term.batch_size if model.config.pad_token_id is not None else 1

    @torch.no_grad()
    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _others: BaselineAnswers) -> list[float]:
        rows = [
            token_ids(path, tokenizer, prompt.text, answer.text, limit)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        by_length = sorted(range(len(rows)), key=lambda place: (len(rows[place]["input_ids"]), place))
        scores = [0.0] * len(rows)
        for first in range(0, len(rows), batch_size):
            places = by_length[first : first + batch_size]
            batch = tokenizer.pad([rows[place] for place in places], return_tensors="pt").to(model.device)
            logits = model(**batch).logits.float()
            for place, value in zip(places, _log_odds(logits, chosen).tolist(), strict=True):
                scores[place] = value
        return scores

    return Scorer(score)


def token_ids(path: str, tokenizer: Any, prompt: str, answer: str, limit: int) -> dict[str, list[int]]:  # noqa: ANN401
    """One conversation as the classifier reads it; of a long one the beginning is left out.

    Raises:
        ModelError: the chat template cannot render it.
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
    with _rendered(path, folder):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, padding_side="right", truncation_side="left"
        )
        model, found = AutoModelForSequenceClassification.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32 if device.type == "cpu" else "auto",
            output_loading_info=True,
        )
    if found["missing_keys"]:
        raise ModelError(
            f"{path}.model: {folder} is no trained classifier: it has no {min(found['missing_keys'])}.",
            TRAIN_ONE,
        )
    if tokenizer.pad_token_id is None and model.config.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # never seen: without a pad token rows are read one by one
    elif tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(model.config.pad_token_id)
    elif model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.to(device).eval()


@contextmanager
def _rendered(path: str, folder: Path) -> Iterator[None]:
    """A folder that transformers cannot read is told in one sentence."""
    try:
        with quiet_transformers():
            yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, ImportError) as error:
        said = str(error).strip().splitlines()
        why = said[0].rstrip(".") if said else type(error).__name__
        raise ModelError(
            f"{path}.model: {folder} cannot be read as a sequence classifier: {why}.", "Use another model."
        ) from None


def _label_index(path: str, config: Any, label: str | None) -> int:  # noqa: ANN401
    """The logit that is the score.

    Raises:
        ConfigError: there is none, or it must be named.
    """
    labels = [str(config.id2label[place]) for place in range(config.num_labels)]
    if not labels:
        raise ConfigError(f"{path}.model: it has no label, so it scores nothing.", "Use another model.")
    if label is None and len(labels) > 1:
        raise ConfigError(
            f"{path}.label: missing; the model has {len(labels)} labels ({', '.join(labels[:8])}).",
            "Name the one that a good answer gets.",
        )
    if label is not None and label not in labels:
        close = difflib.get_close_matches(label, labels, n=1, cutoff=0.4)
        hint = f"Did you mean {close[0]}?" if close else f"It has {', '.join(labels[:8])}."
        raise ConfigError(f"{path}.label: the model has no label '{label}'.", hint)
    return labels.index(label) if label is not None else 0


def _log_odds(logits: torch.Tensor, chosen: int) -> torch.Tensor:
    """[rows] from [rows, labels]: the chosen logit, less the log-sum of all others where there are any."""
    others = torch.cat([logits[:, :chosen], logits[:, chosen + 1 :]], dim=1)
    return logits[:, chosen] - others.logsumexp(dim=1) if others.shape[1] else logits[:, chosen]


def _longest(tokenizer: Any, config: Any) -> int:  # noqa: ANN401
    """Tokens that the model can read; tokenizers that do not know say a huge number."""
    return min(int(tokenizer.model_max_length), int(getattr(config, "max_position_embeddings", None) or 1 << 30))
