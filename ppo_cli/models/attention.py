"""The attention that a config asks for, in place of the one that a model was loaded with.

Not here: the one it is loaded with (`loading`: transformers' choice, on a CPU `grouped_attention`), attention while
sampling (`decoding`, `prefill`).
"""

from __future__ import annotations

from typing import Any

import torch

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.schema import AttentionName

NEEDS_CUDA = ("flash_attention_2", "flash_attention_3", "flex_attention")


def with_attention(model: Any, wanted: AttentionName, device: torch.device) -> Any:  # noqa: ANN401
    """The same model, computing with the attention that is asked for.

    Args:
        model: a transformers causal language model, as `loading.load_model` gives it.
        wanted: auto leaves it.
        device: that the model is on.

    Raises:
        ConfigError: the model, the device or what is installed does not have it.
    """
    if wanted == "auto":
        return model
    instead = "Use model.attn_implementation=auto."
    if wanted in NEEDS_CUDA and device.type != "cuda":
        raise ConfigError(f"model.attn_implementation: {wanted} needs a CUDA GPU.", instead)
    try:
        model.set_attn_implementation(wanted)
    except (ValueError, ImportError, NotImplementedError, RuntimeError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"model.attn_implementation: {wanted} cannot be used here: {why}.", instead) from None
    return model
