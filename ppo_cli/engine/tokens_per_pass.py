"""How many tokens one pass with gradients holds: what fits into memory, halved and remembered where it does not.

Micro-batches are summed into one gradient, so their size changes memory and time, and the numbers by rounding alone.

Not here: which rows make a micro-batch (`rollouts.micro_batches`), the passes themselves (`forward_passes`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import torch

from ppo_cli.errors import MemoryFullError, is_out_of_memory, whose_memory
from ppo_cli.records.events import EventHandler, Notice

T = TypeVar("T")


class TokensPerPass:
    """The padded tokens of one pass, for one training on one device."""

    def __init__(self, wanted: int | Literal["auto"], start: int, on_event: EventHandler) -> None:
        """Sets the size.

        Args:
            wanted: the config's key.
            start: where `auto` starts.
            on_event: called with a notice when the size is halved.
        """
        self.is_auto = wanted == "auto"
        self.tokens = start if wanted == "auto" else wanted
        """In one pass; a longer episode is a pass of its own."""
        self._on_event = on_event

    def resume_at(self, tokens: int | None) -> None:
        """Takes the size of the run's last checkpoint, if it is lower: memory would run out again, and bytes differ."""
        if self.is_auto and tokens is not None:
            self.tokens = min(self.tokens, tokens)

    def fit(self, work: Callable[[], T], longest: int, *, alone: bool = True) -> T:
        """Does some passes; where memory runs out, does all of them again with half as many tokens in each.

        Everything is repeated, not only the pass that failed, so that the result is that of the lower size.

        Args:
            work: splits its rows by `tokens`, and may be repeated.
            longest: tokens of the longest row, below which passes get no smaller.
            alone: whether this process may make more passes than others do.

        Raises:
            MemoryFullError: the config sets the size, a single row is too much, or other processes pass together.
        """
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError, OSError) as error:
                if not is_out_of_memory(error):
                    raise
                whose = whose_memory(error)
            # After the except block, so that the failed pass's tensors are no longer held by its traceback.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if not alone:
                raise MemoryFullError(
                    f"The memory of the {whose} is full in a pass of {self.tokens:,} tokens of a sharded model.",
                    f"Set ppo.tokens_per_pass={self.tokens // 2}, then run the experiment again.",
                )
            self._halve(whose, longest)

    def _halve(self, whose: str, longest: int) -> None:
        if not self.is_auto:
            raise MemoryFullError(
                f"The memory of the {whose} is full in a pass of {self.tokens:,} tokens (ppo.tokens_per_pass).",
                "Set ppo.tokens_per_pass=auto or a lower number, then run the experiment again.",
            )
        if self.tokens <= longest:
            raise MemoryFullError(
                f"The memory of the {whose} is full in a pass of one answer ({longest:,} tokens).",
                "Set model.train.gradient_checkpointing=true, lower rollout.max_new_tokens or model.train.top_layers, "
                "or set model.load_in=4bit.",
            )
        self.tokens //= 2
        text = f"Memory ran out: passes hold {self.tokens:,} tokens from now on, not {2 * self.tokens:,}."
        self._on_event(Notice(text=text, level="warning"))
