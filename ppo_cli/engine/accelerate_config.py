"""What a user's accelerate config asks of the model: whole on every process, divided by FSDP2, or what is refused.

`accelerate launch` hands its config to the processes in environment variables.

Not here: the processes (`distributed`), dividing the model (`sharding`).
"""

from __future__ import annotations

import os

from ppo_cli.errors import UsageError
from ppo_cli.records.program import command

USES_FSDP = "ACCELERATE_USE_FSDP"
REFUSED = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "A tensor-parallel or other parallelism_config",
}
"""Variables of configs that divide the model in another way."""


def config_shards() -> bool:
    """Whether accelerate's config divides the model by FSDP2; accelerate itself then does nothing with it.

    Raises:
        UsageError: the config divides the model in a way that is not supported.
    """
    instead = f"Set distributed_type: FSDP with fsdp_version: 2, or type `{command('train', 'CONFIG', '--shard')}`."
    for variable, name in REFUSED.items():
        if _is_true(variable):
            raise UsageError(f"{name} is not supported: a model is divided over processes by FSDP2 only.", instead)
    if not _is_true(USES_FSDP):
        return False
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise UsageError("The accelerate config asks for FSDP1: only FSDP2 is supported.", "Set fsdp_version: 2 in it.")
    if _is_true("FSDP_OFFLOAD_PARAMS"):
        raise UsageError(
            "The accelerate config moves sharded weights to the CPU, which is not supported.",
            "Set fsdp_offload_params: false in it.",
        )
    del os.environ[USES_FSDP]  # accelerate would divide TRL's wrapper, which our passes go around
    return True


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("true", "1")
