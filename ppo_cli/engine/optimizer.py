"""Optimizers that step in float32, whatever the dtype of the weights: AdamW, and what other kinds share with it.

A bfloat16 weight loses small steps: the next number above 1.0 is 1.008. So each trained weight has a float32
master that takes the step, and is then rounded into the weight. Float32 weights are their own masters.

Not here: AdamW with moments in 8 bits (`eight_bit_adamw`), the learning-rate schedule (`trainer`), clipping
(`policy_update`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ppo_cli.engine.sharding import part_of


class MasterWeights(torch.optim.Optimizer):
    """Mixed into an optimizer: it steps on float32 masters, and gradients gather in float32 over micro-batches.

    Call `collect_gradients` after each backward pass, and `step` once per minibatch.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], **settings: Any) -> None:  # noqa: ANN401
        """Copies every weight that is not float32 into a master.

        Args:
            groups: {"params": [...], "lr": ...} as for any optimizer.
            settings: passed to the optimizer.
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

    def discard_gradients(self) -> None:
        """Drops what was gathered since the last step, and what a failed backward pass left on the weights."""
        for weight, master in self.weights_and_masters:
            weight.grad = master.grad = None

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

    def moments(self, master: nn.Parameter) -> dict[str, torch.Tensor]:
        """What the optimizer keeps of a master, by name, for a checkpoint; nothing before its first step."""
        raise NotImplementedError

    def restore_moments(self, master: nn.Parameter, moments: Mapping[str, torch.Tensor]) -> None:
        """Puts back what `moments` gave."""
        raise NotImplementedError


class MasterWeightAdamW(MasterWeights, torch.optim.AdamW):
    """torch's AdamW over float32 masters."""

    def moments(self, master: nn.Parameter) -> dict[str, torch.Tensor]:
        return {name: torch.as_tensor(value).contiguous() for name, value in self.state.get(master, {}).items()}

    def restore_moments(self, master: nn.Parameter, moments: Mapping[str, torch.Tensor]) -> None:
        self.state[master] = {
            name: value.cpu().clone() if name == "step" else part_of(value, master).clone()
            for name, value in moments.items()
        }
