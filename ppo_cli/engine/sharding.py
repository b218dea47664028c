"""Decoder layers whose weights are divided over the processes (FSDP2), and whole copies of them where one is needed.

Each process holds one part of every weight of every layer, with the part's master, gradient and Adam moments. A pass
gathers one layer at a time and drops it again; a backward pass adds up the gradients of all processes. Embeddings, the
last norm and the head stay whole on each process.

Sampling and evaluations run a plain model: every process gathers all layers first, since its answers end at other
tokens than those of the others. So whatever opens a model here is called by all processes, equally often.

Not here: who exchanges what else (`distributed`), when a model is opened (`policy`), the passes (`forward_passes`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from ppo_cli.engine.lora import without_adapters
from ppo_cli.engine.split_decoder import SplitDecoder

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

Role = Literal["policy", "reference"]


class ShardedLayers:
    """The layers of policy and reference, divided over all processes."""

    def __init__(self, decoder: SplitDecoder, reference_layers: Sequence[nn.Module], mesh: DeviceMesh) -> None:
        """Divides the layers in place; parameters of the model are new objects afterwards.

        Args:
            decoder: of the policy.
            reference_layers: the reference's own upper layers; none where it is the policy without adapters.
            mesh: all processes.
        """
        self.mesh = mesh
        self._decoder, self._reference_layers = decoder, list(reference_layers)
        self._hollow = [_hollow_copy(layer) for layer in decoder.layers]
        self._held: dict[Role, list[nn.Module]] = {}
        for layer in [*decoder.layers, *self._reference_layers]:
            self.shard(layer)

    def shard(self, module: nn.Module) -> None:
        """Divides one module's weights; its passes gather them, and its gradients are sums over all processes."""
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        sharded: Any = fully_shard(
            module,
            mesh=self.mesh,
            reshard_after_forward=True,
            mp_policy=MixedPrecisionPolicy(reduce_dtype=torch.float32),
        )
        sharded.set_force_sum_reduction_for_comms(True)  # gloo has no other; a factor of 1 leaves the sum a sum
        sharded.set_gradient_divide_factor(1.0)

    @contextmanager
    def opened(self, role: Role) -> Iterator[None]:
        """Runs the model with whole layers inside the block, adapters merged; all processes open it together."""
        with self._decoder.with_layers(self._held.get(role) or self._gather(role)):
            yield

    @contextmanager
    def both_held(self) -> Iterator[None]:
        """Keeps the whole layers of policy and reference inside the block, where each process opens them as it likes.

        The frozen lower layers are the same for both.
        """
        policy = self._gather("policy")
        lower = policy[: self._decoder.first_trained]
        self._held = {"policy": policy, "reference": [*lower, *self.upper_layers("reference")]}
        try:
            yield
        finally:
            self._held = {}

    def upper_layers(self, role: Role) -> list[nn.Module]:
        """Whole copies of the trained layers, without adapters, which nothing trains."""
        return [self._whole_layer(number, role) for number in self._numbers()[self._decoder.first_trained :]]

    def _gather(self, role: Role) -> list[nn.Module]:
        return [self._whole_layer(number, role) for number in self._numbers()]

    def _numbers(self) -> range:
        return range(len(self._hollow))

    @torch.no_grad()
    def _whole_layer(self, number: int, role: Role) -> nn.Module:
        """A plain copy of one layer; every process calls this for the same layers in the same order."""
        upper = number - self._decoder.first_trained
        sharded: Any = self._decoder.layers[number]
        if role == "reference" and self._reference_layers and upper >= 0:
            sharded = self._reference_layers[upper]
        whole = copy.deepcopy(self._hollow[number])
        sharded.unshard()
        for name, _ in list(whole.named_parameters()):
            path, _, leaf = name.rpartition(".")
            weight = nn.Parameter(_plain_weight(sharded.get_submodule(path), leaf, role), requires_grad=False)
            setattr(whole.get_submodule(path), leaf, weight)
        sharded.reshard()
        return whole


def process_mesh(device: torch.device, world_size: int) -> DeviceMesh:
    """All processes in one row; each calls this at the same time."""
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device.type, (world_size,))


def whole(tensor: Any) -> torch.Tensor:  # noqa: ANN401 - a tensor, perhaps a DTensor
    """A tensor with the parts of all processes, which call this together; one that is not sharded as it is."""
    return tensor.full_tensor() if _is_sharded(tensor) else tensor


def part_of(full: torch.Tensor, like: Any) -> torch.Tensor:  # noqa: ANN401 - a tensor, perhaps a DTensor
    """This process's part of a tensor that every process has read, divided as another one; no process sends anything.

    Args:
        full: of the whole shape.
        like: sharded or not.
    """
    if not _is_sharded(like):
        return full
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(full.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def _is_sharded(tensor: Any) -> bool:  # noqa: ANN401 - a tensor, perhaps a DTensor
    """Whether it is a DTensor; their module takes long to import, and a single process needs none of it."""
    return hasattr(tensor, "full_tensor")


def _hollow_copy(layer: nn.Module) -> nn.Module:
    """A copy of a layer without adapters, whose weights have shapes only."""
    memo: dict[int, Any] = {
        id(value): nn.Parameter(torch.empty_like(value, device="meta"), requires_grad=False)
        for value in layer.parameters()
    }
    return without_adapters(copy.deepcopy(layer, memo))


def _plain_weight(module: nn.Module, name: str, role: Role) -> torch.Tensor:
    """A copy of one weight of a gathered layer, what an adapter adds to the policy's included."""
    if not isinstance(module, LoraLayer):
        return getattr(module, name).detach().clone()
    weight: torch.Tensor = getattr(module.get_base_layer(), name).detach()
    if role == "reference" or name != "weight":
        return weight.clone()
    return (weight.float() + module.get_delta_weight("default").float()).to(weight.dtype)
