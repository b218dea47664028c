"""What `ppo doctor` saw of a machine.

Not here: the checks (`preflight.doctor`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.short_repr import short_repr

DoctorStatus = Literal["ok", "warn", "fail"]
"""`warn`: something that one may want does not work; `fail`: no training works."""


@dataclass(frozen=True, kw_only=True)
class DoctorCheck:
    """One line of the report."""

    name: str
    status: DoctorStatus
    saw: str
    """What was found, without values of tokens and passwords."""
    next_step: str = ""
    """What to do; empty where nothing need be done."""


DoctorProbe = Callable[[], Sequence[DoctorCheck]]
"""Looks at one subject."""


@short_repr("status", "checks")
@dataclass(frozen=True, kw_only=True)
class DoctorResult:
    """The whole report."""

    version: str
    """Of this program."""
    status: DoctorStatus
    """The worst of the checks."""
    checks: tuple[DoctorCheck, ...]
    date: str
    """ISO 8601, UTC."""
    seconds: float
