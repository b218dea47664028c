"""What `accelerate launch` asks for with a user's config: sharding by FSDP2, or what is refused."""

import os

import pytest

from ppo_cli.engine.accelerate_config import config_shards
from ppo_cli.errors import UsageError

VARIABLES = ("ACCELERATE_USE_FSDP", "FSDP_VERSION", "FSDP_OFFLOAD_PARAMS", "ACCELERATE_USE_DEEPSPEED")


@pytest.fixture
def launched_with(monkeypatch):
    """Sets what accelerate's launcher sets."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)

    def launched(**variables):
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)

    return launched


def test_fsdp2_shards_and_accelerate_does_not_do_it_too(launched_with):
    assert not config_shards()
    launched_with(ACCELERATE_USE_FSDP="true", FSDP_VERSION="2", FSDP_OFFLOAD_PARAMS="false")
    assert config_shards()
    assert "ACCELERATE_USE_FSDP" not in os.environ


@pytest.mark.parametrize(
    ("variables", "message", "next_step"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed is not supported", "distributed_type: FSDP"),
        ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "Megatron-LM is not supported", "--shard"),
        ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "tensor-parallel or other parallelism_config", "--shard"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "asks for FSDP1", "fsdp_version: 2"),
        ({"ACCELERATE_USE_FSDP": "true"}, "asks for FSDP1", "fsdp_version: 2"),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_OFFLOAD_PARAMS": "true"},
            "moves sharded weights to the CPU",
            "fsdp_offload_params: false",
        ),
    ],
)
def test_other_ways_to_divide_a_model_are_refused_with_what_to_do(launched_with, variables, message, next_step):
    launched_with(**variables)
    with pytest.raises(UsageError) as refusal:
        config_shards()
    assert message in refusal.value.message
    assert next_step in refusal.value.next_step
