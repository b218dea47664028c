"""The charts of the HTML page of a run or of two runs, as SVG text.

Nothing that a model or a user wrote is drawn, only titles of measures, letters for the runs, and numbers.

Not here: how a chart becomes SVG (`svg`), the chart of all runs (`runs_chart`), computing numbers, the page itself
(`html.page`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppo_cli.behaviours.measures import is_headline, measure_named
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.measures import Estimate, Measure
from ppo_cli.reports.svg import BAND, GROUP_COLOURS, INK, MUTED, PAPER, chart, drawn_chart, whole_number_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_MARGINS = 12.0
"""Right end of the forest chart, in smallest changes that matter; larger changes are drawn there."""
D_PRIME_CURVES = (0.0, 1.0, 2.0, 3.0)
"""Values of d′ whose curves are drawn behind the two refusal rates."""

Points = Sequence[tuple[float, float]]
EvaluationSeries = Sequence[tuple[int, Mapping[str, Estimate]]]
"""(step, measures by name) of each evaluation of a run."""
SEED_GAP = 0.09
"""Distance between the dots of two seeds, in steps from one value to the next."""


@dataclass(frozen=True, kw_only=True)
class SweepPanel:
    """A measure of every seed at every value of a key."""

    measure: Measure
    rows: Sequence[tuple[str, Sequence[Estimate | None]]]
    """(value, one estimate per seed; None where it was not measured)."""
    start: float | None
    """At step 0."""


def forest(comparison: Comparison, margins: Mapping[str, float]) -> str:
    """Every tested headline's change with its interval, in units of the smallest change that matters.

    Args:
        comparison: of two policies.
        margins: that smallest change, by measure; on the log scale for a geometric mean.
    """
    rows = [
        (change, measure)
        for change in comparison.changes
        for measure in (measure_named(change.name),)
        if is_headline(measure, comparison.primary) and change.verdict != "info"
        if None not in (change.difference, change.low_95, change.high_95)
    ]

    def draw(axes: Axes) -> None:
        axes.axvspan(-1, 1, color=BAND, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        for row, (change, measure) in enumerate(rows):
            low, middle, high = (
                max(-MAX_MARGINS, min(MAX_MARGINS, _in_margins(measure, number, margins[change.name])))
                for number in (change.low_95, change.difference, change.high_95)
            )
            changed = change.verdict == "CHANGED"
            axes.plot([low, high], [row, row], color=INK, linewidth=2.4 if changed else 1.2, solid_capstyle="butt")
            axes.plot(middle, row, "o", color=INK, markerfacecolor=INK if changed else PAPER, markersize=5)
        titles = [f"{'★ ' if change.name == comparison.primary else ''}{measure.title}" for change, measure in rows]
        axes.set_yticks(range(len(rows)), titles)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("change, in units of the smallest change that matters")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return chart("forest", "Changes of behaviour with 95 % intervals", draw, height=0.9 + 0.24 * len(rows))


def kl_tradeoff(series: Sequence[EvaluationSeries], names: Sequence[str], primary: str) -> str:
    """The primary measure against KL to the reference, one point per evaluation.

    Args:
        series: the evaluations of each run.
        names: what the runs are called; those of one setting share a name and a colour.
        primary: the measure.
    """
    measure = measure_named(primary)
    title = measure.title.strip()
    scale = 100 if measure.unit == "%" else 1

    def draw(axes: Axes) -> None:
        for steps, (colour, label) in zip(series, _group_legend(names), strict=True):
            known = [
                (step, kl, scale * value, measures[primary])
                for step, measures in steps
                if (kl := _value(measures, "kl.per_answer")) is not None
                and (value := _value(measures, primary)) is not None
            ]
            axes.plot(
                [kl for _, kl, _, _ in known],
                [value for _, _, value, _ in known],
                marker="o",
                markersize=4,
                color=colour,
                label=label,
            )
            for step, kl, value, estimate in known:
                if estimate.low_95 is not None and estimate.high_95 is not None:
                    axes.plot(
                        [kl, kl], [scale * estimate.low_95, scale * estimate.high_95], color=colour, linewidth=0.8
                    )
                axes.annotate(f"{step}", (kl, value), (4, 4), textcoords="offset points", color=MUTED, fontsize=7.5)
        axes.set_xlabel("KL to the reference, nats per answer (numbers: updates)")
        axes.set_ylabel(f"{title}{', %' if measure.unit == '%' else ''}")
        if len(set(names)) > 1:
            axes.legend()

    return chart("kl-tradeoff", f"{title} against KL to the reference", draw, height=3.1)


def refusal_rates(series: Sequence[EvaluationSeries], names: Sequence[str]) -> str:
    """Refusal of unsafe prompts against refusal of safe prompts, with curves of equal d′.

    Args:
        series: the evaluations of each run.
        names: what the runs are called.
    """
    from scipy.special import ndtr, ndtri

    def draw(axes: Axes) -> None:
        grid = [index / 200 for index in range(1, 200)]
        for separation in D_PRIME_CURVES:
            curve = [100 * float(ndtr(ndtri(rate) + separation)) for rate in grid]
            axes.plot([100 * rate for rate in grid], curve, color=MUTED, linewidth=0.6, linestyle=":")
            at = 9 + 12 * D_PRIME_CURVES.index(separation)
            axes.annotate(f"d′ {separation:g}", (100 * grid[at], curve[at]), color=MUTED, fontsize=7)
        for steps, (colour, label) in zip(series, _group_legend(names), strict=True):
            known = [
                (step, 100 * safe, 100 * unsafe)
                for step, measures in steps
                if (safe := _value(measures, "refusal.safe")) is not None
                and (unsafe := _value(measures, "refusal.unsafe")) is not None
            ]
            axes.plot(
                [safe for _, safe, _ in known],
                [unsafe for _, _, unsafe in known],
                marker="o",
                markersize=4,
                color=colour,
                label=label,
            )
            for step, safe, unsafe in known:
                axes.annotate(f"{step}", (safe, unsafe), (4, -9), textcoords="offset points", color=MUTED, fontsize=7.5)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 102)
        axes.set_xlabel("refusal of safe prompts, % (left is better)")
        axes.set_ylabel("refusal of unsafe prompts, % (up is better)")
        if len(set(names)) > 1:
            axes.legend(loc="lower right")

    return chart("rates", "Refusal of unsafe prompts against refusal of safe prompts", draw, height=3.1)


def curve(
    name: str,
    title: str,
    runs: Sequence[Sequence[Mapping[str, Any]]],
    names: Sequence[str],
    *,
    spread: str | None = None,
    limit: float | None = None,
) -> str:
    """A metric of each run over its updates.

    Args:
        name: the metric.
        title: the label of its axis.
        runs: rows of metrics.jsonl of each run.
        names: what the runs are called; those of one setting share a name and a colour.
        spread: a metric to draw as a band around it.
        limit: value at which training stops, drawn as a line.
    """

    def draw(axes: Axes) -> None:
        highest = 0.0
        for rows, (colour, label) in zip(runs, _group_legend(names), strict=True):
            known = [row for row in rows if _finite(row.get(name))]
            updates, values = [row["update"] for row in known], [row[name] for row in known]
            highest = max([highest, *values])
            if spread:
                low = [row[name] - row.get(spread, 0.0) for row in known]
                high = [row[name] + row.get(spread, 0.0) for row in known]
                axes.fill_between(updates, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(updates, values, color=colour, label=label)
        if limit is not None and limit < 3 * highest:
            axes.axhline(limit, color=MUTED, linestyle="--", linewidth=0.9)
            axes.annotate("stops here", (1, limit), (0, 3), textcoords="offset points", color=MUTED, fontsize=7.5)
        whole_number_ticks(axes.xaxis)
        axes.set_xlabel("update")
        axes.set_ylabel(title)
        if len(set(names)) > 1:
            axes.legend()

    return chart(f"curve-{name}", f"{title} by update", draw, height=2.5)


def lengths(pairs: Points, names: tuple[str, str]) -> str:
    """Mean length of each prompt's answers, before and after."""

    def draw(axes: Axes) -> None:
        highest = max([1.0, *(max(pair) for pair in pairs)])
        axes.plot([1, highest], [1, highest], color=MUTED, linewidth=0.8)
        axes.scatter([x for x, _ in pairs], [y for _, y in pairs], s=9, color=GROUP_COLOURS[1], alpha=0.55, linewidth=0)
        whole_number_ticks(axes.xaxis, axes.yaxis)
        axes.set_xlabel(f"tokens per answer, {names[0]}")
        axes.set_ylabel(f"tokens per answer, {names[1]}")

    return chart("lengths", "Answer length before and after, one point per prompt", draw, height=3.1)


def reward_by_length(before: Points, after: Points, names: tuple[str, str]) -> str:
    """Absolute reward against answer length for both policies, one point per prompt."""

    def draw(axes: Axes) -> None:
        for index, (points, name) in enumerate(zip((before, after), names, strict=True)):
            axes.scatter(
                [x for x, _ in points],
                [y for _, y in points],
                s=9,
                color=GROUP_COLOURS[index],
                alpha=0.5,
                linewidth=0,
                label=name,
            )
        whole_number_ticks(axes.xaxis)
        axes.set_xlabel("tokens per answer")
        axes.set_ylabel("absolute reward")
        axes.legend(markerscale=1.8)

    return chart("reward-by-length", "Reward against answer length", draw, height=3.1)


def sweep_chart(panels: Sequence[SweepPanel], key: str) -> str:
    """Measures over the values of a key, one below the other: one dot per seed with its interval over prompts."""

    def draw(figure: Figure) -> None:
        for number, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(len(panels), 1, number)
            axes.patch.set_visible(False)
            _sweep_panel(axes, panel)
            axes.set_xlabel(key if number == len(panels) else "")

    titles = " and ".join(panel.measure.title.strip() for panel in panels)
    return drawn_chart("sweep", f"{titles} by {key}", draw, height=2.4 * len(panels))


def _group_legend(names: Sequence[str]) -> list[tuple[str, str | None]]:
    """(colour, label) of each run: runs of one name share a colour, and the first of them has the label."""
    order = list(dict.fromkeys(names))
    return [
        (GROUP_COLOURS[order.index(name)], None if name in names[:index] else name) for index, name in enumerate(names)
    ]


def _sweep_panel(axes: Axes, panel: SweepPanel) -> None:
    scale = 100 if panel.measure.unit == "%" else 1
    if panel.start is not None:
        axes.axhline(scale * panel.start, color=MUTED, linestyle="--", linewidth=0.9)
        left = (-0.55, scale * panel.start)
        axes.annotate("step 0", left, (0, 3), textcoords="offset points", color=MUTED, fontsize=7.5)
    for index, (_, seeds) in enumerate(panel.rows):
        for number, estimate in enumerate(seeds):
            if estimate is None or estimate.value is None:
                continue
            at = index + SEED_GAP * (number - (len(seeds) - 1) / 2)
            if estimate.low_95 is not None and estimate.high_95 is not None:
                axes.plot(
                    [at, at], [scale * estimate.low_95, scale * estimate.high_95], color=GROUP_COLOURS[0], linewidth=0.8
                )
            axes.plot(at, scale * estimate.value, "o", color=GROUP_COLOURS[0], markersize=4.5)
    axes.set_xticks(range(len(panel.rows)), [label for label, _ in panel.rows])
    axes.set_xlim(-0.6, len(panel.rows) - 0.4)
    axes.set_ylabel(f"{panel.measure.title.strip()}{', %' if panel.measure.unit == '%' else ''}")


def _in_margins(measure: Measure, number: float | None, margin: float) -> float:
    if number is None:
        return math.nan
    return (math.log(number) if measure.statistic == "geometric_mean" else number) / margin


def _value(measures: Mapping[str, Estimate], name: str) -> float | None:
    return measures[name].value if name in measures else None


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
