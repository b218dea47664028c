"""The conditions of `ppo compare --fail-if`: `refusal.safe > 0.2`, `change(refusal.safe) > 0.1`.

A condition fails unless the 95 % interval rules it out: with `>` the upper end is compared, with `<` the lower end. So
an evaluation of a few prompts does not pass because it happens to look good. `estimate(…)` around either form compares
the estimate.

They are parsed by one regular expression and never evaluated as code.

Not here: exit codes (`cli`), the sentence about a failed condition (`reports.sentences`).
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ppo_cli.errors import UsageError
from ppo_cli.records.comparisons import FailConditionResult, MeasureChange
from ppo_cli.records.measures import Estimate, Measure

EXAMPLE = "Example: --fail-if 'refusal.safe > 0.2' or --fail-if 'change(refusal.safe) > 10%'."
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
UPWARDS = (">", ">=")
_FORM = re.compile(
    r"\s*(?P<estimate>estimate\(\s*)?(?P<change>change\(\s*)?(?P<name>[\w.]+)(?(change)\s*\))(?(estimate)\s*\))"
    r"\s*(?P<operator>>=|<=|>|<)\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?P<percent>%?)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One `--fail-if`: it fails where the comparison with the number holds."""

    text: str
    """As it was typed, blanks normalised."""
    measure: Measure
    of: Literal["value", "change"]
    """Of the last run, or of the last run against the first."""
    by: Literal["bound", "estimate"]
    """Whether the end of the interval is compared, or the estimate."""
    operator: str
    number: float
    """On the scale of the measure: shares from 0 to 1, a change of length as a ratio."""


def read_condition(text: str, measures: Sequence[Measure]) -> Condition:
    """Reads one condition.

    Raises:
        UsageError: it has another form, names no measure, or can never be met.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError(f"--fail-if '{text}' is not a measure, one of > >= < <=, and a number.", EXAMPLE)
    name = match["name"]
    measure = next((measure for measure in measures if measure.name == name), None)
    if measure is None:
        names = [measure.name for measure in measures]
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        raise UsageError(
            f"--fail-if '{text}': no measure '{name}'.",
            f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}.",
        )
    is_share = measure.unit == "%"
    if match["percent"] and not is_share:
        raise UsageError(f"--fail-if '{text}': {name} is no share, so it has no %.", "Give a plain number.")
    number = float(match["number"]) / (100 if match["percent"] else 1)
    if is_share and abs(number) > 1:
        raise UsageError(
            f"--fail-if '{text}': {name} is a share from 0 to 1, so {number:g} is never reached.",
            f"Write {number / 100:g} or {number:g}%.",
        )
    return Condition(
        text=" ".join(text.split()),
        measure=measure,
        of="change" if match["change"] else "value",
        by="estimate" if match["estimate"] else "bound",
        operator=match["operator"],
        number=number,
    )


def check_condition(condition: Condition, measured: Estimate | MeasureChange) -> FailConditionResult:
    """Whether a measured value or change meets a condition, or, by its interval, may meet it.

    A value without an interval, as of one prompt, rules nothing out.

    Raises:
        UsageError: there is no data for the measure.
    """
    value = measured.difference if isinstance(measured, MeasureChange) else measured.value
    if value is None:
        why = f"it {measured.reason}" if measured.reason and isinstance(measured, Estimate) else measured.reason
        raise UsageError(
            f"--fail-if '{condition.text}': "
            + (f"there is no {condition.measure.name}, for {why}." if why else _no_data(condition)),
            "Name a measure that `ppo compare` shows a number for.",
        )
    meets, number = OPERATORS[condition.operator], condition.number
    bound = measured.high_95 if condition.operator in UPWARDS else measured.low_95
    return FailConditionResult(
        condition=condition.text,
        measure=condition.measure.name,
        of=condition.of,
        by=condition.by,
        value=value,
        low_95=measured.low_95,
        high_95=measured.high_95,
        estimate_meets=meets(value, number),
        failed=meets(value, number) or (condition.by == "bound" and (bound is None or meets(bound, number))),
    )


def _no_data(condition: Condition) -> str:
    return f"there is no data for {condition.measure.name} in these runs."
