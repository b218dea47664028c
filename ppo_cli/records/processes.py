"""How many processes train together, as a command line says it.

Not here: starting and joining them (`training.launch`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """What a command line says of the processes that train together."""

    number: int = 1
    """On this machine; 1 where a launcher such as torchrun has started them."""
    shard: bool = False
    """Whether the model's layers are divided over them."""
