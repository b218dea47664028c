"""Two policies on the same prompts: changes with their intervals, flips, verdicts.

Not here: the result of `ppo compare` (`results`), the statistics (`stats`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.answers import Expect
from ppo_cli.records.second_judge import SecondJudgeAgreement
from ppo_cli.records.short_repr import short_repr

Interval = tuple[float, float]
Verdict = Literal["CHANGED", "EQUIVALENT", "NO CHANGE DETECTED", "INCONCLUSIVE", "info"]


@dataclass(frozen=True, kw_only=True)
class JudgedChange:
    """95 % intervals of a measure with the error of the rule in them, beside that of the choice of prompts."""

    before: Interval
    after: Interval
    difference: Interval
    """Of B - A; the rule's errors for A and for B are taken as unrelated."""
    labels: int = 0
    """Human labels of these policies' own answers that they are made with, besides the published ones."""


@dataclass(frozen=True, kw_only=True)
class MeasureChange:
    """A measure of two policies on the same prompts, and their difference B - A."""

    name: str
    before: float | None
    after: float | None
    difference: float | None
    """B - A; for a geometric mean the ratio B / A."""
    low_95: float | None
    high_95: float | None
    """95 % interval of the difference, paired by prompt."""
    low_90: float | None = None
    high_90: float | None = None
    """90 % interval; EQUIVALENT where it is within the equivalence margin (two one-sided tests at 5 %)."""
    p_value: float | None
    """Two-sided, from the paired swap test, or McNemar's test of single yes/no answers."""
    p_adjusted: float | None
    """After Holm's correction over the other headlines, or Benjamini and Hochberg's over the details; None for the
    primary."""
    prompts: int
    prompts_up: int
    """Prompts whose value rose."""
    prompts_down: int
    """Prompts whose value fell."""
    minimum_detectable: float | None
    """Smallest |difference| that 80 % of such comparisons would detect."""
    verdict: Verdict
    judged: JudgedChange | None = None
    """The same with the error of the rule; None where that is not known, and for human labels."""
    reason: str | None = None
    """Why there is no difference although there is data, as of d′ where a policy refuses everything."""


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A prompt whose answers changed between two policies, with a typical answer of each."""

    prompt_id: str
    prompt: str
    category: str
    expect: Expect
    before_rate: float
    """Share of its samples that have the label."""
    after_rate: float
    before_answer: str
    after_answer: str


@dataclass(frozen=True, kw_only=True)
class PromptChange:
    """The share of a prompt's answers with the label that flips are counted in, before and after."""

    prompt_id: str
    before: float
    after: float


Frequency = Literal["never", "sometimes", "always"]


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """How often prompts of one expected behaviour had the label before and after."""

    expect: Expect
    counts: Mapping[tuple[Frequency, Frequency], int]
    """(before, after) to number of prompts; pairs that do not occur are left out."""
    prompts: int


@dataclass(frozen=True, kw_only=True)
class HumanLabelNote:
    """Measures that are made from human labels in place of the rule's."""

    measures: tuple[str, ...]
    answers: int
    """Labelled answers of both policies."""
    agree: int
    """Of these, answers that the rule labels as the person does."""
    agreement: float
    """Their share, of all answers that the labelled ones stand for."""
    weighted: bool = False
    """Whether some labelled prompts stand for more than others, as prompts were chosen by what two judges say."""
    prompts: int
    """Prompts with a labelled answer of both policies."""
    by_rule: tuple[MeasureChange, ...]
    """The same measures from the rule."""


@dataclass(frozen=True, kw_only=True)
class CapabilityValue:
    """What one policy reaches in a task of lm-evaluation-harness."""

    value: float
    standard_error: float | None
    """As the harness estimates it, over questions; None where it gives none."""
    examples: int
    """Questions that were answered."""


@dataclass(frozen=True, kw_only=True)
class CapabilityChange:
    """A task of lm-evaluation-harness before and after: a guard against getting worse at something else."""

    name: str
    """`own.NAME`."""
    title: str
    unit: str
    """% for a share from 0 to 1."""
    better: str | None
    before: float
    after: float
    low_95: float | None
    high_95: float | None
    """95 % interval of the difference, as if both had answered different questions, which makes it wider."""
    examples: int


@short_repr("before", "after", "primary", "verdict", "prompts")
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two policies on the same prompts: what changed, by how much, and which prompts flipped."""

    before: str
    after: str
    primary: str
    changes: tuple[MeasureChange, ...]
    flips: tuple[Flip, ...]
    """Largest change first."""
    rewarded_measures: tuple[str, ...] = ()
    """Measures that a term of the reward scores too, and the path of each term of which it is not known what it
    scores."""
    expected_flip_rate: float | None
    """Expected share of prompts whose majority label flips from resampling A alone."""
    prompts: int
    samples_per_prompt: int
    human_labels: HumanLabelNote | None = None
    """The changes that are made from human labels, where there are enough of both; flips always use the rule."""
    smallest_effect: float | None = None
    """The smallest change of the primary measure that matters, as the config gives it; None where none was given."""
    capabilities: tuple[CapabilityChange, ...] = ()
    """Tasks of lm-evaluation-harness that both policies answered."""
    second_judge: SecondJudgeAgreement | None = None
    """How often the second judge of refusals says the same as the rule; None where it did not label both."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on the primary measure."""
        return next(change.verdict for change in self.changes if change.name == self.primary)


def variables(treatments: Iterable[str], joint_variable: Collection[str]) -> tuple[str, ...]:
    """The treatments, those that were declared to count as one variable joined into one."""
    joined = [" with ".join(joint_variable)] if joint_variable else []
    return (*joined, *(key for key in treatments if key not in joint_variable))


@dataclass(frozen=True, kw_only=True)
class OverSeeds:
    """A difference of means over seeds with its t test, for the prompts that all seeds answered."""

    difference: float
    """For a geometric mean the ratio."""
    low_95: float | None
    high_95: float | None
    """95 % t interval over seeds; None where there are too few, and where the difference does not vary over seeds."""
    low_90: float | None
    high_90: float | None
    """90 % t interval."""
    p_value: float | None
    """Two-sided, of the same test."""
    equivalent: bool
    """Whether the 90 % interval lies within the equivalence margin (two one-sided tests at 5 %)."""
    verdict: Verdict
    """By the two intervals alone, whatever the number of seeds; INCONCLUSIVE where there are none."""


@dataclass(frozen=True, kw_only=True)
class PooledChange:
    """A measure at step 0 and, as the mean over seeds, at the last step."""

    before: float
    after: float
    """Mean over seeds; the geometric mean for a geometric mean."""
    change: OverSeeds
    """After - before; without intervals for one seed, and where all seeds have the same value."""
    seeds: int


@dataclass(frozen=True, kw_only=True)
class PooledArm:
    """The primary measure of one arm at step 0 and, over its seeds, at the last step."""

    name: str
    """A, B, or empty where all runs are of one arm."""
    seeds: tuple[int, ...]
    pooled: PooledChange


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """A measure of every seed of two arms."""

    name: str
    before: tuple[float, ...]
    """Values of arm A, one per seed."""
    after: tuple[float, ...]
    paired: bool
    """Whether both arms have the same seeds, so that the test is of differences within pairs; else it is Welch's."""
    change: OverSeeds
    """B - A of the means over seeds."""


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Two arms, each of runs that differ in their seed only, and their differences over seeds."""

    before: tuple[str, ...]
    """Runs of arm A."""
    after: tuple[str, ...]
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    spreads: tuple[SeedSpread, ...]
    """One per headline, the primary first."""
    enough: bool
    """Whether both arms have enough seeds (`seed_variance.MIN_SEEDS`) to claim an effect of the setting."""


@dataclass(frozen=True, kw_only=True)
class SeedNoise:
    """How much runs of one setting differ through their seed alone."""

    seeds: tuple[int, ...]
    deviation: Mapping[str, float]
    """Measure name to the standard deviation over seeds; a ratio for a geometric mean."""
    measured: str
    """Date on which the last of the runs ended."""
    runs: tuple[str, ...] = ()
    """Names of the runs; empty where a recipe ships it."""
    recipe: str = ""
    """Name of the recipe that ships it; empty where runs were compared here."""


@dataclass(frozen=True, kw_only=True)
class FailConditionResult:
    """One `--fail-if` and the value that it was checked on."""

    condition: str
    measure: str
    of: Literal["value", "change"]
    by: Literal["bound", "estimate"] = "bound"
    """Whether the end of the interval was compared with the number, or the estimate."""
    value: float
    low_95: float | None
    high_95: float | None
    """95 % interval over prompts."""
    estimate_meets: bool = True
    """Whether the estimate itself meets the condition."""
    failed: bool
