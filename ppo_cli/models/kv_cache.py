"""Pre-allocated caches of keys and values: one that grows inside its buffers, one of fixed shape with a slot per row.

transformers' own cache copies all keys and values at every token.

Not here: decoding with them (`decoding`, `slot_decoder`), filling them with prompts (`prefill`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class PreallocatedLayer(DynamicLayer):
    """One layer's keys and values in buffers that later tokens are written into."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, max_new_tokens: int) -> None:
        """Copies the keys and values of the tokens so far.

        Args:
            keys: [rows, heads, length, width].
            values: [rows, heads, length, width].
            max_new_tokens: number of tokens that can still be written.
        """
        super().__init__()
        self.lazy_initialization(keys, values)
        self.buffers = tuple(torch.nn.functional.pad(part, (0, 0, 0, max_new_tokens)) for part in (keys, values))
        self._set_length(keys.shape[2])

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: Any,  # noqa: ANN401
        **_kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes new keys and values after the old ones; returns all so far, as views of the buffers."""
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for buffer, part in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = part
        self._set_length(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps these rows only."""
        self.buffers = tuple(buffer[indices] for buffer in self.buffers)
        self._set_length(self.get_seq_length())

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats every row."""
        self.buffers = tuple(buffer.repeat_interleave(repeats, dim=0) for buffer in self.buffers)
        self._set_length(self.get_seq_length())

    def _set_length(self, length: int) -> None:
        self.keys, self.values = (buffer[:, :, :length] for buffer in self.buffers)


class SlotLayer(DynamicLayer):
    """One layer's keys and values in buffers of fixed shape, a slot per row, returned whole at every step."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor) -> None:
        """Takes over two buffers.

        Args:
            keys: [slots, heads, length, width].
            values: [slots, heads, length, width].
            positions: [slots] index of the next token in each slot; the caller changes it in place.
        """
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values, self._positions = keys, values, positions
        self._slots = torch.arange(len(keys), device=keys.device)

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: Any,  # noqa: ANN401
        **_kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes one token's keys and values into each slot; returns the whole buffers, written positions or not."""
        self.keys[self._slots, :, self._positions] = key_states[:, :, 0]
        self.values[self._slots, :, self._positions] = value_states[:, :, 0]
        return self.keys, self.values

    def write_prompts(self, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Writes the keys and values of prompts at the start of some slots.

        Args:
            slots: [n] indices.
            keys: [n, heads, tokens, width].
            values: [n, heads, tokens, width].
        """
        self.keys[slots, :, : keys.shape[2]] = keys
        self.values[slots, :, : values.shape[2]] = values


def concatenate_caches(caches: Sequence[DynamicCache], max_new_tokens: int) -> DynamicCache:
    """One cache of all rows; shorter rows are padded in front, where the mask hides them.

    Args:
        caches: of the same model, each of some rows.
        max_new_tokens: number of tokens that can still be written.
    """
    first = caches[0]
    for index, layer in enumerate(first.layers):
        keys, values = (
            _concatenate([getattr(cache.layers[index], name) for cache in caches]) for name in ("keys", "values")
        )
        if type(layer) is DynamicLayer:
            first.layers[index] = PreallocatedLayer(keys, values, max_new_tokens)
        else:  # a sliding window drops what it has passed, and stays as the family made it
            layer.keys, layer.values = keys, values
    return first


def _concatenate(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    longest = max(part.shape[2] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, 0, longest - part.shape[2], 0)) for part in parts])
