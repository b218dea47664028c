"""The conditions of `ppo compare --fail-if`: `refusal.safe > 0.2`, `change(refusal.safe) > 0.1`.

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
_FORM = re.compile(
    r"\s*(?:(?P<change>change)\(\s*(?P<inner>[\w.]+)\s*\)|(?P<name>[\w.]+))"
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
    name = match["inner"] or match["name"]
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
        operator=match["operator"],
        number=number,
    )


def check_condition(condition: Condition, measured: Estimate | MeasureChange) -> FailConditionResult:
    """Whether a condition holds for a measured value or change.

    Raises:
        UsageError: there is no data for the measure.
    """
    value = measured.difference if isinstance(measured, MeasureChange) else measured.value
    if value is None:
        raise UsageError(
            f"--fail-if '{condition.text}': there is no data for {condition.measure.name} in these runs.",
            "Name a measure that `ppo compare` shows a number for.",
        )
    return FailConditionResult(
        condition=condition.text,
        measure=condition.measure.name,
        of=condition.of,
        value=value,
        low_95=measured.low_95,
        high_95=measured.high_95,
        failed=OPERATORS[condition.operator](value, condition.number),
    )
