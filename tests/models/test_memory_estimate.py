"""The memory of a training, part by part: against what torch keeps of a real pass and what a real policy holds."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from ppo_cli.engine.critic import CriticModule
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.saved_activations import activation_bytes_per_token, saved_bytes
from ppo_cli.experiment.schema import Lora, TrainedPart
from ppo_cli.models.free_memory import return_free_memory
from ppo_cli.models.grouped_attention import attend_by_groups
from ppo_cli.models.memory_estimate import (
    KERNELS_AND_PIECES,
    ModelShape,
    TrainingPlan,
    activation_bytes,
    held_bytes,
    memory_parts,
    tokens_per_pass,
)

SMALL = ModelShape(
    parameters=4 * 128 * (2 * 128 + 2 * 64 + 3 * 384) + 2 * 500 * 128,
    embedding_parameters=500 * 128,
    layers=4,
    width=128,
    vocabulary=500,
    inner_width=384,
    heads=4,
    key_width=64,
)
PLAN = TrainingPlan(
    trained_layers=4,
    lora_rank=8,
    critic_layers=False,
    optimizer="adamw",
    load_in=None,
    checkpointing=False,
    tokens_per_pass=2048,
    episodes=64,
    minibatch=32,
    prompt_tokens=30,
    answer_tokens=34,
    evaluated_tokens=5000,
    device="cpu",
    bytes_per_weight=4,
)


def policy_of(plan, config_class=LlamaConfig):
    config = config_class(
        hidden_size=SMALL.width,
        intermediate_size=SMALL.inner_width,
        num_hidden_layers=SMALL.layers,
        num_attention_heads=SMALL.heads,
        num_key_value_heads=2,
        vocab_size=SMALL.vocabulary,
    )
    dtype = torch.float32 if plan.bytes_per_weight == 4 else torch.bfloat16
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    attend_by_groups(model)
    lora = Lora(r=plan.lora_rank, alpha=16) if plan.lora_rank else None
    return Policy(model, TrainedPart(top_layers=plan.trained_layers, lora=lora), seed=1)


def test_the_model_before_a_warm_start_is_held_beside_it():
    without, held = (held_bytes(SMALL, replace(PLAN, warm_start=warm)) for warm in (False, True))
    assert sum(held.values()) - sum(without.values()) == SMALL.parameters * PLAN.bytes_per_weight


@pytest.mark.parametrize("family", [LlamaConfig, Qwen2Config])
@pytest.mark.parametrize("change", [{}, {"lora_rank": None}, {"bytes_per_weight": 2}, {"trained_layers": 2}])
def test_activations_are_those_that_torch_keeps(family, change):
    plan = replace(PLAN, **change)
    policy = policy_of(plan, family)
    ids = torch.ones((3, 64), dtype=torch.long)
    lower = policy.decoder.run_lower(ids)
    kept = saved_bytes(lambda: policy.policy_hidden(lower, ids), [policy.trainable]) / ids.numel()
    one_more = 1 + 1 / plan.trained_layers  # for the backward pass of a layer
    assert activation_bytes(SMALL, plan) == pytest.approx(kept * one_more, rel=0.2)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_loaded_policy_gives_the_same_activations_as_its_sizes(checkpointing):
    plan = replace(PLAN, critic_layers=True, trained_layers=2, checkpointing=checkpointing)
    policy = policy_of(plan)
    policy.gradient_checkpointing = checkpointing
    counted = activation_bytes_per_token(policy, CriticModule(policy, "layers", seed=1))
    assert activation_bytes(SMALL, plan) == pytest.approx(counted, rel=0.2)


def test_what_is_held_is_what_the_trained_weights_need():
    full = replace(PLAN, lora_rank=None, critic_layers=True, bytes_per_weight=2)
    policy = policy_of(full)
    critic = CriticModule(policy, "layers", seed=1)
    parts = memory_parts(SMALL, full)
    assert parts["kernels and free pieces"] == KERNELS_AND_PIECES
    assert memory_parts(SMALL, PLAN)["kernels and free pieces"] == 0  # in float32
    layers = sum(value.numel() for value in policy.parameters.values())
    assert parts["start model"] == pytest.approx(2 * policy.model.num_parameters(), rel=0.05)
    assert parts["reference's and critic's copies"] == pytest.approx(2 * 2 * layers, rel=0.05)
    trained = layers + sum(value.numel() for value in critic.parameters())
    assert parts["moments"] == pytest.approx(8 * trained, rel=0.05)
    assert parts["masters and gradients"] == pytest.approx(10 * trained, rel=0.1)
    adapters = sum(value.numel() for value in policy_of(PLAN).parameters.values())
    assert memory_parts(SMALL, PLAN)["moments"] == pytest.approx(8 * (adapters + 256 * 128), rel=0.05)


def test_each_way_to_save_memory_lowers_its_own_part():
    large = ModelShape(
        parameters=8.03e9,
        embedding_parameters=128256 * 4096,
        layers=32,
        width=4096,
        vocabulary=128256,
        inner_width=14336,
        heads=32,
        key_width=1024,
    )
    plan = replace(PLAN, trained_layers=32, lora_rank=16, device="cuda", bytes_per_weight=2, tokens_per_pass=16384)
    plan = replace(plan, prompt_tokens=256, answer_tokens=256)
    # 97 GB of activations at 16,384 tokens were counted on the meta device (Llama 8B, adapters on all layers).
    assert 16384 * activation_bytes(large, plan) == pytest.approx(97e9 * 33 / 32, rel=0.05)
    assert activation_bytes(large, replace(plan, checkpointing=True)) < activation_bytes(large, plan) / 8
    whole = sum(memory_parts(large, plan).values())
    auto = replace(plan, tokens_per_pass="auto", device_bytes=80e9)
    assert tokens_per_pass(large, auto) == 8192
    assert sum(memory_parts(large, auto).values()) < 80e9 < whole
    packed = memory_parts(large, replace(auto, load_in="4bit"))["start model"]
    assert packed < 0.4 * memory_parts(large, auto)["start model"]
    full = replace(auto, lora_rank=None)
    eight_bit = memory_parts(large, replace(full, optimizer="adamw_8bit"))
    assert eight_bit["moments"] < 0.3 * memory_parts(large, full)["moments"]


def test_free_memory_goes_back_to_the_machine_and_other_systems_do_nothing(monkeypatch):
    from ppo_cli.models import free_memory

    assert return_free_memory() in (True, False)
    free_memory._malloc_trim.cache_clear()
    monkeypatch.setattr("sys.platform", "darwin")
    assert return_free_memory() is False
    free_memory._malloc_trim.cache_clear()
