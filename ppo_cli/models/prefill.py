"""Prompt prefill: runs each prompt through the model once, and the tokens that all of them begin with once for all.

Not here: drawing answers (`sampling`), the cache's buffers (`kv_cache`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.decoding import last_hidden
from ppo_cli.models.kv_cache import concatenate_caches

MAX_PROMPTS_PER_PASS = 16
"""Prompts of similar length in one pass, so that little of it is padding."""
MIN_SHARED_TOKENS = 8
"""A shorter common prefix is not worth a pass of its own."""


@dataclass(frozen=True)
class PrefilledPrompts:
    """Prompts that the model has processed, aligned at their ends."""

    cache: DynamicCache
    hidden: torch.Tensor
    """[prompts, width] final hidden states that predict the first token of each answer."""
    mask: torch.Tensor
    """[prompts, longest] 0 on padding, else 1."""
    activations: list[torch.Tensor]
    """Of each prompt, [its length, width] inputs of the recorded layer; empty without a recorder."""


@dataclass(frozen=True)
class SharedPrefix:
    """The tokens that all prompts begin with, processed once; perhaps none."""

    length: int
    """Tokens."""
    cache: DynamicCache
    activations: torch.Tensor
    """[length, width] inputs of the recorded layer."""


def prefill(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    prompts: Sequence[Sequence[int]],
    pad_id: int,
    max_new_tokens: int,
    recorder: ActivationRecorder | None,
) -> PrefilledPrompts:
    """Runs the prompts through the model, a few of similar length at a time.

    Args:
        model: its backbone is called.
        prompts: token ids, longest prompt first.
        pad_id: precedes the shorter prompts.
        max_new_tokens: of an answer; the cache is allocated for them.
        recorder: records the inputs of its layer.
    """
    prefix = _prefill_shared_prefix(model, prompts, recorder)
    caches, hidden, masks, activations = [], [], [], []
    for start in range(0, len(prompts), MAX_PROMPTS_PER_PASS):
        group = [prompt[prefix.length :] for prompt in prompts[start : start + MAX_PROMPTS_PER_PASS]]
        width = max(map(len, group))
        ids = torch.full((len(group), width), pad_id, dtype=torch.long)
        mask = torch.zeros((len(group), width), dtype=torch.long)
        for row, prompt in enumerate(group):
            ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
            mask[row, width - len(prompt) :] = 1
        mask = nn.functional.pad(mask, (prefix.length, 0), value=1)
        ids, mask = ids.to(model.device), mask.to(model.device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, prefix.length :]
        caches.append(_repeat_rows(prefix.cache, len(group), model.config))
        hidden.append(last_hidden(model, ids, mask, positions, caches[-1]))
        masks.append(mask)
        if recorder:
            activations += [
                torch.cat([prefix.activations, recorder.activations[row, width - len(prompt) :]])
                for row, prompt in enumerate(group)
            ]
    longest = masks[0].shape[1]
    whole_mask = torch.cat([nn.functional.pad(mask, (longest - mask.shape[1], 0)) for mask in masks])
    return PrefilledPrompts(concatenate_caches(caches, max_new_tokens), torch.cat(hidden), whole_mask, activations)


def _prefill_shared_prefix(
    model: Any,  # noqa: ANN401
    prompts: Sequence[Sequence[int]],
    recorder: ActivationRecorder | None,
) -> SharedPrefix:
    """Processes the tokens that all prompts begin with, without the last token of the shortest prompt."""
    cache = DynamicCache(config=model.config)
    has_window = any(type(layer) is not DynamicLayer for layer in cache.layers)  # a window would count padding
    alike = (len(set(column)) == 1 for column in zip(*(prompt[:-1] for prompt in prompts), strict=False))
    common = sum(1 for _ in takewhile(bool, alike))
    if common >= MIN_SHARED_TOKENS and len(prompts) > 1 and not has_window:
        ids = torch.tensor([prompts[0][:common]], device=model.device)
        positions = torch.arange(common, device=model.device).unsqueeze(0)
        last_hidden(model, ids, torch.ones_like(ids), positions, cache)
        return SharedPrefix(common, cache, recorder.activations[0] if recorder else torch.empty(0))
    nothing = torch.empty(0, model.config.hidden_size, dtype=model.dtype, device=model.device)
    return SharedPrefix(0, cache, nothing)


def _repeat_rows(cache: DynamicCache, rows: int, config: Any) -> DynamicCache:  # noqa: ANN401
    """A cache of several equal rows from one of a single row."""
    copies = DynamicCache(config=config)
    for index, layer in enumerate(cache.layers):
        if layer.is_initialized:
            copies.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), index)
    return copies
