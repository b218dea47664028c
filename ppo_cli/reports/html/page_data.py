"""The records that an HTML page is made from.

Not here: reading them from run folders (`evaluation.report`), the page itself (`page`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.records.comparisons import Comparison, PromptChange, SeedNoise, Transitions
from ppo_cli.records.measures import Estimate, LabelledAnswer
from ppo_cli.records.results import ComparisonResult
from ppo_cli.stats.label_matrix import LabelMatrix

InterimSeries = Sequence[tuple[int, Mapping[str, Estimate]]]
"""(step, measures by name) of each evaluation of a run, in order."""


@dataclass(frozen=True, kw_only=True)
class PolicyAnswers:
    """One of the two policies that a page compares."""

    name: str
    """A, B, or the step."""
    labelled: Sequence[LabelledAnswer]
    matrix: LabelMatrix
    """The same answers as arrays."""
    seeds: Sequence[int] = ()
    """The training seed behind each of these answers, where there are several seeds."""


@dataclass(frozen=True, kw_only=True)
class RunPanel:
    """What a page shows of one run."""

    letter: str
    """What the page calls it."""
    group: str
    """What charts call it; the seeds of one setting share it."""
    name: str
    status: str
    reason: str | None
    fingerprint: str
    settings: Mapping[str, Any]
    """Every key of its frozen config."""
    metrics: Sequence[Mapping[str, Any]]
    """Rows of metrics.jsonl."""
    interim: InterimSeries
    """A few measures at each evaluation, all on the same prompts."""
    interim_prompts: int
    provenance: Mapping[str, Any]
    alarms: Sequence[Alarm] = ()
    """Alarms that its records raise."""
    started: str = ""
    """UTC, ISO 8601; empty where it is not known."""
    ended: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that is on a page."""

    title: str
    """Name of the run, or of both runs."""
    experiment: str
    """Name of the experiment."""
    goal: str
    comparison: Comparison
    result: ComparisonResult | None
    """Where two runs, or two settings of several seeds, are compared; None for one run against its own step 0."""
    sides: tuple[PolicyAnswers, PolicyAnswers]
    runs: Sequence[RunPanel]
    prompts: Mapping[str, Prompt]
    prompt_changes: Sequence[PromptChange]
    transitions: Sequence[Transitions]
    smallest_effect: float
    rules: str
    advice: Advice | None = None
    seed_noise: SeedNoise | None = None
    """How much the seed alone changes measures in the setting of one run, where that is known."""
