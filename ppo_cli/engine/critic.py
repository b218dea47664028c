"""The critic: a small head on final hidden states, and whose those are.

    head     the reference's. They are frozen, so the critic's inputs are computed once an update, and training it
             costs next to nothing.
    layers   its own: a trained copy of the layers that the policy trains, on the shared frozen lower ones.

Either way the critic shares no trained weight with the policy and cannot disturb it.

Not here: returns, losses (`estimators`).
"""

from __future__ import annotations

import copy
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, Literal

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from ppo_cli.engine.policy import Policy

WIDTH = 256


class ValueHead(nn.Module):
    """Features to a value: [..., width] to [...]; the last map starts at zero, so first values are 0."""

    def __init__(self, features: int, *, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.hidden = nn.Linear(features, WIDTH)
            self.value = nn.Linear(WIDTH, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = torch.nn.functional.gelu(self.hidden(features.float()))
        return self.value(hidden).squeeze(-1)


class CriticModule(nn.Module):
    """The critic, also in the shape TRL expects: a backbone by name and a `score` on its last hidden state."""

    base_model_prefix = "backbone"

    def __init__(self, policy: Policy, kind: Literal["head", "layers"] = "head", *, seed: int) -> None:
        super().__init__()
        self.head = ValueHead(policy.model.config.get_text_config().hidden_size, seed=seed)
        self.layers: nn.ModuleList | None = None
        """Its own upper layers, where it has some."""
        if kind == "layers":
            self.layers = nn.ModuleList(_without_adapters(layer) for layer in policy.stack.upper_layers)
            self.layers.requires_grad_(True)
        self.backbone = _Features(policy, self.layers)

    def own_hidden(self, activations: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Final hidden states through its own layers: [rows, length, width].

        Args:
            activations: [rows, length, width] below the cut.
            ids: [rows, length].
        """
        policy, layers = self.backbone.given
        return policy.stack.run_upper(activations, ids, list(layers or ()))

    def score(self, hidden: torch.Tensor) -> torch.Tensor:
        """[rows, length, width] to [rows, length, 1]."""
        return self.head(hidden).unsqueeze(-1)


class _Features(nn.Module):
    """Hidden states as TRL's critic backbone; registers no parameters of its own."""

    def __init__(self, policy: Policy, layers: nn.ModuleList | None) -> None:
        super().__init__()
        self.given = (policy, layers)  # in a tuple, so that no weight is registered twice

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        **_kwargs: Any,  # noqa: ANN401
    ) -> SimpleNamespace:
        """As TRL calls it: left-padded ids with a mask, [rows, length]."""
        policy, layers = self.given
        with ExitStack() as stack:
            if layers is None:
                stack.enter_context(torch.no_grad())
                model = stack.enter_context(policy.reference_model())
            else:
                model = policy.model
                stack.enter_context(policy.stack.with_upper_layers(list(layers)))
            out = model.base_model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
            )
        return SimpleNamespace(hidden_states=(out.last_hidden_state,))


def _without_adapters(layer: nn.Module) -> nn.Module:
    """A copy of a layer as the reference has it."""
    plain = copy.deepcopy(layer)
    for name, module in list(plain.named_modules()):
        if isinstance(module, LoraLayer):
            plain.set_submodule(name, module.get_base_layer())
    return plain
