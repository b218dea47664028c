"""Weights in 8 or 4 bits, through the optional bitsandbytes: how they are loaded, and read back as plain weights.

8 bits is LLM.int8() (Dettmers et al. 2022, arXiv:2208.07339), 4 bits is NF4 with double quantisation as in QLoRA
(Dettmers et al. 2023, arXiv:2305.14314). The linear maps of the layers are quantised; embeddings, norms and the
language-model head stay as they are.

Not here: weights in `model.dtype` (`loading`), adapters on top (`engine.policy`), moments in 8 bits
(`engine.eight_bit_adamw`).
"""

from __future__ import annotations

import copy
import logging
from importlib import util
from pathlib import Path
from typing import Any, Literal

import torch

from ppo_cli.errors import ConfigError

QuantisedWeights = Literal["8bit", "4bit"]
ROUNDS_LIKE = torch.bfloat16
"""The dtype whose rounding that of quantised maps is held to: 8 bits round activations too, 4 bits compute in it."""


def require_bitsandbytes(key: str, value: str) -> None:
    """Checks that the optional package is there.

    Args:
        key: of the config that needs it.
        value: of that key.

    Raises:
        ConfigError: it is not installed.
    """
    if util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"{key}: {value} needs bitsandbytes, which is not installed.",
            "Install it with `pip install 'ppo-cli[bitsandbytes]'`, or remove the key.",
        )


def loading_options(load_in: QuantisedWeights | None, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """What transformers' `from_pretrained` is given to load in fewer bits; nothing for None.

    Args:
        load_in: `model.load_in`.
        device: to load on; quantised weights are not moved afterwards.
        dtype: that the maps compute in.

    Raises:
        ConfigError: bitsandbytes is not installed.
    """
    if load_in is None:
        return {}
    require_bitsandbytes("model.load_in", load_in)
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # a line per map and pass about its casts
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if load_in == "8bit"
        else BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    )
    return {"quantization_config": config, "device_map": {"": device}}


def keep_as_loaded(model: Any) -> None:  # noqa: ANN401 - a transformers causal language model
    """Keeps bitsandbytes from packing 4-bit weights anew at the first pass on a CPU.

    It would change the weights in place, and no gradient flows through the packed form.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def is_quantised(model: Any) -> bool:  # noqa: ANN401 - a transformers causal language model
    """Whether a model was loaded in fewer bits."""
    return getattr(model, "quantization_method", None) is not None


def scales(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
    """The numbers besides packed weights that quantised maps compute with, by name; they are no parameters."""
    parameters = {name for name, _ in model.named_parameters()}
    return {
        name: value.reshape(-1)  # a single number has no bytes to look at
        for name, value in model.state_dict().items()
        if name not in parameters and isinstance(value, torch.Tensor) and ".lora_" not in name
    }


@torch.no_grad()
def save_plain(model: Any, folder: Path) -> None:  # noqa: ANN401
    """Writes a quantised model, its adapters merged, as a folder of plain weights in the dtype of its embeddings.

    Args:
        model: with or without adapters.
        folder: an empty folder.
    """
    from peft.tuners.lora import LoraLayer
    from peft.utils.integrations import dequantize_bnb_weight
    from transformers import AutoModelForCausalLM

    weights = {name: value for name, value in model.named_parameters() if ".lora_" not in name}
    for name, module in model.named_modules():
        packed = module.get_base_layer() if isinstance(module, LoraLayer) else module
        if type(packed).__module__.startswith("bitsandbytes") and not name.endswith(".base_layer"):
            plain = dequantize_bnb_weight(packed.weight, getattr(packed, "state", None)).float()
            if isinstance(module, LoraLayer):
                plain = plain + module.get_delta_weight("default").float()
            prefix = f"{name}.base_layer." if isinstance(module, LoraLayer) else f"{name}."
            weights[f"{prefix}weight"] = plain.to(model.dtype)
    config = copy.deepcopy(model.config)
    del config.quantization_config
    with torch.device("meta"):
        target = AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    plain_names = {name.replace(".base_layer.", "."): value.detach().cpu() for name, value in weights.items()}
    target.load_state_dict(plain_names, strict=False, assign=True)
    target.tie_weights()
    target.save_pretrained(folder)
