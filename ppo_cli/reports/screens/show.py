"""The screen of `ppo show`: a summary of one run, 30 lines of 80 columns.

Not here: reading the run (`evaluation.run_summary`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.events import PLACEBO
from ppo_cli.records.results import RunSummary
from ppo_cli.records.training import RunState
from ppo_cli.reports import formatting
from ppo_cli.reports.alarms import short_name
from ppo_cli.reports.judge_error import in_order, second_judge_line
from ppo_cli.reports.live_view import sparkline
from ppo_cli.reports.sentences import change_of
from ppo_cli.reports.tables import footnotes, plain_table, plain_text, suggested_command
from ppo_cli.reports.verdicts import got_worse, verdict_label, worse_guards
from ppo_cli.text.printable import printable

WIDTH = 80
MAX_CHANGES_SHOWN = 4
LABEL_COLUMNS = 9
BEHAVIOURS = ("refusal.unsafe", "refusal.safe", "consistency.refusal", "length.tokens", "ending.eos", "kl.per_answer")
"""Measures below the primary measure."""


def run_summary_screen(summary: RunSummary) -> RenderableType:
    """What `ppo show` prints."""
    state = summary.state
    parts: list[RenderableType] = [
        plain_text(state.id, style="bold"),
        _line("goal", formatting.one_line(summary.goal, 2 * WIDTH - 20)),
        _line("round", f"{summary.round}, {summary.question}"),
        _line("changed", _changes(state, summary.parent_values)),
        _line("status", _status(state, summary.updates)),
        *([_line("placebo", PLACEBO.removeprefix("Placebo: "))] if summary.placebo else []),
        Text(),
        *_headline(summary),
        *_behaviour(summary),
        Text(),
    ]
    if summary.kl:
        limit = f", stops at {summary.kl_stop_at:g}" if summary.kl_stop_at is not None else ""
        ends = _first_and_last(summary.kl, formatting.plain)
        kl = f"{sparkline(list(summary.kl))}  {ends} nats per answer in training{limit}"
        reward = f"{sparkline(list(summary.reward))}  {_first_and_last(summary.reward, formatting.signed)} in training"
        parts += [_line("KL", kl), _line("reward", reward)]
    if state.best_step is not None:
        parts.append(_line("best", f"step {state.best_step} at the interim evaluations: {summary.folder}/best"))
    if summary.alarms is not None:
        parts.append(_line("alarms", ", ".join(map(short_name, summary.alarms)) or "none"))
    if summary.sweeps:
        parts.append(_line("sweep", ", ".join(summary.sweeps)))
    parts += [_line("folder", summary.folder), _line("files", ", ".join(summary.files[:4])), Text()]
    return Group(*parts, suggested_command("next", summary.next_command))


def _changes(state: RunState, parent_values: Mapping[str, Any]) -> str:
    words = []
    for key, value in list(state.changed_keys.items())[:MAX_CHANGES_SHOWN]:
        before = f"{format_value(parent_values[key])} → " if key in parent_values else ""
        words.append(f"{key} {before}{format_value(value)}")
    more = len(state.changed_keys) - MAX_CHANGES_SHOWN
    words += [f"{more} more"] if more > 0 else []
    against = f"against {state.parent}" if state.parent else "on the command line"
    return f"{', '.join(words)} ({against})" if words else f"nothing ({against})" if state.parent else "nothing"


def _status(state: RunState, updates: int) -> str:
    reason = f": {formatting.one_line(state.reason.rstrip('.'), WIDTH)}" if state.reason else ""
    took = f", {_took(state)}" if state.ended else ""
    return f"{formatting.status(state.status)} after {state.updates_done} of {updates} updates{took}{reason}"


def _took(state: RunState) -> str:
    try:
        seconds = datetime.fromisoformat(str(state.ended)) - datetime.fromisoformat(state.started)
    except (TypeError, ValueError):
        return "unreadable end time"
    return f"{formatting.duration(seconds.total_seconds())} after its start"


def _headline(summary: RunSummary) -> list[RenderableType]:
    """What got worse for certain, and the verdict on the primary measure, on a line each."""
    comparison = summary.comparison
    primary = change_of(comparison, comparison.primary) if comparison else None
    if comparison is None or primary is None:
        return []
    worse = [
        _line("WORSE", formatting.was_and_is(measure_named(change.name), change), style="bold red")
        for change in worse_guards(comparison)
    ]
    verdict = f"{verdict_label(primary)}, {formatting.was_and_is(measure_named(primary.name), primary)}"
    return [*worse, _line("verdict", verdict, style="red" if got_worse(comparison) and not worse else "not dim")]


def _behaviour(summary: RunSummary) -> list[RenderableType]:
    comparison = summary.comparison
    if comparison is None:
        return [Text("behaviour: no evaluation to compare with step 0 yet", style="dim")]
    shown = [
        change
        for change in in_order(comparison)
        if change.name == comparison.primary
        or (change.name in BEHAVIOURS and (change.before is not None or change.after is not None))
    ]
    table = plain_table()
    table.add_column(plain_text("behaviour"), no_wrap=True)
    for heading in ("step 0", f"step {summary.step}", "change", "95 % interval"):
        table.add_column(plain_text(heading), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for change in shown:
        table.add_row(*_cells(change, comparison))
    prompts = f"{'fixed subset of ' if summary.partial else ''}{comparison.prompts} prompts"
    notes = footnotes([change.name for change in shown], comparison.rewarded_measures, short=True)
    if comparison.second_judge is not None:
        notes.append(Text(second_judge_line(comparison.second_judge), style="dim"))
    if comparison.human_labels is not None:
        notes.append(Text(formatting.human_label_note(comparison.human_labels), style="dim"))
    answers = "answer" if comparison.samples_per_prompt == 1 else "answers"
    size = f"{prompts} × {comparison.samples_per_prompt} {answers}; ★ primary measure"
    return [table, plain_text(size, style="dim"), *notes]


def _cells(change: MeasureChange, comparison: Comparison) -> list[str]:
    measure = measure_named(change.name)
    title = f"{measure.title.strip()} {formatting.marks(comparison, change.name)}".rstrip()
    return [
        f"{'★' if change.name == comparison.primary else ' '} {title}",
        formatting.value(measure, change.before),
        formatting.value(measure, change.after),
        formatting.difference(measure, change.difference),
        formatting.interval(measure, change.low_95, change.high_95),
        formatting.arrow(measure, change),
    ]


def _first_and_last(values: Sequence[float], words: Callable[[float, int], str]) -> str:
    return f"{words(values[0], 2)} → {words(values[-1], 2)}"


def _line(label: str, text: str, style: str = "not dim") -> RenderableType:
    line = plain_text(f"{label:<{LABEL_COLUMNS}}", style="dim" if style == "not dim" else style)
    return line.append(printable(text), style=style)
