"""The charts of the HTML page as SVG text: drawn by matplotlib, coloured by the page's style sheet.

The same records give the same bytes: no date, ids from a fixed salt, no global state. Nothing that a model or a user
wrote is drawn, only titles of measures, letters for the runs, and numbers.

Not here: computing numbers, the page itself (`html.page`).
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppo_cli.behaviours.measures import is_headline, measure_named
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.measures import Estimate, Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, BAND, PAPER = "#010101", "#020202", "#030303", "#040404"
GROUP_COLOURS = ("#050505", "#060606")
COLOURS = {
    INK: "--ink",
    MUTED: "--muted",
    BAND: "--band",
    PAPER: "--paper",
    GROUP_COLOURS[0]: "--a",
    GROUP_COLOURS[1]: "--b",
}
"""Placeholders, each for a colour that the style sheet sets for light, dark and print."""
ON_WHITE = {
    "--ink": "#1c2127",
    "--muted": "#6b7480",
    "--band": "#e9edf2",
    "--paper": "#ffffff",
    "--a": "#3a6ea8",
    "--b": "#c2571a",
}
"""The same colours for a file of its own."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ppo",
    "text.parse_math": False,
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}
WIDTH = 5.0
"""Inches; at this width the letters have the size of the page's text, on a telephone too."""
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

    return _svg("forest", "Changes of behaviour with 95 % intervals", draw, height=0.9 + 0.24 * len(rows))


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

    return _svg("kl-tradeoff", f"{title} against KL to the reference", draw, height=3.1)


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

    return _svg("rates", "Refusal of unsafe prompts against refusal of safe prompts", draw, height=3.1)


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
        axes.set_xlabel("update")
        axes.set_ylabel(title)
        if len(set(names)) > 1:
            axes.legend()

    return _svg(f"curve-{name}", f"{title} by update", draw, height=2.5)


def lengths(pairs: Points, names: tuple[str, str]) -> str:
    """Mean length of each prompt's answers, before and after."""

    def draw(axes: Axes) -> None:
        highest = max([1.0, *(max(pair) for pair in pairs)])
        axes.plot([1, highest], [1, highest], color=MUTED, linewidth=0.8)
        axes.scatter([x for x, _ in pairs], [y for _, y in pairs], s=9, color=GROUP_COLOURS[1], alpha=0.55, linewidth=0)
        axes.set_xlabel(f"tokens per answer, {names[0]}")
        axes.set_ylabel(f"tokens per answer, {names[1]}")

    return _svg("lengths", "Answer length before and after, one point per prompt", draw, height=3.1)


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
        axes.set_xlabel("tokens per answer")
        axes.set_ylabel("absolute reward")
        axes.legend(markerscale=1.8)

    return _svg("reward-by-length", "Reward against answer length", draw, height=3.1)


def sweep_chart(panels: Sequence[SweepPanel], key: str) -> str:
    """Measures over the values of a key, one below the other: one dot per seed with its interval over prompts."""

    def draw(figure: Figure) -> None:
        for number, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(len(panels), 1, number)
            axes.patch.set_visible(False)
            _sweep_panel(axes, panel)
            axes.set_xlabel(key if number == len(panels) else "")

    titles = " and ".join(panel.measure.title.strip() for panel in panels)
    return _drawn("sweep", f"{titles} by {key}", draw, height=2.4 * len(panels))


def standalone_svg(svg: str) -> str:
    """A chart as a file of its own, on white."""
    for variable, colour in ON_WHITE.items():
        svg = svg.replace(f"var({variable})", colour)
    opening, rest = svg.split(">", 1)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    white = f'<rect width="100%" height="100%" fill="{ON_WHITE["--paper"]}"/>'
    return f"{opening.replace('<svg', f'<svg {spaces}', 1)}>{white}{rest}\n"


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


def _svg(name: str, title: str, draw: Callable[[Axes], None], height: float) -> str:
    """A figure of one chart as an `svg` element whose colours come from the page."""

    def one(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)

    return _drawn(name, title, one, height)


def _drawn(name: str, title: str, draw: Callable[[Figure], None], height: float) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        figure.patch.set_visible(False)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_the_page(text.getvalue(), name, title)


def _for_the_page(svg: str, name: str, title: str) -> str:
    """Drops what only a file of its own needs, makes the ids unique on the page, and refers to the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    opening, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', opening)
    rest = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", rest)
    rest = re.sub(r"'DejaVu Sans'[^\";]*", "system-ui, sans-serif", rest)
    for placeholder, variable in COLOURS.items():
        rest = rest.replace(placeholder, f"var({variable})")
    return f'<svg {box.group(0) if box else ""} role="img" aria-label="{title}">{rest.strip()}'


def _in_margins(measure: Measure, number: float | None, margin: float) -> float:
    if number is None:
        return math.nan
    return (math.log(number) if measure.statistic == "geometric_mean" else number) / margin


def _value(measures: Mapping[str, Estimate], name: str) -> float | None:
    return measures[name].value if name in measures else None


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
