"""AdamW that steps in float32, whatever the dtype of the weights.

A bfloat16 weight loses small steps: the next number above 1.0 is 1.008. So each trained weight has a float32
master that takes the step, and is then rounded into the weight. Float32 weights are their own masters.

Not here: the learning-rate schedule (`trainer`), clipping (`policy_update`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn


class MasterWeightAdamW(torch.optim.AdamW):
    """AdamW over float32 masters, with gradients accumulated in float32 over micro-batches.

    Call `collect_gradients` after each backward pass, and `step` once per minibatch.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], **settings: Any) -> None:  # noqa: ANN401
        """Copies every weight that is not float32 into a master.

        Args:
            groups: {"params": [...], "lr": ...} as for any optimizer.
            settings: passed to AdamW.
        """
        self.weights_and_masters: list[tuple[nn.Parameter, nn.Parameter]] = []
        master_groups = []
        for group in groups:
            masters = []
            for weight in group["params"]:
                is_float32 = weight.dtype == torch.float32
                master = weight if is_float32 else nn.Parameter(weight.detach().float().clone())
                self.weights_and_masters.append((weight, master))
                masters.append(master)
            master_groups.append({**group, "params": masters})
        super().__init__(master_groups, **settings)

    @torch.no_grad()
    def collect_gradients(self) -> None:
        """Adds the weights' gradients to their masters' and clears them."""
        for weight, master in self.weights_and_masters:
            if weight is master or weight.grad is None:
                continue
            gradient = weight.grad.float()
            master.grad = gradient if master.grad is None else master.grad.add_(gradient)
            weight.grad = None

    def gradients(self) -> list[torch.Tensor]:
        """The masters' gradients in the order of the groups, zeros where nothing was collected."""
        for master in self.masters():
            if master.grad is None:
                master.grad = torch.zeros_like(master)
        return [master.grad for master in self.masters() if master.grad is not None]

    def masters(self) -> list[nn.Parameter]:
        """The float32 parameters that step, in the order of the groups."""
        return [master for _, master in self.weights_and_masters]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Takes one step on the masters and rounds them into the weights."""
        loss: float | None = super().step(closure)
        self.round_into_weights()
        return loss

    @torch.no_grad()
    def round_into_weights(self) -> None:
        """Copies every master into its weight."""
        for weight, master in self.weights_and_masters:
            if weight is not master:
                weight.copy_(master)
