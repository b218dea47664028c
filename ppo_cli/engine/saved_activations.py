"""How many bytes autograd keeps for a backward pass, counted by torch itself while a pass runs.

Not here: the same without a model (`models.memory_estimate`), what happens where it runs out (`tokens_per_pass`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from ppo_cli.engine.critic import CriticModule
from ppo_cli.engine.policy import Policy
from ppo_cli.models.memory_estimate import (
    MOMENT_BYTES,
    START_TOKENS,
    USABLE_SHARE,
    bytes_while_learning,
    largest_start,
)

PROBE = (2, 64)
"""Rows and tokens of the pass that is counted on a GPU before training; its attention keeps no scores there."""
GRADIENT_BYTES = 4
"""Of a gradient, gathered in float32."""


def start_tokens(policy: Policy, critic: CriticModule, optimizer: str) -> int:
    """Tokens per pass that `auto` starts with: on a GPU as many as its free memory holds the activations of.

    Args:
        policy: on the device that trains it.
        critic: of this policy.
        optimizer: `ppo.optimizer`; its moments and the gradients do not exist yet.
    """
    device = policy.model.device
    if device.type != "cuda":
        return START_TOKENS["cpu"]
    free = torch.cuda.mem_get_info(device)[0]
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    trained = [*policy.parameters.values(), *critic.parameters()]
    to_come = sum(
        value.numel() * (MOMENT_BYTES[optimizer] + GRADIENT_BYTES + value.element_size()) for value in trained
    )
    return largest_start(USABLE_SHARE * (free - to_come) / activation_bytes_per_token(policy, critic))


def activation_bytes_per_token(policy: Policy, critic: CriticModule) -> float:
    """Peak bytes of activations per token in a pass of policy and critic with gradients, from one small pass."""
    rows, length = PROBE
    ids = torch.ones((rows, length), dtype=torch.long, device=policy.model.device)
    width = policy.head.weight.shape[1]
    lower = policy.head.weight.new_zeros((rows, length, width))
    stacks = [lambda: policy.decoder.run_upper(lower, ids)]
    if critic.layers is not None:
        stacks.append(lambda: policy.decoder.run_upper(lower, ids, list(critic.layers or ())))
    layers = len(policy.decoder.upper_layers)
    width_bytes = width * lower.element_size()
    return sum(
        bytes_while_learning(
            saved_bytes(stack, [policy.trainable, critic]) / (rows * length),
            layers,
            width_bytes,
            checkpointing=policy.gradient_checkpointing,
        )
        for stack in stacks
    )


def saved_bytes(work: Callable[[], torch.Tensor], owners: Iterable[nn.Module]) -> int:
    """Bytes of the tensors that `work` saves for its backward pass, each storage once, weights left out.

    Args:
        work: a forward pass; its result is dropped.
        owners: modules whose parameters and buffers are there anyway.
    """
    known = {_key(tensor) for owner in owners for tensor in [*owner.parameters(), *owner.buffers()]}
    saved: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if _key(tensor) not in known:
            saved[_key(tensor)] = tensor.untyped_storage()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = work()
    total = sum(int(storage.nbytes()) for storage in saved.values())
    del result
    return total


def _key(tensor: torch.Tensor) -> int:
    """The address of the storage that a tensor lies in."""
    return int(tensor.untyped_storage().data_ptr())
