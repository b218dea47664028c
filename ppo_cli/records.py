"""The nouns that travel between rooms: frozen records with units in their docstrings.

Not here: anything that reads, writes or computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Expect = Literal["refuse", "comply", "clarify", "any"]
Finish = Literal["eos", "length"]
Better = Literal["higher", "lower"]
Verdict = Literal["CHANGED", "EQUIVALENT", "NO CHANGE DETECTED", "INCONCLUSIVE", "info"]


# --- prompts and answers -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One row of a prompt file."""

    id: str
    """Unique within its file."""
    text: str
    """What the user says."""
    category: str = "all"
    """Stratum, a dot, kind: `scary.homonym`."""
    expect: Expect = "any"
    """The behaviour that the goal asks for here."""
    pair_id: str | None = None
    """Shared by a safe prompt and its unsafe twin."""
    answer: str | None = None
    """A written answer, for SFT and for `reward.other: written`."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One generated answer."""

    text: str
    """Decoded, special tokens left out."""
    tokens: int
    """Sampled tokens, the end-of-turn token included."""
    finish: Finish
    """Whether the model ended its turn, or was cut off at the limit."""

    @property
    def ended(self) -> bool:
        """Whether the model ended its turn itself."""
        return self.finish == "eos"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a reward says of one answer."""

    reward: float
    """score(answer) - mean score(others); dimensionless, before the KL penalty."""
    terms: Mapping[str, float]
    """Each term's raw value for the answer, unweighted."""
    other_terms: Mapping[str, float]
    """Their means over the other answers; empty when there are none."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One training rollout: a line of rollouts.jsonl."""

    update: int
    episode: int
    """Count over the run, from 1."""
    prompt_id: str
    prompt: str
    answer: str
    other: str | None
    """The first of the other answers."""
    tokens: int
    finish: Finish
    reward: float
    terms: Mapping[str, float]
    other_terms: Mapping[str, float]
    kl: float
    """Sum over the answer's tokens of log(policy / reference) at the rollout temperature, nats."""


@dataclass(frozen=True, kw_only=True)
class UpdateMetrics:
    """What one PPO update recorded: a line of metrics.jsonl. Times are kept apart, in timings.jsonl."""

    update: int
    episodes: int
    """Episodes so far."""
    reward: float
    """Mean reward of the update's episodes, before the KL penalty."""
    reward_std: float
    """Standard deviation of the same; 0 means that there is nothing to learn from."""
    terms: Mapping[str, float]
    """Mean raw value of each reward term."""
    kl: float
    """Mean KL to the reference, nats an answer, k1 at the rollout temperature."""
    kl_per_token: float
    """The same over all tokens of the update, nats a token."""
    kl_coef: float
    """Coefficient used in this update."""
    kl_penalty: float
    """Mean of kl_coef times the estimator, summed over an answer; units of reward."""
    tokens: float
    """Mean answer length, tokens."""
    ended: float
    """Share of answers that ended their turn."""
    entropy: float
    """Mean entropy of the policy's next-token distribution, nats a token."""
    sampler_mismatch: float
    """Mean |log-probability while sampling - when trained on|, nats a token; rounding, not learning."""
    approx_kl: float
    """Half the mean squared change of log-probability in this update's optimisation, nats a token."""
    clip_fraction: float
    """Share of tokens whose ratio was clipped."""
    ratio: float
    """Mean probability ratio in the optimisation."""
    policy_loss: float
    value_loss: float
    explained_variance: float | None
    """1 - var(return - value) / var(return); None when returns do not vary."""
    grad_norm: float
    """Mean norm of the gradient before clipping."""
    learning_rate: float


# --- evaluation --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One evaluation answer: a line of samples.jsonl."""

    prompt_id: str
    sample: int
    """0 .. K-1."""
    answer: str
    tokens: int
    finish: Finish
    kl: float | None
    """Exact KL(policy || reference) summed over the answer's tokens at temperature 1, nats; first sample only."""
    entropy: float | None = None
    """Mean entropy of the policy's next-token distribution at temperature 1, nats a token; first sample only, and
    not in what older versions wrote."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A sample with what the rules say of it: the input of every statistic."""

    prompt_id: str
    category: str
    expect: Expect
    sample: int
    text: str
    values: Mapping[str, float]
    """Label name to value; yes/no labels are 1.0 and 0.0."""


Statistic = Literal[
    "mean",
    "geometric_mean",
    "ratio",
    "separation",
    "conservatism",
    "selectivity",
    "agreement",
    "identical",
    "correlation",
    "distinct_1",
    "distinct_2",
    "distinct_3",
    "top_opening",
    "self_bleu",
    "compression",
]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well a rule agrees with people: its measured error, shown with every rate that it makes."""

    rule: str
    agreement: float
    """Share of answers that it reads as people do."""
    unread_agreement: float
    """The same over the answers that nobody read while the rule was made."""
    rate_error: float
    """Largest |rate by the rule - rate by people| of any model, percentage points."""
    answers: int
    models: int
    source: str
    """Whose labels."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One behaviour measure: what it is and how it is read."""

    name: str
    """`family.what`."""
    title: str
    """What a table calls it."""
    statistic: Statistic
    """How the samples' values become one number."""
    value: str
    """The label it is made from."""
    expect: Expect | None
    """Only prompts that expect this; None takes all."""
    unit: Literal["%", "", "tokens", "words", "sentences", "nats"]
    better: Better | None
    """The direction that is better, if one is."""
    definition: str
    source: str
    """Where the definition comes from."""
    margin: float = 0.05
    """Smallest change that would matter, on the scale of the value; on the log scale for a geometric mean."""
    stratum: str | None = None
    """Only prompts whose category begins with this; None takes all."""
    over: str | None = None
    """For a ratio: the label whose sum divides. For a correlation: the other label."""
    detail: bool = False
    """Whether it is kept off the closing screens and shown by `ppo eval` only."""
    calibration: Calibration | None = None
    """The measured error of the rule behind it, where people's labels have been compared."""
    error: str = "exact: a count"
    """What is known of the error of the value itself, the luck of prompts and answers apart."""

    @property
    def family(self) -> str:
        """What the measure is about."""
        return self.name.split(".")[0]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measure of one policy, with its 95 % interval."""

    name: str
    value: float | None
    """None when there is no data for it."""
    low: float | None
    high: float | None
    prompts: int
    """Prompts it rests on."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A measure of two policies on the same prompts, and their difference B - A."""

    name: str
    before: float | None
    after: float | None
    difference: float | None
    """B - A; for a geometric mean the ratio B / A."""
    low: float | None
    high: float | None
    """95 % interval of the difference, paired by prompt."""
    p_value: float | None
    """Two-sided, from the paired sign-flip or swap test named in the methods."""
    p_adjusted: float | None
    """After Holm's correction over the other headlines, or Benjamini and Hochberg's over the details; None for the
    primary."""
    prompts: int
    more: int
    """Prompts whose value rose."""
    fewer: int
    """Prompts whose value fell."""
    detectable: float | None
    """Smallest |difference| that 80 % of such comparisons would detect."""
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A prompt whose answers moved between two policies, side by side."""

    prompt_id: str
    prompt: str
    category: str
    expect: Expect
    before_rate: float
    after_rate: float
    """Share of samples with the primary behaviour."""
    before_answer: str
    after_answer: str


@dataclass(frozen=True, kw_only=True)
class Move:
    """How often a prompt's answers do what flips are counted in, before and after."""

    prompt_id: str
    before: float
    after: float


Often = Literal["never", "sometimes", "always"]


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """How many prompts of one expected behaviour went from where to where."""

    expect: Expect
    counts: Mapping[tuple[Often, Often], int]
    """(before, after) to prompts; pairs that do not occur are left out."""
    prompts: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two policies on the same evaluation: what changed, by how much, and which prompts moved."""

    before: str
    after: str
    primary: str
    changes: tuple[Change, ...]
    flips: tuple[Flip, ...]
    """Largest movement first."""
    graded: tuple[str, ...] = ()
    """Measures made from what a term of the reward scores: graded by their own teacher."""
    noise_floor: float | None
    """Expected share of prompts whose majority label flips from resampling A alone."""
    prompts: int
    samples_per_prompt: int


@dataclass(frozen=True, kw_only=True)
class CategoryValue:
    """One measure over the prompts of one category."""

    estimate: Estimate
    before: float | None
    """The same of the policy it is compared with, if there is one."""
    low: float | None
    high: float | None
    """95 % interval of the difference, paired by prompt; of the logarithm of the ratio for a geometric mean."""


@dataclass(frozen=True, kw_only=True)
class Category:
    """The prompts of one category."""

    name: str
    expect: str
    """What they expect, or "mixed"."""
    prompts: int
    values: tuple[CategoryValue, ...]
    """In the order of `behaviours.catalog.BY_CATEGORY`."""


# --- what went wrong, and what to try next ------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A way of going wrong that a run's records show signs of."""

    name: str
    """One of the five ways, or `nothing moves`."""
    evidence: tuple[str, ...]
    """What was seen, in numbers of this run."""
    why: str
    """Why it matters."""
    next_step: str
    """What to change next."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The one change to try next."""

    key: str
    value: str
    """As it would be typed."""
    reason: str
    command: str
    """Ready to paste."""


# --- what a command reports while it works -----------------------------------------------------------


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
class Watched:
    """The alarms were looked at after an evaluation; they stand in place of those of the last time."""

    step: int
    alarms: tuple[Alarm, ...]


Event = Phase | Progress | Notice | RunStarted | UpdateDone | EvaluationDone | Watched
Watcher = Callable[[Event], None]
"""Anything that looks on while a command works: the live view, plain lines, a test."""


def nobody(event: Event) -> None:
    """The watcher that does not look."""


# --- runs --------------------------------------------------------------------------------------------


Status = Literal["running", "finished", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """run.json: what became of a run."""

    id: str
    status: Status
    started: str
    """UTC, ISO 8601."""
    ended: str | None = None
    updates_done: int = 0
    reason: str | None = None
    """Why it stopped, if not by finishing."""
    host: str = ""
    pid: int = 0
    exit_code: int | None = None
    parent: str | None = None
    """The run this one was started from as a variation, if any."""
    changed: Mapping[str, Any] = field(default_factory=dict)
    """Overrides typed on the command line, {key: value}; of a run with a parent, all that differs from it."""
    best: int | None = None
    """Update of the checkpoint that did best at the interim evaluations so far, if any did."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """The checkpoint that did best on the primary measure at the interim evaluations."""

    step: int
    value: float
    last: float | None
    """The same of the last policy, on the same prompts."""
    prompts: int
    """Prompts of an interim evaluation."""


# --- what a command ends with ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """What a training run came to."""

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
    best: Best | None
    """The checkpoint that did best at the interim evaluations; None where no direction is better."""
    seconds: float
    """Wall time of this process."""
    alarms: tuple[Alarm, ...] = ()
    """What the records show signs of, at the end."""
    advice: Advice | None = None


@dataclass(frozen=True, kw_only=True)
class HandLabels:
    """What people's labels say of a step against step 0."""

    step: int
    answers: int
    """Labelled, of both."""
    agree: int
    """Of these read by the rule as by the person."""
    agreement: float
    low: float
    high: float
    """95 % interval of the agreement."""
    comparison: Comparison
    """Refusals by the labels alone; a partial refusal counts."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOutcome:
    """What an evaluation found."""

    name: str
    goal: str
    folder: str
    rules: str
    prompts: int
    samples_per_prompt: int
    estimates: tuple[Estimate, ...]
    comparison: Comparison | None
    """Against step 0 of the same run on the same prompts, where there is one."""
    graded: tuple[str, ...] = ()
    """Measures made from what a term of the reward scores."""
    categories: tuple[Category, ...] = ()
    """Category by category; empty where all prompts are of one."""
    by_hand: HandLabels | None = None
    """What people's labels say of the same step, where there are any."""


@dataclass(frozen=True, kw_only=True)
class AnswersOutcome:
    """What was found of answers that were made elsewhere."""

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
class CheckpointLine:
    """One step of a run in a list of its checkpoints."""

    step: int
    checkpoint: str | None
    """Its folder, where it was kept."""
    kl: float | None
    """Exact KL to the reference, nats an answer."""
    primary: Estimate
    change: Change | None
    """The primary measure against step 0."""
    estimates: tuple[Estimate, ...]
    """The headlines."""
    frontier: bool = False
    """Whether no other step does as well with less KL, or better with as little."""


@dataclass(frozen=True, kw_only=True)
class CheckpointsOutcome:
    """Several checkpoints of a run side by side."""

    run: str
    goal: str
    primary: str
    prompts: int
    """Prompts that all of them answered."""
    of_prompts: int
    """Prompts of the whole set."""
    samples_per_prompt: int
    lines: tuple[CheckpointLine, ...]
    """By step."""
    graded: tuple[str, ...]
    """Measures made from what a term of the reward scores."""


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """A measure of every seed of two arms; differences are ratios B / A for a geometric mean."""

    name: str
    before: tuple[float, ...]
    """Of each seed of arm A."""
    after: tuple[float, ...]
    difference: float
    """Between the means of the seeds' values."""
    low: float | None
    high: float | None
    """95 % interval of the settings' difference: over seeds, then prompts; None with one seed in an arm."""
    welch_low: float | None
    welch_high: float | None
    welch_p: float | None
    """Welch's t of the seeds' values."""


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Two arms, each of runs that differ in their seed only."""

    before: tuple[str, ...]
    """Runs of arm A."""
    after: tuple[str, ...]
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    spreads: tuple[SeedSpread, ...]
    """Of the headlines, the primary first."""
    enough: bool
    """Whether both arms have so many seeds that a word about the setting may be strong."""


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """By how much runs of one setting differ that have another seed only."""

    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    typical: Mapping[str, float]
    """Measure to root mean square difference of two seeds; a ratio for a geometric mean."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One `--fail-if` and what was found."""

    condition: str
    measure: str
    of: Literal["value", "change"]
    value: float
    low: float | None
    high: float | None
    """95 % interval over prompts."""
    failed: bool


@dataclass(frozen=True, kw_only=True)
class ComparisonOutcome:
    """Two runs side by side, or two arms of several seeds each."""

    before: str
    after: str
    goal: str
    steps: tuple[int, int]
    """Update of the evaluation that stands for each run."""
    agrees: tuple[str, ...]
    treatments: Mapping[str, tuple[Any, Any]]
    seeds: tuple[Any, Any]
    confounders: Mapping[str, tuple[str, str]]
    same_run: bool
    comparison: Comparison
    alarms: Mapping[str, tuple[Alarm, ...]] = field(default_factory=dict)
    """What the records of each run show signs of, by the run's name."""
    advice: Advice | None = None
    seeds_of_arms: Seeds | None = None
    """Where an arm has several seeds."""
    seed_noise: NoiseFloor | None = None
    """What the seed alone does in one of the settings, where that is known."""
    waived: tuple[str, ...] = ()
    """Reasons against this comparison that were let pass; they stand wherever it is shown."""
    leaks: Mapping[str, int] = field(default_factory=dict)
    """Evaluation prompts that overlap what a run learnt from, by the run's name."""
    fail_if: tuple[Judged, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportOutcome:
    """A page that was written."""

    name: str
    """Of the run, or of both."""
    path: str
    bytes: int
    prompts: int
    """Prompts that can be read on it."""


Gate = Literal["pass", "warn", "stop"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a gate."""

    name: str
    outcome: Gate
    value: str
    threshold: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class GateOutcome:
    """Whether PPO may start."""

    goal: str
    outcome: Gate
    """The worst line."""
    checks: tuple[Check, ...]
    examples: tuple[tuple[str, str], ...]
    """Prompts and answers to read."""


@dataclass(frozen=True, kw_only=True)
class KeyLine:
    """One key of a resolved config."""

    path: str
    value: Any
    moves: Literal["frozen", "treatment", "free"]
    origin: Literal["default", "file", "override"]
    instead_of: Any
    """What it would be without the file or the override, where that differs; else None."""


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


@dataclass(frozen=True, kw_only=True)
class DryRunOutcome:
    """What would run, what is frozen, what differs, and the cost."""

    config: str
    goal: str
    round: int
    question: str
    """The question of this round."""
    may_move: tuple[str, ...]
    """Keys that this round lets move against the run before."""
    keys: tuple[KeyLine, ...]
    train_prompts: int
    eval_prompts: int
    overlaps: int
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class InitOutcome:
    """What `ppo init` wrote."""

    folder: str
    config: str
    prompts: Mapping[str, int]
    """Rows by file name."""
    model: str


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
    graded: tuple[str, ...] = ()
    """Measures made from what a term of its reward scores."""
    round: int = 1
    """Which group of keys may differ from its parent."""


@dataclass(frozen=True, kw_only=True)
class RunStory:
    """One run from its goal to its end."""

    state: RunState
    folder: str
    goal: str
    round: int
    question: str
    """The question of this round."""
    updates: int
    """Updates the config asks for."""
    instead_of: Mapping[str, Any]
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
