"""What somebody should know before or after a run: alarms, advice, and the lines of a gate.

Not here: how any of them is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A way of going wrong that a run's records show signs of."""

    name: str
    """One of the five ways, or `nothing moves`."""
    evidence: tuple[str, ...]
    """What was seen, in numbers of this run."""
    why: str
    """Why it matters."""
    next_step: str
    """What to change next."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The one change to try next."""

    key: str
    value: str
    """As it would be typed."""
    reason: str
    command: str
    """Ready to paste."""


CheckStatus = Literal["pass", "warn", "stop"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a gate."""

    name: str
    status: CheckStatus
    value: str
    """What was found."""
    threshold: str
    reason: str
    """Why it matters."""
    next_step: str = ""
    """What to do about it; empty where nothing need be done."""
    group: str = ""
    """What it is about; lines of one group stand together."""


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """A mean difference over prompts, with its 95 % interval."""

    mean: float
    low_95: float
    high_95: float
    prompts: int


@dataclass(frozen=True, kw_only=True)
class RewardExploit:
    """A way of answering that need not look at what was asked, and what the reward pays for it."""

    name: str
    example: str
    constant: bool
    """Whether it gives the same answer to everything."""
    reward: float
    """Mean over the prompts."""
    gain_over_start: MeanDifference
    """More than the start model's own answers to the same prompts."""
    gain_over_written: MeanDifference | None
    """More than the written answers, where there are any."""
    wins: Literal["yes", "for now", "no"]
    """`for now`: it beats the start model, and good answers beat it."""


def worst(checks: Iterable[Check]) -> CheckStatus:
    """What a gate says that has these lines."""
    found = {check.status for check in checks}
    return "stop" if "stop" in found else "warn" if "warn" in found else "pass"
