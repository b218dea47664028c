"""The critic: a value head on the reference's final hidden states (`head`) or on its own trained layers (`layers`).

    head     reads the frozen reference. Its inputs are computed once per update, so training it takes little time.
    layers   reads its own copy of the layers that the policy trains, on the shared frozen lower ones.

Either way the critic shares no trained weight with the policy and cannot disturb it.

Not here: returns and losses (`ppo_math`).
"""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import nn

from ppo_cli.engine.gradient_checkpointing import checkpointed
from ppo_cli.engine.policy import Policy

HIDDEN_WIDTH = 256
"""Of the value head's hidden layer."""


class ValueHead(nn.Module):
    """Hidden states to values, [..., width] to [...]; the last linear map starts at zero, so the first values are 0."""

    def __init__(self, width: int, *, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.hidden = nn.Linear(width, HIDDEN_WIDTH)
            self.value = nn.Linear(HIDDEN_WIDTH, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = torch.nn.functional.gelu(self.hidden(features.float()))
        return self.value(hidden).squeeze(-1)


class CriticModule(nn.Module):
    """The critic, in the form that TRL's own loop calls too: a backbone by name, and `score` on its hidden states."""

    base_model_prefix = "backbone"

    def __init__(self, policy: Policy, kind: Literal["head", "layers"] = "head", *, seed: int) -> None:
        super().__init__()
        self.head = ValueHead(policy.model.config.get_text_config().hidden_size, seed=seed)
        self.layers: nn.ModuleList | None = None
        """Its own upper layers, with kind `layers`."""
        if kind == "layers":
            self.layers = nn.ModuleList(policy.copied_upper_layers())
            self.layers.requires_grad_(True)
        if policy.sharded_layers is not None:
            for module in (*self.head.children(), *(self.layers or ())):
                policy.sharded_layers.shard(module)
        self.backbone = _Backbone(policy, self.layers)

    def own_hidden(self, activations: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Final hidden states through its own layers: [rows, length, width].

        Args:
            activations: [rows, length, width] below the split.
            ids: [rows, length] token ids.
        """
        policy, layers = self.backbone.policy_and_layers
        own = list(layers or ())
        return policy.decoder.run_upper(activations, ids, checkpointed(own) if policy.gradient_checkpointing else own)

    def score(self, hidden: torch.Tensor) -> torch.Tensor:
        """[rows, length, width] to [rows, length, 1]."""
        return self.head(hidden).unsqueeze(-1)


class _Backbone(nn.Module):
    """Hidden states in the form of TRL's critic backbone; registers no parameters of its own."""

    def __init__(self, policy: Policy, layers: nn.ModuleList | None) -> None:
        super().__init__()
        self.policy_and_layers = (policy, layers)  # in a tuple, so that no weight is registered twice

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        **_kwargs: Any,  # noqa: ANN401
    ) -> SimpleNamespace:
        """As TRL calls it: left-padded ids with a mask, [rows, length]."""
        policy, layers = self.policy_and_layers
        with ExitStack() as stack:
            if layers is None:
                stack.enter_context(torch.no_grad())
                model = stack.enter_context(policy.reference_model())
            else:
                model = policy.model
                stack.enter_context(policy.decoder.with_upper_layers(list(layers)))
            out = model.base_model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
            )
        return SimpleNamespace(hidden_states=(out.last_hidden_state,))
