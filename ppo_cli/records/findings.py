"""What somebody should know before or after a run: alarms, advice, and the lines of a gate.

Not here: how any of them is found.
"""

from __future__ import annotations

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


Gate = Literal["pass", "warn", "stop"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a gate."""

    name: str
    outcome: Gate
    value: str
    threshold: str
    reason: str
