"""Gradient checkpointing: a layer's activations are computed again in the backward pass, in place of being kept.

Chen et al. 2016, arXiv:1604.06174. The same operations run twice on the same inputs, so the gradients are the same.

Not here: which layers are trained (`policy`, `critic`), how much memory it saves (`saved_activations`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class _Checkpointed(nn.Module):
    """One layer whose activations are not kept."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the family passes on
        # Nothing random happens inside a layer: dropout is off.
        return checkpoint(self.layer, *inputs, use_reentrant=False, preserve_rng_state=False, **named)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Attributes that a family reads from its layers."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)


def checkpointed(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The same layers, with their weights, for a forward pass that keeps the input of each layer alone."""
    if not torch.is_grad_enabled():
        return list(layers)
    return [_Checkpointed(layer) for layer in layers]
