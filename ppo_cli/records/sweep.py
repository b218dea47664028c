"""A sweep over the values of one key and over seeds: its planned arms and their results.

Not here: one run (`training`), two runs side by side (`comparisons`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppo_cli.records.short_repr import short_repr


@dataclass(frozen=True, kw_only=True)
class SweepArm:
    """One arm: one value, one seed."""

    value: Any
    """Of the key that is varied; None where only the seed is."""
    seed: int
    run: str
    """Its run folder's name; empty where there is none."""
    status: str
    """As in run.json; "waiting" where nothing has begun."""
    problem: str | None = None
    """Why it failed, if it did."""
    exit_code: int = 0
    measures: Mapping[str, Any]
    """Measures of its last evaluation on the whole set, by name; empty when there is none."""
    alarms: tuple[str, ...] = ()
    """Names of the alarms that were raised at its end."""


@short_repr("name", "folder", "key", "primary", "arms")
@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """The arms of one experiment side by side."""

    name: str
    goal: str
    folder: str
    """That holds the run folders."""
    file: str
    """Where the set is kept."""
    chart: str
    """The same as a picture; empty where no arm was evaluated."""
    key: str | None
    """The one key that is varied, besides the seed."""
    primary: str
    guards: tuple[str, ...]
    """Measures that should not get worse meanwhile."""
    baseline: Mapping[str, Any]
    """Measures at step 0, by name."""
    arms: tuple[SweepArm, ...]
    """In the order in which they run."""
    command: str
    """What was typed."""
    rewarded_measures: tuple[str, ...] = ()
    """Measures made from what a term of the reward scores."""


@dataclass(frozen=True, kw_only=True)
class SweepPreview:
    """What `--dry-run` says of several arms."""

    name: str
    goal: str
    key: str | None
    arms: tuple[PlannedArm, ...]
    """In the order in which they run."""
    seconds: float | None
    """Of all that are not done, to be read as about; None when it is not known."""
    disk_gb: float | None
    device: str
    overlaps: int
    """Evaluation prompts that overlap what the policies would learn from."""
    command: str


@dataclass(frozen=True, kw_only=True)
class PlannedArm:
    """One arm that would run."""

    value: Any
    seed: int
    status: str
    """As far as this set has come; "waiting" where nothing is known."""
    seconds: float | None
    """Of the whole arm, to be read as about."""
