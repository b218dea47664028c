"""The result of each command.

Not here: what a command reports while it works (`events`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ppo_cli.records.checks import Advice, Alarm, Check, CheckStatus, RewardExploit
from ppo_cli.records.comparisons import Comparison, FailConditionResult, MeasureChange, SeedNoise, Seeds, variables
from ppo_cli.records.measures import Category, Estimate, HumanLabels
from ppo_cli.records.short_repr import short_repr
from ppo_cli.records.splits import SplitCounts
from ppo_cli.records.training import BestCheckpoint, RunState


@short_repr("run", "folder", "updates", "reason", "alarms")
@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The result of training: the last policy against step 0."""

    run: str
    folder: str
    goal: str
    updates: int
    reason: str | None
    """Why it ended before its last update, if it did."""
    comparison: Comparison
    """The final policy against step 0 on the whole evaluation set."""
    first: Mapping[str, Any]
    """Metrics of the first update."""
    last: Mapping[str, Any]
    """Metrics of the last update."""
    checkpoint: str
    """Folder of the final policy."""
    best: BestCheckpoint | None
    """The checkpoint that did best at the interim evaluations; None where no direction is better."""
    seconds: float
    """Wall time of this process."""
    alarms: tuple[Alarm, ...] = ()
    """What the records show signs of, at the end."""
    advice: Advice | None = None


@short_repr("name", "folder", "prompts", "samples_per_prompt", "estimates")
@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """The result of an evaluation."""

    name: str
    goal: str
    folder: str
    rules: str
    prompts: int
    samples_per_prompt: int
    estimates: tuple[Estimate, ...]
    comparison: Comparison | None
    """Against step 0 of the same run on the same prompts, where there is one."""
    rewarded_measures: tuple[str, ...] = ()
    """Measures made from what a term of the reward scores."""
    categories: tuple[Category, ...] = ()
    """Category by category; empty where all prompts are of one."""
    human_labels: HumanLabels | None = None
    """What people's labels say of the same step, where there are any."""


@short_repr("name", "labels", "answers", "prompts", "estimates")
@dataclass(frozen=True, kw_only=True)
class ExternalAnswersResult:
    """The result of scoring answers that were made elsewhere."""

    name: str
    labels: str
    """File with a row of labels for each answer."""
    rules: str
    answers: int
    prompts: int
    estimates: tuple[Estimate, ...]
    """What can be known without the model."""
    categories: tuple[Category, ...]


@dataclass(frozen=True, kw_only=True)
class CheckpointRow:
    """One step of a run in a list of its checkpoints."""

    step: int
    checkpoint: str | None
    """Its folder, where it was kept."""
    kl: float | None
    """Exact KL to the reference, nats per answer."""
    primary: Estimate
    change: MeasureChange | None
    """The primary measure against step 0."""
    estimates: tuple[Estimate, ...]
    """The headlines."""
    frontier: bool = False
    """Whether no other step does as well with less KL, or better with as little."""


@short_repr("run", "primary", "prompts", "rows")
@dataclass(frozen=True, kw_only=True)
class CheckpointCurveResult:
    """Several checkpoints of a run side by side."""

    run: str
    goal: str
    primary: str
    prompts: int
    """Prompts that all of them answered."""
    of_prompts: int
    """Prompts of the whole set."""
    samples_per_prompt: int
    rows: tuple[CheckpointRow, ...]
    """By step."""
    rewarded_measures: tuple[str, ...]
    """Measures made from what a term of the reward scores."""


@short_repr("before", "after", "steps", "variables", "comparison")
@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """Two runs side by side, or two arms of several seeds each."""

    before: str
    after: str
    goal: str
    steps: tuple[int, int]
    """Update of the evaluation that stands for each run."""
    same_groups: tuple[str, ...]
    treatments: Mapping[str, tuple[Any, Any]]
    seeds: tuple[Any, Any]
    confounders: Mapping[str, tuple[str, str]]
    same_run: bool
    comparison: Comparison
    joint_variable: tuple[str, ...] = ()
    """Those of the treatments that a run declared to be one variable, before it was trained."""
    alarms: Mapping[str, tuple[Alarm, ...]] = field(default_factory=dict)
    """What the records of each run show signs of, by the run's name."""
    advice: Advice | None = None
    seed_comparison: Seeds | None = None
    """Where an arm has several seeds."""
    seed_noise: SeedNoise | None = None
    """What the seed alone does in one of the settings, where that is known."""
    waived: tuple[str, ...] = ()
    """Reasons against this comparison that were let pass; they stand wherever it is shown."""
    leaks: Mapping[str, int] = field(default_factory=dict)
    """Evaluation prompts that overlap what a run learnt from, by the run's name."""
    fail_if: tuple[FailConditionResult, ...] = ()
    page: ReportResult | None = None
    """The HTML page of this comparison, where one was asked for."""

    @property
    def variables(self) -> tuple[str, ...]:
        """What was varied, a declared bundle as one."""
        return variables(self.treatments, self.joint_variable)


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """A page that was written."""

    name: str
    """Of the run, or of both."""
    path: str
    bytes: int
    prompts: int
    """Prompts that can be read on it."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an experiment will cost, to be read as about."""

    episodes: int
    seconds: float | None
    """None when the model's size or the machine's speed is not known."""
    memory_gb: float | None
    disk_gb: float | None
    device: str
    gflops: float | None
    """Measured speed of a matrix product in the type that the weights have."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds by kind of work, where pieces of it were timed."""


@short_repr("name", "status", "checks")
@dataclass(frozen=True, kw_only=True)
class PreflightResult:
    """Whether PPO may start."""

    name: str
    """The config, or the model."""
    goal: str
    """Empty for a model alone."""
    status: CheckStatus
    """The worst line."""
    checks: tuple[Check, ...]
    examples: tuple[tuple[str, str], ...]
    """Prompts and answers to read."""
    cost: Cost | None = None
    """What the run will take; None for a model alone."""


@short_repr("name", "status", "checks", "exploits", "answers")
@dataclass(frozen=True, kw_only=True)
class RewardAuditResult:
    """What was found of a reward."""

    name: str
    """The config."""
    goal: str
    status: CheckStatus
    """The worst line."""
    checks: tuple[Check, ...]
    exploits: tuple[RewardExploit, ...]
    answers: int
    """Answers of the start model that it was tried on."""
    terms: Mapping[str, tuple[float, float, float, float]]
    """Mean, standard deviation, least and greatest value of each term over these answers."""
    examples: tuple[tuple[str, str, float], ...]
    """Prompt, answer and reward: the best and the worst paid."""


@dataclass(frozen=True, kw_only=True)
class ConfigKeyRow:
    """One key of a resolved config."""

    path: str
    value: Any
    role: Literal["frozen", "treatment", "free"]
    origin: Literal["default", "file", "override"]
    replaces: Any
    """What it would be without the file or the override, where that differs; else None."""


@short_repr("config", "train_prompts", "eval_prompts", "overlaps", "cost")
@dataclass(frozen=True, kw_only=True)
class DryRunResult:
    """What would run, what is frozen, what differs, and the cost."""

    config: str
    goal: str
    round: int
    question: str
    """The question of this round."""
    may_move: tuple[str, ...]
    """Keys that this round lets move against the run before."""
    keys: tuple[ConfigKeyRow, ...]
    train_prompts: int
    eval_prompts: int
    overlaps: int
    cost: Cost
    parent: str | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the parent."""
    notices: tuple[str, ...] = ()
    """What to look at in it."""


@short_repr("folder", "model", "notices")
@dataclass(frozen=True, kw_only=True)
class InitResult:
    """What `ppo init` wrote."""

    folder: str
    config: str
    goal: str
    prompts: Mapping[str, int]
    """Rows by file name."""
    model: str
    split: SplitCounts | None = None
    """Where the prompts are the user's own."""
    notices: tuple[str, ...] = ()
    """What was guessed or set, and what to look at."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run in a list."""

    state: RunState
    updates: int
    """Updates the config asks for."""
    primary: str
    measures: Mapping[str, Any]
    """Measures of its last whole evaluation by name; empty when there is none."""
    step: int | None
    """Update of that evaluation."""
    config: Mapping[str, Any]
    """Every key of its frozen config."""
    problem: str | None = None
    """Why it could not be read, if so."""
    rewarded_measures: tuple[str, ...] = ()
    """Measures made from what a term of its reward scores."""
    round: int = 1
    """Which group of keys may differ from its parent."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One run from its goal to its end."""

    state: RunState
    folder: str
    goal: str
    round: int
    question: str
    """The question of this round."""
    updates: int
    """Updates the config asks for."""
    parent_values: Mapping[str, Any]
    """What the parent has in place of what was changed, where it is still there."""
    step: int | None
    """Update of the last evaluation."""
    partial: bool
    """Whether that used the interim subset."""
    comparison: Comparison | None
    """That evaluation against step 0."""
    kl: tuple[float, ...]
    """Nats an answer, update by update."""
    kl_stop_at: float | None
    reward: tuple[float, ...]
    """Update by update."""
    alarms: tuple[str, ...] | None
    """Names of the alarms on record; None where nobody has looked."""
    files: tuple[str, ...]
    """What the folder holds that is worth opening."""
    next_command: str
    sweeps: tuple[str, ...] = ()
    """Files of the sets of arms that it belongs to."""
