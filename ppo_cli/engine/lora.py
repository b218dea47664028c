"""Low-rank adapters (LoRA; Hu et al. 2021, arXiv:2106.09685) on the linear maps of chosen layers.

Not here: which layers (`policy`, `warm_start`, `reward_model`), training them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D


def lora_config(model: Any, layers: Sequence[nn.Module], *, r: int, alpha: int) -> LoraConfig:  # noqa: ANN401
    """Settings for an adapter on every linear map of some of a model's layers.

    Args:
        model: a transformers causal language model.
        layers: some of its decoder layers.
        r: rank.
        alpha: scale; an adapter's output is multiplied by alpha / r.
    """
    names = {id(module): name for name, module in model.named_modules()}
    maps = [module for layer in layers for module in layer.modules() if isinstance(module, nn.Linear | Conv1D)]
    return LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=[names[id(module)] for module in maps],
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in maps),  # GPT-2 keeps its weights transposed
    )


def without_adapters(layer: nn.Module) -> nn.Module:
    """The same layer with its own linear maps in place of adapted ones; the weights are those below the adapters."""
    for name, module in list(layer.named_modules()):
        if isinstance(module, LoraLayer):
            layer.set_submodule(name, module.get_base_layer())
    return layer
