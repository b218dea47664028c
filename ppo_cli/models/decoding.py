"""Decoding one token per row and step: tokens go in, the hidden states that predict the next ones come out.

On a CPU the batch shrinks as rows end. On a GPU a step of a small model takes less time than launching its hundreds of
kernels, so there all shapes stay fixed, and the step is captured once per batch as a CUDA graph and replayed.

Not here: prompts (`prefill`), drawing tokens (`sampling`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from transformers import DynamicCache

from ppo_cli.models.kv_cache import PreallocatedLayer, StaticLayer

WARM_UP_STEPS = 3
"""Before a step is captured, so that libraries have set up what cannot be set up during a capture."""


class Decoder(Protocol):
    """Decodes one batch, one token per step."""

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Appends one token to each row, [rows]; returns the final hidden states [rows, width]."""


def make_decoder(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    cache: DynamicCache,
    mask: torch.Tensor,
    position: torch.Tensor,
    max_new_tokens: int,
) -> Decoder:
    """The decoder for the device and the model family.

    Args:
        model: its backbone is called.
        cache: of the prompts.
        mask: [rows, length] 0 on padding, else 1.
        position: [rows, 1] of the next token in each row.
        max_new_tokens: number of steps at most.
    """
    if mask.is_cuda and all(type(layer) is PreallocatedLayer for layer in cache.layers):
        return GraphDecoder(model, cache, mask, position, max_new_tokens)
    return DynamicDecoder(model, cache, mask, position)


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


class GraphDecoder:
    """Every step attends to all positions of the buffers; the mask hides those not written yet.

    A step overwrites the hidden states that the step before returned.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        cache: DynamicCache,
        mask: torch.Tensor,
        position: torch.Tensor,
        max_new_tokens: int,
    ) -> None:
        rows, length = mask.shape
        self._model, self._position = model, position.clone()
        self._tokens = position.new_zeros(rows, 1)
        self._buffer_position = torch.tensor([length], device=mask.device)
        hidden = torch.finfo(model.dtype).min
        visible = torch.nn.functional.pad(mask, (0, max_new_tokens)).bool()[:, None, None, :]
        self._mask = torch.zeros(visible.shape, dtype=model.dtype, device=mask.device).masked_fill_(~visible, hidden)
        for index, layer in enumerate(cache.layers):
            cache.layers[index] = StaticLayer(layer, self._buffer_position)
        self._cache = cache
        self._run_step = self._capture_and_run if mask.is_cuda else self._run

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        self._tokens.copy_(tokens.unsqueeze(1))
        self._mask.index_fill_(3, self._buffer_position, 0.0)
        hidden = self._run_step()
        self._position += 1
        self._buffer_position += 1
        return hidden

    def _run(self) -> torch.Tensor:
        return last_hidden(self._model, self._tokens, self._mask, self._position, self._cache)

    def _capture_and_run(self) -> torch.Tensor:
        """Captures the first step; later ones replay it."""
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(WARM_UP_STEPS):  # each writes the same keys to the same position
                self._run()
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            hidden = self._run()
        self._run_step = _replay(graph, hidden)
        return self._run_step()


def _replay(graph: torch.cuda.CUDAGraph, hidden: torch.Tensor) -> Callable[[], torch.Tensor]:
    def step() -> torch.Tensor:
        graph.replay()
        return hidden

    return step


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
