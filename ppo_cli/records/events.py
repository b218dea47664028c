"""Events that a command reports while it works, and the function that receives them.

Not here: the result of a command (`results`), how events are shown (`reports.live_view`, `reports.log_lines`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.checks import Alarm
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.measures import Estimate
from ppo_cli.records.training import UpdateMetrics


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of work has begun."""

    name: str
    total: int | None = None
    """Steps, if known."""
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """So many steps of the running phase are done."""

    done: int


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something the user should know; the work goes on."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run folder was claimed and frozen."""

    run: str
    folder: str
    goal: str
    updates: int
    kl_stop_at: float | None
    primary: str
    arm: str = ""
    """Which of several arms it is, as `arm 2 of 6`."""
    seconds_after: float | None = None
    """What the arms after this one will take, where that can be told."""


@dataclass(frozen=True, kw_only=True)
class UpdateDone:
    """One PPO update was recorded."""

    metrics: UpdateMetrics
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EvaluationDone:
    """An evaluation finished; with the change against step 0 where there is one."""

    step: int
    estimates: tuple[Estimate, ...]
    comparison: Comparison | None
    partial: bool
    """Whether it used the interim subset."""
    examples: tuple[tuple[str, str, str], ...] = ()
    """(prompt, answer at step 0, answer now)."""


@dataclass(frozen=True, kw_only=True)
class AlarmsChecked:
    """The alarms were looked at after an evaluation; they stand in place of those of the last time."""

    step: int
    alarms: tuple[Alarm, ...]


Event = Phase | Progress | Notice | RunStarted | UpdateDone | EvaluationDone | AlarmsChecked


EventHandler = Callable[[Event], None]
"""Receives every event while a command works: the live view, log lines, a function of a notebook."""


def ignore_events(event: Event) -> None:
    """Does nothing."""
