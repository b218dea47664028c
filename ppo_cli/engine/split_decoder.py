"""A decoder split in two: the frozen lower layers run once, their output feeds every pass through the upper ones.

The frozen layers give the same activations for the policy, the reference and every PPO epoch (trlX's "hydra" and
num_layers_unfrozen use the same fact). Both halves run the model's own forward with its list of layers exchanged for
the time of the pass, so masks, rotary embeddings and norms stay those of the model family.

Not here: which parameters are trained (`policy`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ppo_cli.errors import ModelError
from ppo_cli.models.activation_recorder import ActivationRecorder

TOLERANCE = 1e-3
"""Largest relative difference between the split and the whole model that counts as rounding."""


class SplitDecoder:
    """The decoder layers of a causal language model, runnable in two halves.

    Rows are padded on the right, which causal attention never reads, so no mask is needed.
    """

    def __init__(self, model: Any, trained_layers: int | None) -> None:  # noqa: ANN401 - transformers is untyped
        """Finds the layers.

        Args:
            model: a transformers causal language model.
            trained_layers: number of top layers that are trained; None means all.

        Raises:
            ModelError: the model has fewer layers, or they cannot be found.
        """
        self.backbone = model.base_model
        count = model.config.get_text_config().num_hidden_layers
        self._owner, self._name = _find_layer_list(self.backbone, count)
        self.layers: list[nn.Module] = list(getattr(self._owner, self._name))
        if trained_layers is not None and trained_layers > count:
            message = f"model.train.top_layers: the model has {count} layers, not {trained_layers}."
            raise ModelError(message, "Lower it.")
        self.first_trained = count - (trained_layers or count)
        """Number of lower layers that are frozen."""
        self.split_at = self.first_trained
        """Number of lower layers that run once; 0 means that every pass runs all layers."""

    @property
    def upper_layers(self) -> list[nn.Module]:
        """The trained layers."""
        return self.layers[self.first_trained :]

    def recorder(self) -> ActivationRecorder | None:
        """Records the activations below the split while the model samples; None if every pass runs all layers."""
        running: Sequence[nn.Module] = getattr(self._owner, self._name)
        return ActivationRecorder(running[self.split_at]) if self.split_at else None

    @torch.no_grad()
    def run_lower(self, ids: torch.Tensor) -> torch.Tensor:
        """Activations below the split: [rows, length] token ids to [rows, length, width].

        Raises:
            ModelError: the layers cannot be split.
        """
        if self.split_at == 0:
            return ids.new_zeros((*ids.shape, 0))
        capture = _Capture()
        with self.with_layers([*self.layers[: self.split_at], capture]):
            self.backbone(input_ids=ids, use_cache=False)
        if capture.hidden is None:
            raise ModelError("The model's layers cannot be split in two.", "Set model.train.top_layers=null.")
        return capture.hidden

    def run_upper(
        self, activations: torch.Tensor, ids: torch.Tensor, layers: Sequence[nn.Module] | None = None
    ) -> torch.Tensor:
        """Final hidden states from activations below the split: [rows, length, width].

        Args:
            activations: [rows, length, width] that `run_lower` gave for these ids.
            ids: [rows, length]; used for positions only, unless every pass runs all layers.
            layers: replace the upper layers, for a reference or a critic with weights of its own.
        """
        upper = list(layers) if layers is not None else self.upper_layers
        between = self.layers[self.split_at : self.first_trained]
        with self.with_layers([_Inject(activations)] * self.split_at + between + upper):
            return self.backbone(input_ids=ids, use_cache=False).last_hidden_state

    @torch.no_grad()
    def disable_split_if_inexact(self, ids: torch.Tensor) -> bool:
        """Compares the two halves with the whole model; on a difference every pass runs all layers from then on.

        Some families pass more than the hidden states from layer to layer, which the split would lose.

        Args:
            ids: [rows, length] token ids to compare on.

        Returns:
            Whether the halves give what the whole model gives.
        """
        if self.split_at == 0:
            return True
        whole = self.backbone(input_ids=ids, use_cache=False).last_hidden_state.float()
        try:
            halves = self.run_upper(self.run_lower(ids), ids).float()
            exact = bool((whole - halves).abs().max() <= TOLERANCE * whole.abs().max())
        except (TypeError, ValueError, RuntimeError, AttributeError, ModelError):
            exact = False
        if not exact:
            self.split_at = 0
        return exact

    @contextmanager
    def with_upper_layers(self, upper: Sequence[nn.Module]) -> Iterator[None]:
        """Makes the whole model run with other upper layers inside the block."""
        with self.with_layers([*self.layers[: self.first_trained], *upper]):
            yield

    @contextmanager
    def with_layers(self, layers: Sequence[nn.Module]) -> Iterator[None]:
        """Makes the whole model run with another list of layers inside the block."""
        original = getattr(self._owner, self._name)
        setattr(self._owner, self._name, nn.ModuleList(layers))
        try:
            yield
        finally:
            setattr(self._owner, self._name, original)


class _Capture(nn.Module):
    """Follows the lower layers and keeps their output."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        self.hidden = hidden
        return hidden


class _Inject(nn.Module):
    """Replaces a lower layer: ignores its input and returns activations computed before."""

    def __init__(self, activations: torch.Tensor) -> None:
        super().__init__()
        self.activations = activations

    def forward(self, _hidden: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        return self.activations


def _find_layer_list(backbone: nn.Module, count: int) -> tuple[nn.Module, str]:
    """The module that holds the decoder layers, and the name of its list."""
    for owner in backbone.modules():
        for name, child in owner.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                return owner, name
    raise ModelError(f"No list of {count} decoder layers was found in the model.", "Use another model family.")
