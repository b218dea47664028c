"""What the alarms look at: everything that a run has recorded so far, and the few sums that several of them need.

Not here: thresholds, which belong to each alarm.
"""

from __future__ import annotations

import math
from collections import Counter
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
from ppo_cli.text.words import words

OPENING_WORDS = 4
"""Words of an opening, as in the measure `style.top_opening`."""


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """The records of a run up to one evaluation."""

    experiment: Experiment
    changed: tuple[str, ...]
    """Keys that were changed on the command line."""
    metrics: Sequence[Mapping[str, Any]]
    """Rows of metrics.jsonl."""
    episodes: Sequence[Episode]
    train: Sequence[Prompt]
    warm_start: Sequence[Prompt]
    evaluation: Sequence[Prompt]
    before: LabelMatrix
    """Answers at step 0, over the same prompts as `after`."""
    after: LabelMatrix
    comparison: Comparison
    measures: Mapping[str, Measure]

    @property
    def updates(self) -> int:
        return len(self.metrics)

    @property
    def primary(self) -> Measure:
        return self.measures[self.experiment.evaluation.primary]

    def change(self, name: str) -> MeasureChange | None:
        """How a measure changed against step 0; None where it was not measured or has no data."""
        found = next((change for change in self.comparison.changes if change.name == name), None)
        return None if found is None or found.difference is None else found

    def of_updates(self, name: str) -> Floats:
        """One metric over the updates."""
        return np.array([row[name] for row in self.metrics], dtype=float)

    def thirds(self) -> tuple[list[Episode], list[Episode]]:
        """The episodes of the first and of the last third of the updates."""
        third = max(1, self.updates // 3)
        early = [episode for episode in self.episodes if episode.update <= third]
        late = [episode for episode in self.episodes if self.updates - third < episode.update <= self.updates]
        return early, late


@dataclass(frozen=True)
class RewardRise:
    """A mean over the first and the last third of the episodes."""

    before: float
    after: float
    spread: float
    """Standard deviation of the first third."""
    error: float
    """Standard error of the difference."""

    @property
    def difference(self) -> float:
        return self.after - self.before


def reward_rise(seen: RunHistory) -> RewardRise | None:
    """How the reward of an episode rose; None with fewer than three updates."""
    if seen.updates < 3:
        return None
    early, late = (np.array([episode.reward for episode in part]) for part in seen.thirds())
    if min(len(early), len(late)) < 2:
        return None
    error = math.sqrt(early.var(ddof=1) / len(early) + late.var(ddof=1) / len(late))
    return RewardRise(float(early.mean()), float(late.mean()), float(early.std(ddof=1)), error)


def top_opening(episodes: Sequence[Episode]) -> tuple[str, float]:
    """The commonest first words of the answers, and the share of answers that begin with them."""
    openings = Counter(tuple(words(episode.answer)[:OPENING_WORDS]) for episode in episodes)
    openings.pop((), None)  # an answer without words opens with none
    if not openings:
        return "", 0.0
    opening, count = min(openings.items(), key=lambda item: (-item[1], item[0]))
    return " ".join(opening), count / len(episodes)


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
