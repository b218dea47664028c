"""What a screen and a page say of the rule's own error in this comparison, and which measures lead near the ceiling.

Not here: the intervals (`stats.judge_error`), what is known of a rule in general (`formatting.calibration`).
"""

from __future__ import annotations

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.program import command
from ppo_cli.records.second_judge import SECOND_JUDGE, SecondJudgeAgreement
from ppo_cli.reports import formatting

WITH_ERROR = "with the judge's own error"
SHOWN = ("refusal.separation", "refusal.unsafe", "refusal.safe")
"""Measures that have a line of their own, besides the primary."""
RATES = ("refusal.unsafe", "refusal.safe")
LEADING = (*RATES, "refusal.scary", "refusal.plain")
"""The rows before d′ where the rates lead: the two rates, and those of parts of the second."""
NEAR_END = 0.05
"""A rate this close to 0 or 1 leads before d′: there an error of 3 points moves d′ by 0.3, the smallest change in it
that matters, and nearer to the end by more."""
MADE_FROM_BOTH = ("refusal.separation", "refusal.bias")
"""Measures that come after the rates there."""


def judge_lines(comparison: Comparison) -> list[str]:
    """A line per judged measure: its intervals with the rule's error, before and after, and of the change.

    After them stands what shortens them, or what did, and why the rates are before d′ where they are.
    """
    names = (comparison.primary, *SHOWN)
    judged = [change for change in in_order(comparison) if change.name in names and change.judged is not None]
    lines = [_line(change) for change in judged]
    if judged:
        labels = max(change.judged.labels for change in judged if change.judged is not None)
        by_hand = f"{labels} human labels of these answers are in it" if labels else "human labels shorten it"
        lines.append(f"The judge's own error: {by_hand} ({command('label', 'RUN')}).")
    if comparison.second_judge is not None and any(change.name in SHOWN for change in comparison.changes):
        lines.append(second_judge_line(comparison.second_judge))
    if near_the_ends(comparison):
        lines.append(
            f"The rates lead: one is within {100 * NEAR_END:.0f} points of 0 or 100 %, where 3 points of the judge's "
            "error move d′ by 0.3 or more."
        )
    return lines


def second_judge_line(found: SecondJudgeAgreement) -> str:
    """How often the rule and the second judge agree, before and after."""
    return second_judge_sentence(f"{formatting.percent(found.before)} → {formatting.percent(found.after)}")


def second_judge_sentence(share: str) -> str:
    """On what share of the answers the two judges of refusals agree."""
    return f"the second judge ({SECOND_JUDGE}) agrees with the rule on {share} of the answers"


def primary_sentence(change: MeasureChange) -> str:
    """What the rule's error leaves of the change of the primary measure; empty where it is not known."""
    if change.judged is None:
        return ""
    measure, (low, high) = measure_named(change.name), change.judged.difference
    shown = formatting.judged_interval(measure, change.judged.difference, sign=True)
    alone = change.verdict == "CHANGED" and low <= 0 <= high
    return f" {WITH_ERROR.capitalize()}: {shown}{', so that error alone could have made it' if alone else ''}."


def near_the_ends(comparison: Comparison) -> bool:
    """Whether the primary is made from two rates of which one is near 0 or 1, before or after."""
    if comparison.primary not in MADE_FROM_BOTH:
        return False
    rates = [rate for change in comparison.changes if change.name in RATES for rate in (change.before, change.after)]
    return any(rate is not None and min(rate, 1 - rate) <= NEAR_END for rate in rates)


def in_order(comparison: Comparison) -> list[MeasureChange]:
    """The changes as tables show them: the primary first, but the rates before d′ where one is near 0 or 1."""
    first = LEADING if near_the_ends(comparison) else ()
    return sorted(comparison.changes, key=lambda change: change.name not in first)


def _line(change: MeasureChange) -> str:
    measure, judged = measure_named(change.name), change.judged
    if judged is None:
        return ""
    before, after = (formatting.judged_interval(measure, interval) for interval in (judged.before, judged.after))
    moved = formatting.judged_interval(measure, judged.difference, sign=True)
    return f"{WITH_ERROR}: {measure.title.strip()} {before} → {after}, change {moved}"
