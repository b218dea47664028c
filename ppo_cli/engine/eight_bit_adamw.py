"""AdamW whose moments are kept in 8 bits (Dettmers et al. 2022, arXiv:2110.02861), from the optional bitsandbytes.

It takes 2 bytes per trained weight in place of 8. Tensors of fewer than 4,096 values keep float32 moments.

Not here: the float32 masters that it steps on (`optimizer`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import torch
from torch import nn

from ppo_cli.engine.optimizer import MasterWeightAdamW, MasterWeights
from ppo_cli.models.quantised import require_bitsandbytes

OptimizerName = Literal["adamw", "adamw_8bit", "paged_adamw_8bit"]
TABLES = ("qmap1", "qmap2")
"""Of a tensor's state: the 256 numbers that 8 bits stand for, which are the same for all."""


def make_optimizer(
    name: OptimizerName,
    groups: Sequence[Mapping[str, Any]],
    **settings: Any,  # noqa: ANN401
) -> MasterWeights:
    """The optimizer that the config names.

    Args:
        name: `ppo.optimizer`.
        groups: {"params": [...], "lr": ...} as for any optimizer.
        settings: passed on.

    Raises:
        ConfigError: bitsandbytes is needed and not installed.
    """
    if name == "adamw":
        return MasterWeightAdamW(groups, **settings)
    require_bitsandbytes("ppo.optimizer", name)
    made: MasterWeights = _eight_bit_class()(groups, is_paged=name == "paged_adamw_8bit", optim_bits=8, **settings)
    return made


@cache
def _eight_bit_class() -> Any:  # noqa: ANN401 - a class of an optional package
    """Bitsandbytes' AdamW over float32 masters; made when it is first used, since the package is optional."""
    import bitsandbytes

    class MasterWeightAdamW8bit(MasterWeights, bitsandbytes.optim.AdamW):
        def step(self, closure: Callable[[], float] | None = None) -> float | None:
            with warnings.catch_warnings():
                # On a CPU there is nowhere to page to, and the moments stay where they are.
                warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")
                loss: float | None = super().step(closure)
            return loss

        def moments(self, master: nn.Parameter) -> dict[str, torch.Tensor]:
            state = self.state.get(master, {})
            return {name: torch.as_tensor(value).contiguous() for name, value in state.items() if name not in TABLES}

        @torch.no_grad()
        def restore_moments(self, master: nn.Parameter, moments: Mapping[str, torch.Tensor]) -> None:
            group, index = next(
                (group, index)
                for group, held in enumerate(self.param_groups)
                for index, parameter in enumerate(held["params"])
                if parameter is master
            )
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")
                self.init_state(self.param_groups[group], master, group, index)
            state = self.state[master]
            for name, value in moments.items():
                if name == "step":
                    state[name] = int(value)
                else:
                    state[name].copy_(value)

    return MasterWeightAdamW8bit
