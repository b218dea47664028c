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
    """A phase of work has begun."""

    name: str
    total: int | None = None
    """Number of steps; None where unknown."""
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of the current phase."""

    done: int
    """Steps that are done."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that the user should know; the work continues."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run folder was created and its inputs frozen."""

    run: str
    folder: str
    goal: str
    updates: int
    kl_stop_at: float | None
    primary: str
    arm: str = ""
    """Its position in a sweep, such as `arm 2 of 6`; empty outside a sweep."""
    seconds_after: float | None = None
    """Estimated time of the arms after this one; None where unknown."""


@dataclass(frozen=True, kw_only=True)
class UpdateDone:
    """One PPO update was recorded."""

    metrics: UpdateMetrics
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EvaluationDone:
    """An evaluation finished."""

    step: int
    estimates: tuple[Estimate, ...]
    comparison: Comparison | None
    """With step 0; None at step 0 itself."""
    partial: bool
    """Whether it used the interim prompts."""
    examples: tuple[tuple[str, str, str], ...] = ()
    """(prompt, answer at step 0, answer now)."""


@dataclass(frozen=True, kw_only=True)
class AlarmsChecked:
    """The alarms were checked after an evaluation; these replace those of the evaluation before."""

    step: int
    alarms: tuple[Alarm, ...]


PLACEBO = "Placebo: rewards are permuted among the answers of each update, so this run shows what no reward does."
"""Said of a run with `reward.placebo`, wherever it is shown."""

Event = Phase | Progress | Notice | RunStarted | UpdateDone | EvaluationDone | AlarmsChecked


EventHandler = Callable[[Event], None]
"""Receives every event while a command works: the live view, log lines, a function of a notebook."""


def ignore_events(event: Event) -> None:
    """Does nothing."""
