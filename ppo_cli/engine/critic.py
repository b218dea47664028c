"""The critic: a small head that reads the reference's final hidden states.

Those features are frozen, so the critic cannot disturb the policy, its inputs are computed once an update, and
training it costs next to nothing.

Not here: returns, losses (`estimators`).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
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
    """The critic in the shape TRL expects: a backbone by name and a `score` on its last hidden state."""

    base_model_prefix = "backbone"

    def __init__(self, policy: Policy, *, seed: int) -> None:
        super().__init__()
        self.backbone = ReferenceFeatures(policy)
        self.head = ValueHead(policy.model.config.get_text_config().hidden_size, seed=seed)

    def score(self, hidden: torch.Tensor) -> torch.Tensor:
        """[rows, length, width] to [rows, length, 1]."""
        return self.head(hidden).unsqueeze(-1)


class ReferenceFeatures(nn.Module):
    """The reference's hidden states as TRL's critic backbone; holds no parameters of its own."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = [policy]  # in a list, so that the policy's weights are not registered twice

    @torch.no_grad()
    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        **_kwargs: Any,  # noqa: ANN401
    ) -> SimpleNamespace:
        """As TRL calls it: left-padded ids with a mask, [rows, length]."""
        with self._policy[0].as_plain_reference() as model:
            out = model.base_model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
            )
        return SimpleNamespace(hidden_states=(out.last_hidden_state,))
