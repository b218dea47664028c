"""The processes of one distributed training, through accelerate: dividing, gathering, reducing, broadcasting.

Every process holds the whole model, or a part of each layer's weights (`sharding`). Rank r samples and learns from
every N-th episode of an update, and what belongs to all of them is exchanged: rewards and log-probabilities before the
advantages are computed, gradients before each step. So N processes take the same steps as one, up to rounding.

Between updates the main process broadcasts the next command, and the workers wait for it (`receive`).

Not here: what is computed (`trainer`), the workers' commands (`training.worker`), starting the processes
(`process_launcher`).
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import broadcast_object_list, gather, gather_object, reduce

from ppo_cli.errors import PeerLostError, PpoError
from ppo_cli.records.program import command

Item = TypeVar("Item")

MAX_WAIT = timedelta(days=7)
"""For another process: the main process may be evaluating, or suspended by its user."""


class ProcessGroup:
    """This process and those that train with it."""

    def __init__(self, rank: int = 0, world_size: int = 1, *, sharded: bool = False) -> None:
        """By default a single process, which exchanges nothing.

        Args:
            rank: number of this process; 0 is the main process.
            world_size: number of processes.
            sharded: whether each holds a part of the model's layers.
        """
        self.rank, self.world_size, self.sharded = rank, world_size, sharded

    @property
    def is_main(self) -> bool:
        """Whether this process writes the records."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> list[Item]:
        """This process's part of some work: every N-th item, starting at its rank."""
        return list(items[self.rank :: self.world_size])

    def gather(self, shard: Sequence[Item]) -> list[Item]:
        """The items of all processes' shards, in the order before `shard` divided them."""
        if self.world_size == 1:
            return list(shard)
        with _peers_alive():
            shards = gather_object([list(shard)])
        whole: list[Item] = [None] * sum(map(len, shards))  # type: ignore[list-item]
        for rank, items in enumerate(shards):
            whole[rank :: self.world_size] = items
        return whole

    def gather_rows(self, shard: torch.Tensor) -> torch.Tensor:
        """The rows of all processes' shards [n, ...], in the order before `shard` divided them: [N, ...]."""
        if self.world_size == 1:
            return shard
        own = shard.contiguous()
        with _peers_alive():
            counts = gather(torch.tensor([len(own)], device=own.device)).tolist()
            padded = own.new_zeros((max(counts), *own.shape[1:]))
            padded[: len(own)] = own
            shards = gather(padded).view(self.world_size, max(counts), *own.shape[1:])
        return shards.transpose(0, 1).flatten(0, 1)[: sum(counts)].contiguous()

    def all_reduce_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Sums tensors over all processes, in place; every process has tensors of the same shapes."""
        if self.world_size == 1:
            return
        own = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _peers_alive():
            total = reduce(own, reduction="sum")
        for tensor, part in zip(tensors, total.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    @contextmanager
    def raise_everywhere(self) -> Iterator[None]:
        """A PpoError that one process raises inside the block is raised by every process."""
        error: PpoError | None = None
        try:
            yield
        except PpoError as own_error:
            if self.world_size == 1:
                raise
            error = own_error
        if self.world_size > 1:
            with _peers_alive():
                errors = gather_object([(type(error), error.message, error.next_step) if error else None])
            for error_type, message, next_step in filter(None, errors):
                raise error_type(message, next_step)

    def broadcast(self, *command: Any) -> None:  # noqa: ANN401 - the command's arguments
        """Sends a command and its arguments from the main process to all workers."""
        if self.world_size > 1:
            with _peers_alive():
                broadcast_object_list([command])

    def broadcast_if_sharded(self, *command: Any) -> None:  # noqa: ANN401 - the command's arguments
        """Sends a command that workers need only if they hold parts of the layers."""
        if self.sharded:
            self.broadcast(*command)

    def receive(self) -> tuple[Any, ...]:
        """Waits for the main process's next command; returns it with its arguments."""
        received: list[Any] = [None]
        with _peers_alive():
            broadcast_object_list(received)
        command: tuple[Any, ...] = received[0]
        return command


@contextmanager
def _peers_alive() -> Iterator[None]:
    """Names the one thing that breaks an exchange: another process has ended."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLostError(
            "Another process of this training has ended.",
            f"See its own message; then continue with `{command('train', '--resume', 'RUN')}`.",
        ) from error


def is_distributed() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_main_process() -> bool:
    """Whether this process is the main one of several, as its launcher says."""
    return os.environ.get("RANK") == "0"


LAUNCHER_VARIABLES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables by which a launcher tells a process of its group."""


@contextmanager
def before_joining() -> Iterator[None]:
    """A block in which the main process works on its own, as if no other had been started.

    Libraries join the group by themselves as soon as they see its variables, and then wait for processes that have
    nothing to send.
    """
    variables = {name: os.environ.pop(name) for name in LAUNCHER_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(variables)
        AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - accelerate offers nothing else
        GradientState._reset_state()  # noqa: SLF001


def join_process_group(device: str, *, sharded: bool = False) -> ProcessGroup:
    """The group that this process was started in, by `ppo train --processes`, accelerate or torchrun.

    Args:
        device: the config's key; "cpu" keeps off the GPUs.
        sharded: whether each process holds a part of the model's layers.
    """
    if not is_distributed():
        return ProcessGroup()
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no"  # model.dtype sets the precision
    state = PartialState(cpu=device == "cpu", timeout=MAX_WAIT)
    atexit.register(_leave_process_group)
    return ProcessGroup(state.process_index, state.num_processes, sharded=sharded)


def _leave_process_group() -> None:
    """Ends gloo's threads while Python still runs: one that frees a tensor later kills the whole process.

    accelerate's own clean-up does nothing in processes that `process_launcher` has started.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
