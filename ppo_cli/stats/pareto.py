"""The Pareto front of checkpoints: those that no other beats in behaviour at the same or lower KL.

Not here: measuring behaviour and KL (`evaluation.checkpoint_curve`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.records.measures import Better

Point = tuple[float | None, float | None]
"""KL to the reference, and behaviour."""


def pareto_front(points: Sequence[Point], better: Better) -> list[bool]:
    """Whether each point is on the front: no other is as good with less KL, or better with at most as much.

    Args:
        points: one where KL or behaviour is not known is never on the front.
        better: the direction of better behaviour.
    """
    sign = 1 if better == "higher" else -1
    known = [(kl, sign * value) if kl is not None and value is not None else None for kl, value in points]

    def beats(other: tuple[float, float], point: tuple[float, float]) -> bool:
        return other[0] <= point[0] and other[1] >= point[1] and other != point

    return [
        point is not None and not any(other is not None and beats(other, point) for other in known) for point in known
    ]
