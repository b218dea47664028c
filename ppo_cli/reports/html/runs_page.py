"""The page of all runs: their tree, what became of each, and all of them in one chart of behaviour against KL.

Not here: reading runs (`evaluation.viewed_runs`), the rollouts of one run (`rollouts_page`), what may run and load on a
page (`document`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.measures import Measure
from ppo_cli.reports import formatting
from ppo_cli.reports.html.document import document
from ppo_cli.reports.html.sections import IN_WORDS, direction, tone
from ppo_cli.reports.html.view_data import RunEntry, RunsPage
from ppo_cli.reports.run_changes import usual_values, what_differs
from ppo_cli.reports.run_tree import family_tree
from ppo_cli.reports.runs_chart import RunPoint, runs_chart
from ppo_cli.reports.verdicts import got_worse, verdict_label, worse_guards

KL = "kl.per_answer"


def render_runs(page: RunsPage) -> str:
    """The whole file."""
    goals = list(dict.fromkeys(goal for entry in page.entries if (goal := entry.row.config.get("goal"))))
    rows = _rows(page, several_goals=len(goals) > 1)
    return document(
        "runs.html",
        scripts=("common.js", "runs.js"),
        styles=("style.css", "view.css"),
        island=[{name: row[name] for name in ("number", "status", "verdict")} for row in rows],
        page=page,
        rows=rows,
        goal=goals[0] if len(goals) == 1 else "",
        charts=_charts(page, {row["name"]: row["number"] for row in rows}),
    )


def outcome(entry: RunEntry) -> dict[str, Any]:
    """What became of a run at its last evaluation: verdict, direction, the primary measure and KL, as shown."""
    shown: dict[str, Any] = {
        "verdict": "",
        "tone": "",
        "direction": "",
        "measure": "",
        "interval": "",
        "kl": "",
        "worse": [],
    }
    comparison = entry.comparison
    if comparison is None or (primary := _change(comparison, comparison.primary)) is None:
        return {**shown, "verdict": "not evaluated" if comparison is None else "no data"}
    measure, kl = measure_named(primary.name), _change(comparison, KL)
    at_step = f"step {entry.step}, interim prompts" if entry.partial else f"step {entry.step}"
    return {
        "verdict": verdict_label(primary) if primary.difference is not None else "no data",
        "tone": "worse" if got_worse(comparison) else tone(measure, primary),
        "direction": direction(measure, primary),
        "measure": f"{formatting.was_and_is(measure, primary)} ({at_step})",
        "interval": _interval_words(measure, primary),
        "kl": "" if kl is None else formatting.value(measure_named(KL), kl.after),
        "worse": [formatting.was_and_is(measure_named(change.name), change) for change in worse_guards(comparison)],
    }


def _interval_words(measure: Measure, change: MeasureChange) -> str:
    if change.difference is None:
        return ""
    interval = formatting.interval(measure, change.low_95, change.high_95)
    return f"{formatting.difference(measure, change.difference)} {interval}"


def _rows(page: RunsPage, *, several_goals: bool) -> list[dict[str, Any]]:
    """A row of the table per run, children right below their parent; its number is that on the chart."""
    by_name = {entry.name: entry.row for entry in page.entries}
    usual = usual_values([entry.row for entry in page.entries], page.differing) if page.entries else {}
    tree = family_tree([(entry.name, entry.row.state.parent) for entry in page.entries])
    rows = []
    for number, (index, lead) in enumerate(tree, start=1):
        entry = page.entries[index]
        state = entry.row.state
        rows.append(
            {
                "number": number,
                "name": entry.name,
                "lead": lead,
                "goal": entry.row.config.get("goal", "") if several_goals else "",
                "differs": what_differs(entry.row, by_name, usual) if entry.row.config else "",
                "placebo": bool(entry.row.config.get("reward.placebo")),
                "status": formatting.status(state.status) if entry.row.config else "unreadable",
                "updates": f"{state.updates_done}/{entry.row.updates}" if entry.row.config else "",
                "reason": state.reason or "",
                "started": state.started[: len("2026-01-31")],
                "problem": entry.row.problem or "",
                "page": entry.page,
                "report": entry.report,
                "report_problem": entry.report_problem,
                **outcome(entry),
            }
        )
    return rows


def _charts(page: RunsPage, numbers: dict[str, int]) -> list[tuple[str, str, str]]:
    """(title, what the measure means, SVG) for each primary measure that a run has."""
    points: dict[str, list[RunPoint]] = {}
    for entry in page.entries:
        if entry.comparison is not None and (point := _point(entry.comparison, numbers[entry.name])) is not None:
            points.setdefault(entry.comparison.primary, []).append(point)
    charts = []
    for index, (name, of_measure) in enumerate(sorted(points.items())):
        measure = measure_named(name)
        meaning = IN_WORDS.get(name, measure.definition)
        charts.append((measure.title.strip(), meaning, runs_chart(f"kl{index}", measure, _in_order(of_measure))))
    return charts


def _point(comparison: Comparison, number: int) -> RunPoint | None:
    """Where a run is on the chart; None without KL or a value."""
    primary, kl = _change(comparison, comparison.primary), _change(comparison, KL)
    if primary is None or kl is None or None in (primary.before, primary.after, kl.after):
        return None
    before, after, at = float(primary.before or 0), float(primary.after or 0), float(kl.after or 0)
    if not all(map(math.isfinite, (before, after, at))):
        return None
    is_ratio = measure_named(primary.name).statistic == "geometric_mean"
    ends = [
        None if end is None or not math.isfinite(end) else before * end if is_ratio else before + end
        for end in (primary.low_95, primary.high_95)
    ]
    detected = primary.verdict == "CHANGED"
    return RunPoint(
        number=number, kl=at, before=before, after=after, low_95=ends[0], high_95=ends[1], detected=detected
    )


def _in_order(points: Sequence[RunPoint]) -> list[RunPoint]:
    return sorted(points, key=lambda point: point.number)


def _change(comparison: Comparison, name: str) -> MeasureChange | None:
    return next((change for change in comparison.changes if change.name == name), None)
