"""Reading prompts before answers are drawn: each goes through the model once, and what all begin with once for all.

Not here: drawing answers (`sampling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ppo_cli.models.decoding import last_hidden
from ppo_cli.models.kv_cache import concatenate_caches

MAX_PROMPTS_PER_PASS = 16
"""Prompts of like length that are read side by side, so that little of it is padding."""
MIN_SHARED_TOKENS = 8
"""Tokens that all prompts must begin with for these to be read apart: fewer cost more than they save."""


class ActivationRecorder:
    """Overhears what reaches one layer of a model while the model samples."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self.activations = torch.empty(0)
        """[rows, length, width] of the last pass."""

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Listens for the length of the block."""
        hook = self._layer.register_forward_pre_hook(self._record, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _record(self, _layer: nn.Module, words: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.activations = words[0] if words else named["hidden_states"]


@dataclass(frozen=True)
class PrefilledPrompts:
    """Prompts that have been read, aligned at their ends."""

    cache: DynamicCache
    hidden: torch.Tensor
    """[prompts, width], the final hidden states that predict the first token of each answer."""
    mask: torch.Tensor
    """[prompts, longest], 1 on what is no padding."""
    activations: list[torch.Tensor]
    """What the tap heard of each prompt, [its length, width]; empty without a tap."""


@dataclass(frozen=True)
class SharedPrefix:
    """What all prompts begin with, read once; it may be nothing."""

    length: int
    cache: DynamicCache
    activations: torch.Tensor


def prefill(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    prompts: Sequence[Sequence[int]],
    pad_id: int,
    room: int,
    tap: ActivationRecorder | None,
) -> PrefilledPrompts:
    """Runs the prompts through the model, a few of like length at a time.

    Args:
        model: its backbone is called.
        prompts: longest first.
        pad_id: stands before the shorter ones.
        room: tokens of an answer that the cache is to have room for.
        tap: listens.
    """
    beginning = _read_shared_prefix(model, prompts, tap)
    caches, hidden, masks, heard = [], [], [], []
    for start in range(0, len(prompts), MAX_PROMPTS_PER_PASS):
        group = [prompt[beginning.length :] for prompt in prompts[start : start + MAX_PROMPTS_PER_PASS]]
        width = max(map(len, group))
        ids = torch.full((len(group), width), pad_id, dtype=torch.long)
        mask = torch.zeros((len(group), width), dtype=torch.long)
        for row, prompt in enumerate(group):
            ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
            mask[row, width - len(prompt) :] = 1
        mask = nn.functional.pad(mask, (beginning.length, 0), value=1)
        ids, mask = ids.to(model.device), mask.to(model.device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, beginning.length :]
        caches.append(_copied(beginning.cache, len(group), model.config))
        hidden.append(last_hidden(model, ids, mask, positions, caches[-1]))
        masks.append(mask)
        if tap:
            heard += [
                torch.cat([beginning.activations, tap.activations[row, width - len(prompt) :]])
                for row, prompt in enumerate(group)
            ]
    longest = masks[0].shape[1]
    whole = torch.cat([nn.functional.pad(mask, (longest - mask.shape[1], 0)) for mask in masks])
    return PrefilledPrompts(concatenate_caches(caches, room), torch.cat(hidden), whole, heard)


def _read_shared_prefix(model: Any, prompts: Sequence[Sequence[int]], tap: ActivationRecorder | None) -> SharedPrefix:  # noqa: ANN401
    """Reads what all prompts begin with, short of the last token of the shortest."""
    cache = DynamicCache(config=model.config)
    slides = any(type(layer) is not DynamicLayer for layer in cache.layers)  # its window would count padding
    alike = (len(set(column)) == 1 for column in zip(*(prompt[:-1] for prompt in prompts), strict=False))
    common = sum(1 for _ in takewhile(bool, alike))
    if common >= MIN_SHARED_TOKENS and len(prompts) > 1 and not slides:
        ids = torch.tensor([prompts[0][:common]], device=model.device)
        positions = torch.arange(common, device=model.device).unsqueeze(0)
        last_hidden(model, ids, torch.ones_like(ids), positions, cache)
        return SharedPrefix(common, cache, tap.activations[0] if tap else torch.empty(0))
    nothing = torch.empty(0, model.config.hidden_size, dtype=model.dtype, device=model.device)
    return SharedPrefix(0, cache, nothing)


def _copied(cache: DynamicCache, rows: int, config: Any) -> DynamicCache:  # noqa: ANN401
    """A cache of so many rows from one of a single row."""
    copies = DynamicCache(config=config)
    for number, layer in enumerate(cache.layers):
        if layer.is_initialized:
            copies.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), number)
    return copies
