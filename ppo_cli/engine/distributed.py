"""The processes of one training, through accelerate: the first leads, the others do their share of what it does.

Every process holds the whole model. An update's episodes are dealt out one by one, each process samples and learns
from its own, and what belongs to all of them is exchanged: rewards and log-probabilities before the advantages are
estimated, gradients before each step. So N processes take the same steps as one does, rounding apart.

Between updates the leader says what comes next (`lead`), and the others wait for it (`follow`).

Not here: what is done (`trainer`), starting the processes (`launching`).
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
from accelerate.utils import broadcast_object_list, gather_object, reduce

from ppo_cli.errors import PeerLostError, PpoError, UsageError

Item = TypeVar("Item")

PATIENCE = timedelta(days=7)
"""How long a process waits for another: the leader may be evaluating, or paused by its user."""
SHARDED = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron",
}
"""What accelerate sets where a user's config spreads one model over several processes."""


class ProcessGroup:
    """This process and those that train with it."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        """By default a team of one, which exchanges nothing.

        Args:
            rank: number of this process; 0 leads.
            size: number of processes.
        """
        self.rank, self.world_size = rank, size

    @property
    def is_main(self) -> bool:
        """Whether this process keeps the records."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> list[Item]:
        """What this process does of some work: every size-th item."""
        return list(items[self.rank :: self.world_size])

    def gather(self, part: Sequence[Item]) -> list[Item]:
        """All shares, in the order in which they were dealt out."""
        if self.world_size == 1:
            return list(part)
        with _all_present():
            parts = gather_object([list(part)])
        whole: list[Item] = [None] * sum(map(len, parts))  # type: ignore[list-item]
        for rank, items in enumerate(parts):
            whole[rank :: self.world_size] = items
        return whole

    def gather_rows(self, part: torch.Tensor) -> torch.Tensor:
        """All processes' rows [share, ...] in the order in which they were dealt out: [N, ...]."""
        if self.world_size == 1:
            return part
        return torch.stack(self.gather(part.cpu().unbind())).to(part.device)

    def all_reduce_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Adds up tensors of like shapes over all processes, in place."""
        if self.world_size == 1:
            return
        own = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _all_present():
            together = reduce(own, reduction="sum")
        for tensor, part in zip(tensors, together.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    @contextmanager
    def raise_everywhere(self) -> Iterator[None]:
        """An error that a process names inside the block ends the block in every process with that error."""
        error: PpoError | None = None
        try:
            yield
        except PpoError as found:
            if self.world_size == 1:
                raise
            error = found
        if self.world_size > 1:
            with _all_present():
                found_by = gather_object([(type(error), error.message, error.next_step) if error else None])
            for kind, message, next_step in filter(None, found_by):
                raise kind(message, next_step)

    def broadcast(self, *order: Any) -> None:  # noqa: ANN401 - whatever the order is about
        """Tells the others what comes next."""
        if self.world_size > 1:
            with _all_present():
                broadcast_object_list([order])

    def receive(self) -> tuple[Any, ...]:
        """Waits for what the leader says."""
        heard: list[Any] = [None]
        with _all_present():
            broadcast_object_list(heard)
        order: tuple[Any, ...] = heard[0]
        return order


@contextmanager
def _all_present() -> Iterator[None]:
    """Names the one thing that breaks an exchange: a process at its other end that is gone."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLostError(
            "Another process of this training has ended.", "See what it said; then go on with `ppo train --resume`."
        ) from error


def is_distributed() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join_process_group(device: str) -> ProcessGroup:
    """The team that this process was started in, by `ppo train --processes`, accelerate or torchrun.

    Args:
        device: the config's key; "cpu" keeps off the GPUs.

    Raises:
        UsageError: the model would be spread over the processes.
    """
    if not is_distributed():
        return ProcessGroup()
    for variable, name in SHARDED.items():
        if os.environ.get(variable, "").lower() in ("true", "1"):
            raise UsageError(
                f"{name} spreads one model over several processes; here every process holds the whole model.",
                "Use `ppo train --processes N`, or an accelerate config with distributed_type: MULTI_GPU.",
            )
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no"  # model.dtype says how to compute
    state = PartialState(cpu=device == "cpu", timeout=PATIENCE)
    atexit.register(_leave_group)
    return ProcessGroup(state.process_index, state.num_processes)


def _leave_group() -> None:
    """Ends gloo's threads while Python still runs: one that frees a tensor later takes the whole process down.

    accelerate's own way of leaving does nothing in processes that `launching` has started.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
