"""Which attention a model computes with: the family's own, one of transformers', or grouped products on a CPU.

Not here: grouped attention itself (`grouped_attention`), attention while sampling (`decoding`, `prefill`).
"""

from __future__ import annotations

from typing import Any

import torch

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.schema import AttentionName
from ppo_cli.models.grouped_attention import attend_by_groups

NEEDS_CUDA = ("flash_attention_2", "flash_attention_3", "flex_attention")


def choose_attention(model: Any, wanted: AttentionName, device: torch.device) -> None:  # noqa: ANN401
    """Makes a model compute with the attention that the config asks for.

    Args:
        model: a transformers causal language model, on its device.
        wanted: auto takes transformers' choice, and grouped products on a CPU where they give the same logits.
        device: that the model is on.

    Raises:
        ConfigError: the model, the device or what is installed does not have it.
    """
    if wanted == "auto":
        if device.type == "cpu":
            attend_by_groups(model)
        return
    instead = "Use model.attn_implementation=auto."
    if wanted in NEEDS_CUDA and device.type != "cuda":
        raise ConfigError(f"model.attn_implementation: {wanted} needs a CUDA GPU.", instead)
    try:
        model.set_attn_implementation(wanted)
    except (ValueError, ImportError, NotImplementedError, RuntimeError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"model.attn_implementation: {wanted} cannot be used here: {why}.", instead) from None
