"""Recording the inputs of one layer of a model while the model samples.

Not here: which layer (`engine.split_decoder`), sampling (`sampling`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class ActivationRecorder:
    """Holds what the last pass gave to one layer."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self.activations = torch.empty(0)
        """[rows, length, width] input of the layer in the last pass."""

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records every pass inside the block, by a forward pre-hook."""
        hook = self._layer.register_forward_pre_hook(self._record, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _record(self, _layer: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.activations = positional[0] if positional else named["hidden_states"]
