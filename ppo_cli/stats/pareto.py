"""Which of several checkpoints are worth keeping: those that no other beats in behaviour at no more KL.

Not here: how good or how far each is.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.records.measures import Better

Point = tuple[float | None, float | None]
"""KL to the reference, and behaviour."""


def pareto_front(points: Sequence[Point], better: Better) -> list[bool]:
    """Whether each point is on the trade-off curve: nobody does as well with less KL, or better with as little.

    Args:
        points: where one of the two is not known, the point is not on it.
        better: which way behaviour is better.
    """
    sign = 1 if better == "higher" else -1
    known = [(kl, sign * value) if kl is not None and value is not None else None for kl, value in points]

    def beats(other: tuple[float, float], point: tuple[float, float]) -> bool:
        return other[0] <= point[0] and other[1] >= point[1] and other != point

    return [
        point is not None and not any(other is not None and beats(other, point) for other in known) for point in known
    ]
