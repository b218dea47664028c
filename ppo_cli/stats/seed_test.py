"""The t test over seeds: interval, p-value and verdict of a difference whose standard error is over seeds.

Not here: which differences these are (`seed_variance`, `pooled_seeds`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from ppo_cli.records.comparisons import OverSeeds, Verdict
from ppo_cli.records.measures import Measure
from ppo_cli.stats.intervals import EQUIVALENCE_LEVEL, LEVEL, t_interval
from ppo_cli.stats.resampling import TIE


@dataclass(frozen=True, kw_only=True)
class SeedTest:
    """A difference with its t test over seeds; on the log scale for a geometric mean."""

    difference: float
    interval_95: tuple[float, float] | None
    """None where there are too few seeds for one, and where the difference does not vary over seeds."""
    interval_90: tuple[float, float] | None
    p_value: float | None

    def as_over_seeds(self, measure: Measure) -> OverSeeds:
        """The same as it is shown, with the verdict.

        Args:
            measure: that the difference is of, with the smallest change of it that matters.
        """
        on_scale = math.exp if measure.statistic == "geometric_mean" else float

        def shown(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
            return (on_scale(interval[0]), on_scale(interval[1])) if interval else (None, None)

        (low_95, high_95), (low_90, high_90) = shown(self.interval_95), shown(self.interval_90)
        return OverSeeds(
            difference=on_scale(self.difference),
            low_95=low_95,
            high_95=high_95,
            low_90=low_90,
            high_90=high_90,
            p_value=self.p_value,
            equivalent=self._is_within(measure.equivalence_margin),
            verdict=self._verdict(measure.equivalence_margin),
        )

    def _is_within(self, margin: float) -> bool:
        return self.interval_90 is not None and -margin < self.interval_90[0] and self.interval_90[1] < margin

    def _verdict(self, margin: float) -> Verdict:
        if self.interval_95 is None:
            return "INCONCLUSIVE"
        if self.interval_95[0] > 0 or self.interval_95[1] < 0:
            return "CHANGED"
        return "EQUIVALENT" if self._is_within(margin) else "NO CHANGE DETECTED"


def no_test(difference: float) -> SeedTest:
    """A difference without a test: of too few seeds, or of seeds that do not vary."""
    return SeedTest(difference=difference, interval_95=None, interval_90=None, p_value=None)


def t_test(difference: float, error: float, freedom: float) -> SeedTest:
    """A difference with its standard error over seeds.

    Args:
        difference: of means over seeds.
        error: its standard error. Where it is 0, up to rounding, there is no test: a few answers to a few prompts often
            give all seeds the same value by chance.
        freedom: degrees of freedom.
    """
    if error < TIE:
        return no_test(difference)
    return SeedTest(
        difference=difference,
        interval_95=t_interval(difference, error, freedom, LEVEL),
        interval_90=t_interval(difference, error, freedom, EQUIVALENCE_LEVEL),
        p_value=2 * float(stats.t.sf(abs(difference) / error, freedom)),
    )
