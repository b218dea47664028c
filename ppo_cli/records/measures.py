"""Answers on an evaluation set, their labels, and the numbers made from them.

Not here: two evaluations beside each other (`comparisons`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.answers import Answer, Expect, Prompt
from ppo_cli.records.comparisons import Comparison

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One of the K answers to a prompt of an evaluation: a row of samples.jsonl, where the answer's fields lie flat."""

    prompt_id: str
    index: int
    """0 .. K-1; `sample` in the files."""
    answer: Answer
    kl: float | None
    """Exact KL(policy || reference) summed over the answer's tokens at temperature 1, nats; first sample only."""
    entropy: float | None = None
    """Mean entropy of the policy's next-token distribution at temperature 1, nats per token; first sample only."""


@dataclass(frozen=True, kw_only=True)
class LabelledAnswer:
    """A sample with its labels, from the rules or from a person: the input of every statistic."""

    prompt: Prompt
    sample: Sample
    labels: Mapping[str, float]
    """Label name to value; yes/no labels are 1.0 and 0.0."""


Statistic = Literal[
    "mean",
    "geometric_mean",
    "ratio",
    "separation",
    "bias",
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
    heldout_agreement: float
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
    label: str
    """The label it is made from."""
    expect: Expect | None
    """Only prompts that expect this; None takes all."""
    unit: Literal["%", "", "tokens", "words", "sentences", "nats"]
    better: Better | None
    """The direction that is better, if one is."""
    definition: str
    source: str
    """Where the definition comes from."""
    equivalence_margin: float = 0.05
    """Smallest change that would matter, on the scale of the value; on the log scale for a geometric mean."""
    category_prefix: str | None = None
    """Only prompts whose category begins with this; None takes all."""
    second_label: str | None = None
    """For a ratio: the label whose sum divides. For a correlation: the other label."""
    eval_only: bool = False
    """Whether it is kept off the closing screens and shown by `ppo eval` only."""
    calibration: Calibration | None = None
    """The measured error of the rule behind it, where people's labels have been compared."""
    error: str = "exact: a count"
    """What is known of the error of the value itself, apart from the sampling of prompts and answers."""

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
    low_95: float | None
    high_95: float | None
    prompts: int
    """Prompts it rests on."""


@dataclass(frozen=True, kw_only=True)
class CategoryValue:
    """One measure over the prompts of one category."""

    estimate: Estimate
    before: float | None
    """The same of the policy it is compared with, if there is one."""
    low_95: float | None
    high_95: float | None
    """95 % interval of the difference, paired by prompt; of the logarithm of the ratio for a geometric mean."""


@dataclass(frozen=True, kw_only=True)
class Category:
    """The prompts of one category."""

    name: str
    expect: str
    """What they expect, or "mixed"."""
    prompts: int
    values: tuple[CategoryValue, ...]
    """In the order of `behaviours.measures.BY_CATEGORY`."""


@dataclass(frozen=True, kw_only=True)
class HumanLabels:
    """What people's labels say of a step against step 0."""

    step: int
    answers: int
    """Labelled, of both."""
    agree: int
    """Of these read by the rule as by the person."""
    agreement: float
    low_95: float
    high_95: float
    """95 % interval of the agreement."""
    comparison: Comparison
    """Refusals by the labels alone; a partial refusal counts."""
