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
    """The value of the varied key; None where only the seed varies."""
    seed: int
    run: str
    """Name of its run folder; empty where there is none."""
    status: str
    """As in run.json; "waiting" before it starts."""
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
    """Folder of the run folders."""
    file: str
    """The file that lists the arms."""
    chart: str
    """File of the chart; empty where no arm was evaluated."""
    key: str | None
    """The key that is varied besides the seed; None where only the seed varies."""
    primary: str
    smallest_effect: float
    """The smallest change of the primary measure that matters, as the config gives it."""
    guards: tuple[str, ...]
    """Measures that should not get worse while the primary improves."""
    baseline: Mapping[str, Any]
    """Measures at step 0, by name."""
    arms: tuple[SweepArm, ...]
    """In the order in which they run."""
    command: str
    """The command line that continues the sweep."""
    rewarded_measures: tuple[str, ...] = ()
    """Measures that a term of the reward scores too."""


@dataclass(frozen=True, kw_only=True)
class SweepPreview:
    """The preview of a sweep (`--dry-run`)."""

    name: str
    goal: str
    key: str | None
    arms: tuple[PlannedArm, ...]
    """In the order in which they run."""
    seconds: float | None
    """Estimated time of all arms that are not done; None where unknown."""
    disk_gb: float | None
    device: str
    overlaps: int
    """Evaluation prompts that overlap training prompts."""
    command: str


@dataclass(frozen=True, kw_only=True)
class PlannedArm:
    """One arm that would run."""

    value: Any
    seed: int
    status: str
    """Status of its run; "waiting" before it starts."""
    seconds: float | None
    """Estimated time of the whole arm; None where unknown."""
