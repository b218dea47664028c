"""Lines about tasks of lm-evaluation-harness, before and after, that stand below the table of behaviour.

Not here: the values (`evaluation.capabilities`).
"""

from __future__ import annotations

from ppo_cli.records.comparisons import CapabilityChange, Comparison
from ppo_cli.reports.formatting import plain, signed


def capability_lines(comparison: Comparison) -> list[str]:
    """A line for each task that both policies answered."""
    return [_line(change) for change in comparison.capabilities]


def _line(change: CapabilityChange) -> str:
    scale, digits, unit, points = (100, 1, " %", " pp") if change.unit == "%" else (1, 3, "", "")
    difference = change.after - change.before
    line = (
        f"{change.title}: {plain(scale * change.before, digits)}{unit} → {plain(scale * change.after, digits)}{unit}, "
        f"{signed(scale * difference, digits)}{points}"
    )
    if change.low_95 is None or change.high_95 is None:
        return f"{line} ({change.examples} questions)"
    ends = f"[{signed(scale * change.low_95, digits)}, {signed(scale * change.high_95, digits)}]"
    is_worse = (change.better == "higher" and change.high_95 < 0) or (change.better == "lower" and change.low_95 > 0)
    verdict = "WORSE" if is_worse else "no certain change" if change.low_95 <= 0 <= change.high_95 else "changed"
    return f"{line} {ends}, {verdict} ({change.examples} questions)"
