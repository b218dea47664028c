"""Decoding one token per row and step: tokens go in, the hidden states that predict the next ones come out.

The batch shrinks as rows end, which suits a CPU.

Not here: decoding on a GPU (`slot_decoder`), prompts (`prefill`), drawing tokens (`token_draw`).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache


class DynamicDecoder:
    """Each step attends to one position more than the one before; rows can be dropped."""

    def __init__(self, model: Any, cache: DynamicCache, mask: torch.Tensor, position: torch.Tensor) -> None:  # noqa: ANN401
        self._model, self._cache, self._mask, self._position = model, cache, mask, position

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        hidden = last_hidden(self._model, tokens.unsqueeze(1), self._mask, self._position, self._cache)
        self._position = self._position + 1
        return hidden

    def select(self, rows: torch.Tensor) -> None:
        """Keeps these rows only, by their indices in the batch."""
        self._cache.batch_select_indices(rows)
        self._mask, self._position = self._mask[rows], self._position[rows]


def last_hidden(
    model: Any,  # noqa: ANN401
    ids: torch.Tensor,
    mask: torch.Tensor,
    positions: torch.Tensor,
    cache: DynamicCache,
) -> torch.Tensor:
    """Final hidden states at the last position: [rows, width].

    Calls the backbone without the head: the model's own head, given one position of a frozen model, makes torch copy
    the whole vocabulary matrix once per row.

    Args:
        model: a transformers causal language model.
        ids: [rows, length] token ids that are not in the cache yet.
        mask: [rows, cached + length] 0 on padding, else 1; or a 4-dimensional mask that is added to the scores.
        positions: [rows, length].
        cache: is extended by the tokens.
    """
    out = model.base_model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    )
    return out.last_hidden_state[:, -1]
