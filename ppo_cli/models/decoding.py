"""One decoding step after another: a token a row goes in, the hidden states that predict the next come out.

On a CPU the batch shrinks as rows end. On a GPU a step of a small model is over sooner than its hundreds of kernels
can be launched, so there all shapes stay fixed and the step is recorded once a batch as a CUDA graph and replayed.

Not here: reading prompts, drawing tokens (`sampling`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from transformers import DynamicCache

from ppo_cli.models.kv_cache import PreallocatedLayer, StaticLayer

WARM_UP = 3
"""Steps that are run before one is recorded, so that libraries have set up what may not be set up in a recording."""


class Decoder(Protocol):
    """Decoding of one batch, one token at a time."""

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """Appends one token to each row, [rows]; gives the final hidden states [rows, width]."""


def make_decoder(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    cache: DynamicCache,
    mask: torch.Tensor,
    position: torch.Tensor,
    room: int,
) -> Decoder:
    """The way of decoding that suits the device and the family.

    Args:
        model: its backbone is called.
        cache: of the prompts.
        mask: [rows, length] 1 on what is no padding.
        position: [rows, 1] of the next token in each row.
        room: number of tokens still to come.
    """
    fixed = mask.is_cuda and all(type(layer) is PreallocatedLayer for layer in cache.layers)
    return GraphDecoder(model, cache, mask, position, room) if fixed else DynamicDecoder(model, cache, mask, position)


class DynamicDecoder:
    """Each step attends to one place more than the one before; rows may leave."""

    def __init__(self, model: Any, cache: DynamicCache, mask: torch.Tensor, position: torch.Tensor) -> None:  # noqa: ANN401
        self._model, self._cache, self._mask, self._position = model, cache, mask, position

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        hidden = last_hidden(self._model, tokens.unsqueeze(1), self._mask, self._position, self._cache)
        self._position = self._position + 1
        return hidden

    def keep(self, rows: torch.Tensor) -> None:
        """Keeps these rows only, by their places in the batch."""
        self._cache.batch_select_indices(rows)
        self._mask, self._position = self._mask[rows], self._position[rows]


class GraphDecoder:
    """Every step attends to all places there will be, those not written yet hidden by the mask.

    The hidden states that a step gives are written over by the next.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        cache: DynamicCache,
        mask: torch.Tensor,
        position: torch.Tensor,
        room: int,
    ) -> None:
        rows, length = mask.shape
        self._model, self._position = model, position.clone()
        self._tokens = position.new_zeros(rows, 1)
        self._place = torch.tensor([length], device=mask.device)
        hidden = torch.finfo(model.dtype).min
        seen = torch.nn.functional.pad(mask, (0, room)).bool()[:, None, None, :]
        self._mask = torch.zeros(seen.shape, dtype=model.dtype, device=mask.device).masked_fill_(~seen, hidden)
        for number, layer in enumerate(cache.layers):
            cache.layers[number] = StaticLayer(layer, self._place)
        self._cache = cache
        self._step = self._recorded if mask.is_cuda else self._run

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        self._tokens.copy_(tokens.unsqueeze(1))
        self._mask.index_fill_(3, self._place, 0.0)
        hidden = self._step()
        self._position += 1
        self._place += 1
        return hidden

    def _run(self) -> torch.Tensor:
        return last_hidden(self._model, self._tokens, self._mask, self._position, self._cache)

    def _recorded(self) -> torch.Tensor:
        """Runs the first step and records it; later ones are replayed."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):  # each writes the same keys to the same place
                self._run()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            hidden = self._run()
        self._step = _replay(graph, hidden)
        return self._step()


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
    """Final hidden states at the last place: [rows, width].

    Through the backbone, and the head apart: the model's own head, given one position of a frozen model, lets
    torch copy the whole vocabulary matrix once a row.
    """
    out = model.base_model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    )
    return out.last_hidden_state[:, -1]
