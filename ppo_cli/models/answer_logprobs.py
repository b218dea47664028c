"""Log-probabilities of given answers after given prompts; each prompt is processed once, whatever follows it.

Not here: what they are used for (`prompt_fit`), log-probabilities in training (`engine.logprobs`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ppo_cli.models.free_memory import return_free_memory
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.prefill import prefill

MAX_ROWS_PER_PASS = 64
"""Answers in one pass."""

TokenIds = Sequence[int]


@torch.inference_mode()
def answer_logprobs(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    prompts: Sequence[TokenIds],
    pairs: Sequence[tuple[int, TokenIds]],
    pad_id: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> list[torch.Tensor]:
    """The log-probability of each token of each answer, at temperature 1.

    Args:
        model: its backbone is called.
        prompts: token ids, ending where an answer begins.
        pairs: (index of a prompt, token ids of an answer after it); one prompt may have many answers.
        pad_id: fills short rows.
        progress: called with the number of pairs done.

    Returns:
        For each pair [tokens], float32, nats, on the CPU.
    """
    results: dict[int, torch.Tensor] = {}
    order = sorted(range(len(pairs)), key=lambda i: (len(prompts[pairs[i][0]]), pairs[i][0], len(pairs[i][1]), i))
    for start in range(0, len(order), MAX_ROWS_PER_PASS):
        batch = order[start : start + MAX_ROWS_PER_PASS]
        used = sorted({pairs[i][0] for i in batch}, key=lambda index: (-len(prompts[index]), index))
        answers = [pairs[i][1] for i in batch]
        rows = [used.index(pairs[i][0]) for i in batch]
        logprobs = _after_prompts(model, [prompts[index] for index in used], rows, answers, pad_id)
        results |= zip(batch, logprobs, strict=True)
        if model.device.type == "cpu":
            return_free_memory()
        progress(len(results))
    return [results[index] for index in range(len(pairs))]


def _after_prompts(
    model: Any,  # noqa: ANN401
    prompts: Sequence[TokenIds],
    rows: Sequence[int],
    answers: Sequence[TokenIds],
    pad_id: int,
) -> list[torch.Tensor]:
    """Log-probabilities of each answer after `prompts[row]`, prompts longest first."""
    width = max(map(len, answers))
    ids = torch.full((len(answers), width), pad_id, dtype=torch.long)
    for row, answer in enumerate(answers):
        ids[row, : len(answer)] = torch.tensor(answer)
    ids = ids.to(model.device)
    hidden = _hidden_before(model, prompts, rows, ids, pad_id)
    mask = torch.arange(width)[None, :] < torch.tensor([len(answer) for answer in answers])[:, None]
    mask = mask.to(model.device)
    targets, parts = ids[mask], []
    for chunk, logits in LMHead(model).chunks(hidden[mask]):
        chosen = logits.gather(1, targets[chunk].unsqueeze(1)).squeeze(1)
        parts.append(chosen - torch.logsumexp(logits, dim=-1))
    return list(torch.cat(parts).cpu().split([len(answer) for answer in answers]))


def _hidden_before(
    model: Any,  # noqa: ANN401
    prompts: Sequence[TokenIds],
    rows: Sequence[int],
    ids: torch.Tensor,
    pad_id: int,
) -> torch.Tensor:
    """Final hidden states that predict each token of the answers: [answers, tokens, width]."""
    plain = all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)
    if not plain:  # a sliding window would count padding
        return _hidden_of_whole_sequences(model, [prompts[row] for row in rows], ids)
    width = ids.shape[1]
    prefilled = prefill(model, prompts, pad_id, width, None)
    chosen = torch.tensor(rows, device=model.device)
    prefilled.cache.batch_select_indices(chosen)
    first = prefilled.hidden[chosen].unsqueeze(1)
    if width == 1:
        return first
    mask = nn.functional.pad(prefilled.mask[chosen], (0, width - 1), value=1)
    lengths = torch.tensor([len(prompts[row]) for row in rows], device=model.device)
    positions = lengths[:, None] + torch.arange(width - 1, device=model.device)[None, :]
    output = model.base_model(
        input_ids=ids[:, :-1],
        attention_mask=mask,
        position_ids=positions,
        past_key_values=prefilled.cache,
        use_cache=True,
    )
    return torch.cat([first, output.last_hidden_state], dim=1)


def _hidden_of_whole_sequences(
    model: Any,  # noqa: ANN401
    prompts: Sequence[TokenIds],
    ids: torch.Tensor,
) -> torch.Tensor:
    """The same without a cache: prompts and answers as rows that are padded on the right, which no token attends to."""
    longest = max(map(len, prompts))
    whole = torch.zeros((len(prompts), longest + ids.shape[1]), dtype=torch.long, device=ids.device)
    starts = torch.tensor([len(prompt) - 1 for prompt in prompts], device=ids.device)
    for row, prompt in enumerate(prompts):
        whole[row, : len(prompt)] = torch.tensor(prompt)
        whole[row, len(prompt) : len(prompt) + ids.shape[1]] = ids[row]
    hidden = model.base_model(input_ids=whole, use_cache=False).last_hidden_state
    positions = starts[:, None] + torch.arange(ids.shape[1], device=ids.device)[None, :]
    return hidden.gather(1, positions[:, :, None].expand(-1, -1, hidden.shape[2]))
