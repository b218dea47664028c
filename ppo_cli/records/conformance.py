"""What `ppo verify-engine` found: the certificate of a PPO trainer.

Not here: the checks (`conformance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.short_repr import short_repr

ConformanceStatus = Literal["pass", "fail", "not checked"]


@dataclass(frozen=True, kw_only=True)
class ConformanceCheck:
    """The result of one check."""

    name: str
    title: str
    """What holds of a trainer that passes."""
    status: ConformanceStatus
    measured: float | None
    """None where nothing could be measured."""
    bound: Literal["at most", "at least"]
    tolerance: float
    """The measured number is to be at most, or at least, this."""
    quantity: str
    """What was measured, with its unit."""
    source: str
    """The paper, with its section or equation, that the check follows."""
    detail: str = ""
    """Why it was not checked, or the error of the trainer."""


@short_repr("engine", "engine_version", "status", "checks")
@dataclass(frozen=True, kw_only=True)
class ConformanceResult:
    """The certificate: every check of one trainer."""

    engine: str
    engine_version: str
    status: ConformanceStatus
    """`fail` if a check failed; `not checked` if none failed and one could not be made."""
    checks: tuple[ConformanceCheck, ...]
    date: str
    """ISO 8601, UTC."""
    versions: Mapping[str, str]
    """Of this program and of the libraries."""
    seconds: float
