"""The time that is left of a phase, from how fast it goes once it goes.

The time before the first step is left out: a model reads all prompts before it ends a first answer, and an estimate
from that pause would be hours.

Not here: how progress is shown (`live_view`, `log_lines`).
"""

from __future__ import annotations

MIN_SHARE = 0.03
"""Share of the steps that must be done after the first report of progress for an estimate. Own choice."""


class TimeLeft:
    """An estimate that is updated with every report of progress."""

    def __init__(self, total: int | None) -> None:
        """Knows nothing yet.

        Args:
            total: steps of the phase; None where unknown.
        """
        self._total = total
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)

    def add(self, done: int, now: float) -> None:
        """Takes a report of progress.

        Args:
            done: steps that are done.
            now: seconds on any clock.
        """
        if done and self._first is None:
            self._first = done, now
        self._last = done, now

    def seconds(self) -> float | None:
        """The time that is left; None as long as too little is done to say."""
        if self._total is None or self._first is None:
            return None
        (begun, at), (done, now) = self._first, self._last
        if done - begun < max(1.0, MIN_SHARE * self._total):
            return None
        return (now - at) / (done - begun) * max(0, self._total - done)
