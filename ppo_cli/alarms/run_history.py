"""What the alarms read: everything that a run has recorded so far, and the few numbers that several alarms need.

Not here: thresholds, which belong to each alarm; reading the records from disk (`evaluation.run_alarms`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.measures import Measure
from ppo_cli.records.training import Episode
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.text.numbers import format_number


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """The records of a run up to one evaluation."""

    experiment: Experiment
    changed_keys: tuple[str, ...]
    """Config keys that were changed on the command line."""
    metrics: Sequence[Mapping[str, Any]]
    """Rows of metrics.jsonl."""
    episodes: Sequence[Episode]
    train: Sequence[Prompt]
    warm_start: Sequence[Prompt]
    evaluation: Sequence[Prompt]
    before: LabelMatrix
    """Answers at step 0, to the same prompts as `after`."""
    after: LabelMatrix
    comparison: Comparison
    """Of `before` and `after`."""
    measures: Mapping[str, Measure]
    """All measures by name."""

    @property
    def updates(self) -> int:
        return len(self.metrics)

    @property
    def primary(self) -> Measure:
        return self.measures[self.experiment.evaluation.primary]

    def change(self, name: str) -> MeasureChange | None:
        """How a measure changed against step 0; None where it was not measured or has no data."""
        change = next((change for change in self.comparison.changes if change.name == name), None)
        return None if change is None or change.difference is None else change

    def metric(self, name: str) -> Floats:
        """One metric of every update [updates]."""
        return np.array([row[name] for row in self.metrics], dtype=float)

    def first_and_last_third(self) -> tuple[list[Episode], list[Episode]]:
        """The episodes of the first and of the last third of the updates."""
        third = max(1, self.updates // 3)
        first = [episode for episode in self.episodes if episode.update <= third]
        last = [episode for episode in self.episodes if self.updates - third < episode.update <= self.updates]
        return first, last


@dataclass(frozen=True)
class RewardRise:
    """The mean reward per episode in the first and in the last third of the updates."""

    before: float
    after: float
    std_before: float
    """Standard deviation in the first third."""
    error: float
    """Standard error of the difference."""

    @property
    def difference(self) -> float:
        return self.after - self.before


def reward_rise(history: RunHistory) -> RewardRise | None:
    """How the reward per episode rose; None with fewer than three updates."""
    if history.updates < 3:
        return None
    first, last = (np.array([episode.reward for episode in episodes]) for episodes in history.first_and_last_third())
    if min(len(first), len(last)) < 2:
        return None
    error = math.sqrt(first.var(ddof=1) / len(first) + last.var(ddof=1) / len(last))
    return RewardRise(float(first.mean()), float(last.mean()), float(first.std(ddof=1)), error)


def improvement(measure: Measure, change: MeasureChange) -> float:
    """The change of a measure, above 0 where it is for the better; on the log scale for a geometric mean."""
    difference = change.difference or 0.0
    if measure.statistic == "geometric_mean":
        difference = math.log(difference) if difference > 0 else 0.0
    return -difference if measure.better == "lower" else difference


def format_measure(measure: Measure, value: float | None) -> str:
    """A measure's value with its unit."""
    if value is None:
        return "nothing"
    return f"{format_number(100 * value, 1)} %" if measure.unit == "%" else format_number(value)


def format_change(measure: Measure, change: MeasureChange) -> str:
    """`refusal.safe 20.0 % → 41.0 %`."""
    return f"{measure.name} {format_measure(measure, change.before)} → {format_measure(measure, change.after)}"
