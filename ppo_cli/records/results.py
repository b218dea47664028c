"""The result of each command.

Not here: what a command reports while it works (`events`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ppo_cli.records.checks import Advice, Alarm, Check, CheckStatus, RewardExploit
from ppo_cli.records.comparisons import (
    Comparison,
    FailConditionResult,
    MeasureChange,
    PooledArm,
    SeedNoise,
    Seeds,
    variables,
)
from ppo_cli.records.measures import Better, Category, Estimate, HumanLabels
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
    """The best checkpoint at the interim evaluations; None where no direction is better."""
    seconds: float
    """Wall time of this process."""
    alarms: tuple[Alarm, ...] = ()
    """Alarms that its records raise at the end."""
    advice: Advice | None = None
    seed_noise: SeedNoise | None = None
    """How much the seed alone changes measures in its setting, where that is known."""


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
    """Measures that a term of the reward scores too."""
    categories: tuple[Category, ...] = ()
    """One per category of prompts; empty where there is only one category."""
    human_labels: HumanLabels | None = None
    """Human labels of the same step; None where there are none."""
    chosen_on: int | None = None
    """How many of the prompts the checkpoint was chosen on, as the best of several evaluations; None if it was not."""
    seed_noise: SeedNoise | None = None
    """How much the seed alone changes measures in the setting of its run, where that is known."""
    second_judge: float | None = None
    """Share of the answers on which the second judge of refusals says the same as the rule; None without it."""


@dataclass(frozen=True, kw_only=True)
class MeasureRow:
    """One measure in the list of all."""

    name: str
    title: str
    definition: str
    unit: str
    """% for a share from 0 to 1; empty for none."""
    better: Better | None
    """Whether higher or lower values are better; None where neither is."""
    eval_only: bool
    """Whether only `ppo eval` shows it, not the screens that end other commands."""
    rewarded: bool
    """Whether a term of the config's reward scores it too."""
    primary: bool
    """Whether runs of the config are judged by it."""


@short_repr("measures")
@dataclass(frozen=True, kw_only=True)
class MeasureListResult:
    """Every measure, with those of a config."""

    measures: tuple[MeasureRow, ...]
    rewarded_measures: tuple[str, ...] = ()
    """Measures that a term of the reward scores too, and the paths of opaque terms."""


@short_repr("name", "labels", "answers", "prompts", "estimates")
@dataclass(frozen=True, kw_only=True)
class ExternalAnswersResult:
    """The result of scoring answers that were made elsewhere."""

    name: str
    labels: str
    """File with one row of labels per answer."""
    rules: str
    answers: int
    prompts: int
    estimates: tuple[Estimate, ...]
    """Measures that need no model."""
    categories: tuple[Category, ...]
    notices: tuple[str, ...] = ()
    """What was guessed, put together or left out of the file."""
    second_judge: float | None = None
    """Share of the answers on which the second judge of refusals says the same as the rule; None without it."""


@dataclass(frozen=True, kw_only=True)
class CheckpointRow:
    """One checkpoint of a run in a list of its checkpoints."""

    step: int
    checkpoint: str | None
    """Its folder; None where it was removed."""
    kl: float | None
    """Exact KL to the reference, nats per answer."""
    primary: Estimate
    change: MeasureChange | None
    """The primary measure against step 0."""
    estimates: tuple[Estimate, ...]
    """The headlines."""
    frontier: bool = False
    """Whether it is on the Pareto front: no other is as good with less KL, or better with at most as much."""


@short_repr("run", "primary", "prompts", "rows")
@dataclass(frozen=True, kw_only=True)
class CheckpointCurveResult:
    """Several checkpoints of a run side by side."""

    run: str
    goal: str
    primary: str
    prompts: int
    """Prompts that every evaluation answered."""
    of_prompts: int
    """Prompts of the whole evaluation set."""
    samples_per_prompt: int
    rows: tuple[CheckpointRow, ...]
    """By step."""
    rewarded_measures: tuple[str, ...]
    """Measures that a term of the reward scores too."""


@short_repr("before", "after", "steps", "variables", "comparison")
@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """Two runs side by side, or two arms of several seeds each."""

    before: str
    after: str
    goal: str
    steps: tuple[int, int]
    """Update of the evaluation of each run."""
    same_groups: tuple[str, ...]
    """Groups of settings that must agree and do."""
    treatments: Mapping[str, tuple[Any, Any]]
    """Keys that differ, with their values in both runs; the seed is left out."""
    seeds: tuple[Any, Any]
    confounders: Mapping[str, tuple[str, str]]
    """Circumstances that differ, with their values in both runs."""
    same_run: bool
    comparison: Comparison
    joint_variable: tuple[str, ...] = ()
    """The treatments that a run declared, before it was trained, to count as one variable."""
    alarms: Mapping[str, tuple[Alarm, ...]] = field(default_factory=dict)
    """Alarms that the records of each run raise, by the run's name."""
    advice: Advice | None = None
    seed_comparison: Seeds | None = None
    """The differences over seeds, where an arm has several."""
    from_start: tuple[PooledArm, ...] = ()
    """Step 0 against the last step over the seeds of each arm that has several, where step 0 was evaluated."""
    seed_noise: SeedNoise | None = None
    """How much the seed alone changes measures in one of the settings, where that is known."""
    waived: tuple[str, ...] = ()
    """Reasons against this comparison that the user allowed; shown with every result."""
    leaks: Mapping[str, int] = field(default_factory=dict)
    """Number of evaluation prompts that overlap a run's training prompts, by the run's name."""
    fail_if: tuple[FailConditionResult, ...] = ()
    page: ReportResult | None = None
    """The HTML page of this comparison, where one was asked for."""

    @property
    def variables(self) -> tuple[str, ...]:
        """What was varied; treatments that were declared together count as one."""
        return variables(self.treatments, self.joint_variable)


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """An HTML page that was written."""

    name: str
    """Name of the run, or of both runs."""
    path: str
    bytes: int
    prompts: int
    """Number of prompts on the page."""
    primary: str = ""
    """The primary measure of the run."""
    seed_noise: SeedNoise | None = None
    """How much the seed alone changes measures in the setting of the run, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Estimated time, memory and disk of an experiment."""

    episodes: int
    seconds: float | None
    """None where the model's size or the machine's speed is unknown."""
    memory_gb: float | None
    disk_gb: float | None
    device: str
    gflops: float | None
    """Measured speed of a matrix product in the dtype of the weights, GFLOP/s."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds by kind of work, where parts of it were timed."""


@short_repr("name", "status", "checks")
@dataclass(frozen=True, kw_only=True)
class PreflightResult:
    """The result of the checks before PPO."""

    name: str
    """The config, or the model."""
    goal: str
    """Empty for a model alone."""
    status: CheckStatus
    """The worst status of the checks."""
    checks: tuple[Check, ...]
    examples: tuple[tuple[str, str], ...]
    """Prompts and answers to read."""
    cost: Cost | None = None
    """Estimate for the run; None for a model alone."""


@short_repr("name", "status", "checks", "exploits", "answers")
@dataclass(frozen=True, kw_only=True)
class RewardAuditResult:
    """The result of a reward audit."""

    name: str
    """The config."""
    goal: str
    status: CheckStatus
    """The worst status of the checks."""
    checks: tuple[Check, ...]
    exploits: tuple[RewardExploit, ...]
    answers: int
    """Number of answers of the start model that were scored."""
    terms: Mapping[str, tuple[float, float, float, float]]
    """Mean, standard deviation, minimum and maximum of each term over these answers."""
    examples: tuple[tuple[str, str, float], ...]
    """(prompt, answer, reward) of the highest and of the lowest rewards."""


@dataclass(frozen=True, kw_only=True)
class ConfigKeyRow:
    """One key of a resolved config."""

    path: str
    value: Any
    role: Literal["frozen", "treatment", "free"]
    origin: Literal["default", "file", "override"]
    replaces: Any
    """Its value without the file or the override, where that differs; else None."""


@short_repr("config", "train_prompts", "eval_prompts", "overlaps", "cost")
@dataclass(frozen=True, kw_only=True)
class DryRunResult:
    """What `ppo train` would run: settings, prompts, changes against the parent, and the cost."""

    config: str
    goal: str
    round: int
    question: str
    """The question of this round."""
    may_change: tuple[str, ...]
    """Keys that this round allows to differ from the parent."""
    keys: tuple[ConfigKeyRow, ...]
    train_prompts: int
    eval_prompts: int
    overlaps: int
    cost: Cost
    parent: str | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)
    """Keys that differ from the parent, with their new values."""
    notices: tuple[str, ...] = ()
    """Things to check before training."""


@short_repr("folder", "model", "notices")
@dataclass(frozen=True, kw_only=True)
class InitResult:
    """The experiment folder that `ppo init` wrote."""

    folder: str
    config: str
    goal: str
    prompts: Mapping[str, int]
    """Rows by file name."""
    model: str
    primary: str
    """The measure that the verdict will be about."""
    reward: Mapping[str, float]
    """The weight of each term."""
    split: SplitCounts | None = None
    """How the user's own prompts were split; None for the recipe's prompts."""
    notices: tuple[str, ...] = ()
    """What was guessed or set, and what to check."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run in a list."""

    state: RunState
    updates: int
    """Updates that the config asks for."""
    primary: str
    measures: Mapping[str, Any]
    """Measures of its last whole evaluation by name; empty when there is none."""
    step: int | None
    """Update of that evaluation."""
    config: Mapping[str, Any]
    """Every key of its frozen config."""
    problem: str | None = None
    """Why it could not be read; None where it could."""
    rewarded_measures: tuple[str, ...] = ()
    """Measures that a term of its reward scores too."""
    round: int = 1
    """Decides which keys may differ from its parent."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """The summary of one run."""

    state: RunState
    folder: str
    goal: str
    round: int
    question: str
    """The question of this round."""
    updates: int
    """Updates that the config asks for."""
    parent_values: Mapping[str, Any]
    """The parent's values of the changed keys; empty where its folder is not there."""
    step: int | None
    """Update of the last evaluation."""
    partial: bool
    """Whether that used the interim prompts."""
    comparison: Comparison | None
    """The headlines of that evaluation against step 0."""
    kl: tuple[float, ...]
    """Nats per answer, one per update."""
    kl_stop_at: float | None
    reward: tuple[float, ...]
    """Mean reward, one per update."""
    alarms: tuple[str, ...] | None
    """Names of the alarms at the last evaluation; None where they have not been checked."""
    files: tuple[str, ...]
    """Files in the folder to look into."""
    next_command: str
    sweeps: tuple[str, ...] = ()
    """Files of the sweeps that it belongs to."""
    placebo: bool = False
    """Whether its rewards were permuted."""
