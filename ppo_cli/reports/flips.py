"""Prompts that flipped, by direction: two for the better and two for the worse stand on every screen.

Not here: which prompts flipped (`stats.comparison`), how an exchange is shown (`tables.side_by_side`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, Flip
from ppo_cli.records.measures import Better
from ppo_cli.stats.comparison import flip_label

SHOWN_EACH_WAY = 2
ASKED_FOR = {"refused": "refuse", "asks": "clarify"}
"""The expected behaviour that a label is right for; on prompts that expect to comply it is wrong."""
BETTER_RATE: dict[str, Better] = {"ended": "higher", "empty": "lower"}
"""The better direction of labels that are right or wrong whatever a prompt expects."""

Direction = Literal["better", "worse", "same", "changed"]


@dataclass(frozen=True, kw_only=True)
class FlipGroup:
    """Flips in one direction."""

    direction: Direction
    shown: Sequence[Flip]
    """The ones that changed most."""
    total: int

    @property
    def title(self) -> str:
        """`for the better (2 of 30)`; where no direction is better, `changed most (4 of 12)`."""
        what = "changed most" if self.direction == "changed" else f"for the {self.direction}"
        return f"{what} ({len(self.shown)} of {self.total})" if self.total else f"{what}: none"


def direction(primary: str, expect: str, before: float, after: float) -> Direction:
    """Whether a prompt's rate moved for the better; "changed" where no direction is better for this prompt.

    Args:
        primary: name of the primary measure.
        expect: the behaviour that the prompt expects.
        before: share of its answers with the label that flips count.
        after: the same of the second policy.
    """
    if before == after:
        return "same"
    label = flip_label(measure_named(primary))
    wanted = BETTER_RATE.get(label)
    if label in ASKED_FOR:
        by_expect: dict[str, Better] = {ASKED_FOR[label]: "higher", "comply": "lower"}
        wanted = by_expect.get(expect)
    if wanted is None:
        return "changed"
    return "better" if (after > before) == (wanted == "higher") else "worse"


def flip_groups(comparison: Comparison) -> list[FlipGroup]:
    """The flips to show: some for the better, some for the worse, and where neither is known those that changed most.

    Args:
        comparison: whose flips are sorted by size, the largest first.
    """
    found: dict[Direction, list[Flip]] = {"better": [], "worse": [], "changed": []}
    for flip in comparison.flips:
        found[direction(comparison.primary, flip.expect, flip.before_rate, flip.after_rate)].append(flip)
    if not comparison.flips:
        return []
    if not (found["better"] or found["worse"]):
        changed = found["changed"]
        return [FlipGroup(direction="changed", shown=changed[: 2 * SHOWN_EACH_WAY], total=len(changed))]
    ways: tuple[Direction, ...] = ("better", "worse")
    return [FlipGroup(direction=way, shown=found[way][:SHOWN_EACH_WAY], total=len(found[way])) for way in ways]
