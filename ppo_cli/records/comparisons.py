"""Two policies on the same prompts: changes with their intervals, flips, verdicts.

Not here: the result of `ppo compare` (`results`), the statistics (`stats`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.answers import Expect
from ppo_cli.records.short_repr import short_repr

Verdict = Literal["CHANGED", "EQUIVALENT", "NO CHANGE DETECTED", "INCONCLUSIVE", "info"]


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
    """90 % interval: EQUIVALENT where it lies within the smallest change that matters (two one-sided tests at 5 %)."""
    p_value: float | None
    """Two-sided, from the paired sign-flip or swap test named in the methods."""
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
class PromptChange:
    """How often a prompt's answers do what flips are counted in, before and after."""

    prompt_id: str
    before: float
    after: float


Frequency = Literal["never", "sometimes", "always"]


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """How many prompts of one expected behaviour went from where to where."""

    expect: Expect
    counts: Mapping[tuple[Frequency, Frequency], int]
    """(before, after) to prompts; pairs that do not occur are left out."""
    prompts: int


@dataclass(frozen=True, kw_only=True)
class HumanLabelNote:
    """Measures that are made from people's labels in place of the rule's."""

    measures: tuple[str, ...]
    answers: int
    """Labelled, of both policies."""
    agree: int
    """Of these read by the rule as by the person."""
    prompts: int
    """Prompts with a labelled answer of both."""
    by_rule: tuple[MeasureChange, ...]
    """The same measures as the rule has them."""


@short_repr("before", "after", "primary", "verdict", "prompts")
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two policies on the same evaluation: what changed, by how much, and which prompts moved."""

    before: str
    after: str
    primary: str
    changes: tuple[MeasureChange, ...]
    flips: tuple[Flip, ...]
    """Largest movement first."""
    rewarded_measures: tuple[str, ...] = ()
    """Measures that a term of the reward scores too, and the path of each term of which it is not known what it
    scores."""
    expected_flip_rate: float | None
    """Expected share of prompts whose majority label flips from resampling A alone."""
    prompts: int
    samples_per_prompt: int
    human_labels: HumanLabelNote | None = None
    """Where people labelled enough answers of both: the changes that are theirs. Flips are always the rule's."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on the primary measure."""
        return next(change.verdict for change in self.changes if change.name == self.primary)


def variables(treatments: Iterable[str], bundle: Collection[str]) -> tuple[str, ...]:
    """What counts as one variable each: a key, or all the keys that were declared to be one."""
    together = [" with ".join(bundle)] if bundle else []
    return (*together, *(key for key in treatments if key not in bundle))


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """A measure of every seed of two arms; differences are ratios B / A for a geometric mean."""

    name: str
    before: tuple[float, ...]
    """Of each seed of arm A."""
    after: tuple[float, ...]
    difference: float
    """Between the means of the seeds' values."""
    low_95: float | None
    high_95: float | None
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
class SeedNoise:
    """By how much runs of one setting differ that have another seed only."""

    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    typical: Mapping[str, float]
    """Measure to root mean square difference of two seeds; a ratio for a geometric mean."""


@dataclass(frozen=True, kw_only=True)
class FailConditionResult:
    """One `--fail-if` and what was found."""

    condition: str
    measure: str
    of: Literal["value", "change"]
    value: float
    low_95: float | None
    high_95: float | None
    """95 % interval over prompts."""
    failed: bool
