"""The chart of all runs: a measure against KL to the reference, a numbered point per run.

Not here: how a chart becomes SVG (`svg`), the charts of one run or two (`charts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ppo_cli.records.measures import Measure
from ppo_cli.reports.svg import GROUP_COLOURS, INK, MUTED, PAPER, chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class RunPoint:
    """One run at its last evaluation, and where it started."""

    number: int
    """What the chart calls it."""
    kl: float
    """Nats per answer."""
    before: float
    """The measure at step 0."""
    after: float
    low_95: float | None
    """The interval of the change, from the value at step 0 on."""
    high_95: float | None
    detected: bool
    """Whether a change was detected."""


def runs_chart(name: str, measure: Measure, points: Sequence[RunPoint]) -> str:
    """A measure against KL; a thin line leads from step 0 of each run to its last evaluation.

    Args:
        name: of the chart, unique on its page. The marks of a run have ids that begin `NAME-runNUMBER-`.
        measure: the measure.
        points: the runs.
    """
    scale, title = 100 if measure.unit == "%" else 1, measure.title.strip()

    def draw(axes: Axes) -> None:
        for point in points:
            after, before, mark = scale * point.after, scale * point.before, f"run{point.number}"
            axes.plot([0, point.kl], [before, after], color=MUTED, linewidth=0.7, linestyle=":", gid=f"{mark}-path")
            if point.low_95 is not None and point.high_95 is not None:
                ends = [scale * point.low_95, scale * point.high_95]
                axes.plot([point.kl] * 2, ends, color=GROUP_COLOURS[0], linewidth=0.9, gid=f"{mark}-interval")
            fill = GROUP_COLOURS[0] if point.detected else PAPER
            colour, point_id = GROUP_COLOURS[0], f"{mark}-point"
            axes.plot(point.kl, after, "o", color=colour, markerfacecolor=fill, markersize=6, gid=point_id)
            words = axes.annotate(str(point.number), (point.kl, after), (6, 3), textcoords="offset points", color=INK)
            words.set_gid(f"{mark}-number")
        axes.set_xlim(left=0)
        axes.margins(x=0.08)
        axes.set_xlabel("KL to the reference, nats per answer (numbers: runs of the table)")
        axes.set_ylabel(f"{title}{', %' if measure.unit == '%' else ''}")

    return chart(name, f"{title} against KL to the reference, a point per run", draw, height=3.4)
