"""Cutting a decoder in two: the frozen lower layers run once, their output feeds every pass through the upper ones.

The frozen layers give the same activations for the policy, the reference and every PPO epoch (trlX's "hydra" and
num_layers_unfrozen use the same fact). The model's own forward is kept for both halves, with its layer list
exchanged for the moment, so masks, rotary embeddings and norms stay the family's own.

Not here: which parameters are trained (`policy`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ppo_cli.errors import ModelError
from ppo_cli.models.prefill import ActivationRecorder

TOLERANCE = 1e-3
"""Largest relative difference between the cut and the whole model that passes for rounding."""


class SplitDecoder:
    """The decoder layers of a causal language model, runnable in two halves.

    Rows are padded on the right, where causal attention never looks, so no mask is needed.
    """

    def __init__(self, model: Any, trained_layers: int | None) -> None:  # noqa: ANN401 - transformers is untyped
        """Finds the layers.

        Args:
            model: a transformers causal language model.
            trained_layers: number of top layers that are trained; None means all.

        Raises:
            ModelError: there are fewer layers than that, or they cannot be found.
        """
        self.backbone = model.base_model
        count = model.config.get_text_config().num_hidden_layers
        self._owner, self._name = _find_layer_list(self.backbone, count)
        self.layers: list[nn.Module] = list(getattr(self._owner, self._name))
        if trained_layers is not None and trained_layers > count:
            raise ModelError(
                f"model.train.top_layers: the model has {count} layers, not {trained_layers}.", "Lower it."
            )
        self._first_trained = count - (trained_layers or count)
        self.cut = self._first_trained
        """Number of lower layers that are computed once; 0 means that nothing is shared."""

    @property
    def upper_layers(self) -> list[nn.Module]:
        """The trained layers."""
        return self.layers[self._first_trained :]

    def recorder(self) -> ActivationRecorder | None:
        """Overhears the activations below the cut while the model samples; None if nothing is shared."""
        return ActivationRecorder(self.layers[self.cut]) if self.cut else None

    @torch.no_grad()
    def run_lower(self, ids: torch.Tensor) -> torch.Tensor:
        """Activations below the cut: [rows, length] token ids to [rows, length, width]."""
        if self.cut == 0:
            return ids.new_zeros((*ids.shape, 0))
        capture = _Capture()
        with self._running([*self.layers[: self.cut], capture]):
            self.backbone(input_ids=ids, use_cache=False)
        if capture.seen is None:
            raise ModelError("The model's layers could not be cut in two.", "Set model.train.top_layers=null.")
        return capture.seen

    def run_upper(
        self, activations: torch.Tensor, ids: torch.Tensor, layers: Sequence[nn.Module] | None = None
    ) -> torch.Tensor:
        """Final hidden states from activations below the cut: [rows, length, width].

        Args:
            activations: what `lower` gave for these ids.
            ids: [rows, length]; used for positions only, unless nothing is shared.
            layers: stand-ins for the upper layers, for a reference with weights of its own.
        """
        upper = list(layers) if layers is not None else self.upper_layers
        between = self.layers[self.cut : self._first_trained]
        with self._running([_Inject(activations)] * self.cut + between + upper):
            return self.backbone(input_ids=ids, use_cache=False).last_hidden_state

    @torch.no_grad()
    def disable_split_if_inexact(self, ids: torch.Tensor) -> bool:
        """Compares the two halves with the whole model; on a difference gives up sharing and returns False.

        Some families hand more than the hidden states from layer to layer, which the cut would lose.
        """
        if self.cut == 0:
            return True
        whole = self.backbone(input_ids=ids, use_cache=False).last_hidden_state.float()
        try:
            halves = self.run_upper(self.run_lower(ids), ids).float()
            agrees = bool((whole - halves).abs().max() <= TOLERANCE * whole.abs().max())
        except (TypeError, ValueError, RuntimeError, AttributeError, ModelError):
            agrees = False
        if not agrees:
            self.cut = 0
        return agrees

    @contextmanager
    def with_upper_layers(self, upper: Sequence[nn.Module]) -> Iterator[None]:
        """Makes the whole model run with other upper layers."""
        with self._running([*self.layers[: self._first_trained], *upper]):
            yield

    @contextmanager
    def _running(self, layers: Sequence[nn.Module]) -> Iterator[None]:
        """Runs the model's own forward over other layers."""
        whole = getattr(self._owner, self._name)
        setattr(self._owner, self._name, nn.ModuleList(layers))
        try:
            yield
        finally:
            setattr(self._owner, self._name, whole)


class _Capture(nn.Module):
    """Stands after the lower layers and keeps what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        self.seen = hidden
        return hidden


class _Inject(nn.Module):
    """Stands in for a lower layer and gives activations computed before, whatever reaches it."""

    def __init__(self, activations: torch.Tensor) -> None:
        super().__init__()
        self.activations = activations

    def forward(self, _hidden: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        return self.activations


def _find_layer_list(backbone: nn.Module, count: int) -> tuple[nn.Module, str]:
    for owner in backbone.modules():
        for name, child in owner.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                return owner, name
    raise ModelError(f"No list of {count} decoder layers was found in the model.", "Use another model family.")
