"""Answers on an evaluation set, their labels, and the measures that are made from labels.

Not here: two evaluations compared with each other (`comparisons`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ppo_cli.records.answers import Answer, Expect, Prompt
from ppo_cli.records.calibration import Calibration
from ppo_cli.records.comparisons import Comparison

Better = Literal["higher", "lower"]
Unit = Literal["%", "", "tokens", "words", "sentences", "nats"]


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
    fit: float | None = None
    """How well the answer fits its own prompt (`models.prompt_fit`), nats; of first samples that answer."""
    fit_rank: float | None = None
    """Share of other prompts after which the answer is less likely; of the same samples."""
    closeness: float | None = None
    """How close the answer is to its own prompt in meaning (`behaviours.closeness`); of the same samples, and with the
    extra `judge` only."""
    own: Mapping[str, float] = field(default_factory=dict)
    """The values of the config's own measures (`rewards.own_measures`), by name."""


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
class Measure:
    """One behaviour measure: its formula, unit and direction."""

    name: str
    """`family.name`, such as `refusal.safe`."""
    title: str
    """Its name in tables."""
    statistic: Statistic
    """How labels become one number (`stats.measure_statistics`, `stats.corpus_metrics`)."""
    label: str
    """The label that it is made from."""
    expect: Expect | None
    """Only prompts that expect this; None takes all."""
    unit: Unit
    better: Better | None
    """Whether higher or lower values are better; None where neither is."""
    definition: str
    source: str
    """Where the definition comes from."""
    equivalence_margin: float = 0.05
    """Smallest change that matters, on the scale of the value; on the log scale for a geometric mean."""
    category_prefix: str | None = None
    """Only prompts whose category begins with this; None takes all."""
    second_label: str | None = None
    """For a ratio, the label whose sum is the denominator; for a correlation, the other label."""
    unread_label: str | None = None
    """The label of answers in a language that its rule does not read; None of a measure that reads every language."""
    eval_only: bool = False
    """Whether only `ppo eval` shows it, not the screens that end other commands."""
    calibration: Calibration | None = None
    """The measured error of its rule, where it was compared with human labels."""
    error: str = "exact: a count"
    """What is known of the error of the value itself, apart from the sampling of prompts and answers."""

    @property
    def family(self) -> str:
        """The part of the name before the dot."""
        return self.name.split(".")[0]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measure of one policy, with its 95 % interval."""

    name: str
    value: float | None
    """None without data."""
    low_95: float | None
    high_95: float | None
    prompts: int
    """Prompts with data for it."""
    reason: str | None = None
    """Why there is no value although there is data, as d′ of a policy that refuses everything."""
    judged_95: tuple[float, float] | None = None
    """95 % interval with the error of the rule in it (`stats.judge_error`); None where it was not computed."""


@dataclass(frozen=True, kw_only=True)
class CategoryValue:
    """One measure over the prompts of one category."""

    estimate: Estimate
    before: float | None
    """The value of the policy that it is compared with; None without one."""
    low_95: float | None
    high_95: float | None
    """95 % interval of the difference, paired by prompt; of the logarithm of the ratio for a geometric mean."""


@dataclass(frozen=True, kw_only=True)
class Category:
    """The measures of one category of prompts."""

    name: str
    expect: str
    """The behaviour that its prompts expect, or "mixed"."""
    prompts: int
    values: tuple[CategoryValue, ...]
    """In the order of `behaviours.measures.BY_CATEGORY`."""


@dataclass(frozen=True, kw_only=True)
class JudgeAgreement:
    """How often a judge of a config chooses what a person did."""

    name: str
    """The measure that it gives."""
    answers: int
    """Labelled answers that it judged."""
    agree: int
    agreement: float
    """agree / answers."""
    low_95: float
    high_95: float
    """95 % interval of the agreement."""


@dataclass(frozen=True, kw_only=True)
class HumanLabels:
    """Human labels of the answers at a step and at step 0."""

    step: int
    answers: int
    """Labelled answers of both steps."""
    agree: int
    """Of these, answers that the rule labels as the person does."""
    agreement: float
    """agree / answers; where prompts were chosen by what two judges say, of all answers that these stand for."""
    low_95: float
    high_95: float
    """95 % interval of the agreement."""
    weighted: bool = False
    """Whether some labelled prompts stand for more than others."""
    comparison: Comparison
    """Refusal measures from human labels; a partial refusal counts as a refusal."""
    judges: tuple[JudgeAgreement, ...] = ()
    """Of the config's judges whose choices stand for human labels."""
