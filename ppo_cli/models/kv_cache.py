"""Keys and values of the tokens read so far, with room for those still to come.

transformers' own cache copies all of them at every token.

Not here: sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class PreallocatedLayer(DynamicLayer):
    """One layer's keys and values in buffers that later tokens are written into."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, room: int) -> None:
        """Copies what is there.

        Args:
            keys: [rows, heads, length, width].
            values: [rows, heads, length, width].
            room: number of tokens still to come.
        """
        super().__init__()
        self.lazy_initialization(keys, values)
        self.buffers = tuple(torch.nn.functional.pad(part, (0, 0, 0, room)) for part in (keys, values))
        self._show(keys.shape[2])

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: Any,  # noqa: ANN401
        **_kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes new keys and values after the old, and gives all of them: views of the buffers."""
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for buffer, part in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = part
        self._show(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps these rows only."""
        self.buffers = tuple(buffer[indices] for buffer in self.buffers)
        self._show(self.get_seq_length())

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats every row."""
        self.buffers = tuple(buffer.repeat_interleave(repeats, dim=0) for buffer in self.buffers)
        self._show(self.get_seq_length())

    def _show(self, length: int) -> None:
        self.keys, self.values = (buffer[:, :, :length] for buffer in self.buffers)


class StaticLayer(DynamicLayer):
    """The same buffers shown whole at every step, so that all shapes stay; the next token goes where `place` says."""

    def __init__(self, layer: PreallocatedLayer, place: torch.Tensor) -> None:
        """Takes over a layer.

        Args:
            layer: holds the prompts, with room for the answers.
            place: [1] index of the next token, which whoever holds it moves on.
        """
        super().__init__()
        keys, values = layer.buffers
        self.lazy_initialization(keys, values)
        self.keys, self.values, self._place = keys, values, place

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: Any,  # noqa: ANN401
        **_kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes one token's keys and values, and gives all places, written or not."""
        self.keys.index_copy_(2, self._place, key_states)
        self.values.index_copy_(2, self._place, value_states)
        return self.keys, self.values


def concatenate_caches(caches: Sequence[DynamicCache], room: int) -> DynamicCache:
    """One cache of all rows: the shorter ones are padded in front, where the mask hides them.

    Args:
        caches: of the same model, each of some rows.
        room: number of tokens still to come.
    """
    first = caches[0]
    for place, layer in enumerate(first.layers):
        keys, values = (
            _stacked([getattr(cache.layers[place], name) for cache in caches]) for name in ("keys", "values")
        )
        if type(layer) is DynamicLayer:
            first.layers[place] = PreallocatedLayer(keys, values, room)
        else:  # a sliding window drops what it has passed, and stays as the family made it
            layer.keys, layer.values = keys, values
    return first


def _stacked(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    longest = max(part.shape[2] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, 0, longest - part.shape[2], 0)) for part in parts])
