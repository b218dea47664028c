"""The screen of `ppo show`: one run's story, 30 lines of 80 columns.

Not here: reading the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.results import RunSummary
from ppo_cli.records.training import RunState
from ppo_cli.report import formatting
from ppo_cli.report.live_view import sparkline
from ppo_cli.report.tables import footnotes, plain_table, plain_text

WIDTH = 80
CHANGES_SHOWN = 4
LABEL = 9
BEHAVIOURS = ("refusal.unsafe", "refusal.safe", "consistency.refusal", "length.tokens", "ending.eos", "kl.per_answer")
"""What stands below the primary measure."""


def run_summary_screen(story: RunSummary) -> RenderableType:
    """What `ppo show` prints."""
    state = story.state
    parts: list[RenderableType] = [
        plain_text(state.id, style="bold"),
        _line("goal", formatting.one_line(story.goal, 2 * WIDTH - 20)),
        _line("round", f"{story.round}, {story.question}"),
        _line("changed", _changed(state, story.parent_values)),
        _line("ended", _ended(state, story.updates)),
        Text(),
        *_behaviour(story),
        Text(),
    ]
    if story.kl:
        stop = f", stops at {story.kl_stop_at:g}" if story.kl_stop_at is not None else ""
        parts += [
            _line(
                "KL", f"{sparkline(list(story.kl))}  {_reward_and_kl(story.kl, formatting.plain)} nats an answer{stop}"
            ),
            _line("reward", f"{sparkline(list(story.reward))}  {_reward_and_kl(story.reward, formatting.signed)}"),
        ]
    if state.best_step is not None:
        parts.append(_line("best", f"step {state.best_step} at the interim evaluations: {story.folder}/best"))
    if story.alarms is not None:
        parts.append(_line("alarms", ", ".join(story.alarms) or "none rang"))
    if story.sweeps:
        parts.append(_line("arm of", ", ".join(story.sweeps)))
    parts += [_line("folder", story.folder), _line("in it", ", ".join(story.files[:4])), Text()]
    return Group(
        *parts, Text("next  ", style="dim").append(formatting.printable(story.next_command), style="bold not dim")
    )


def _changed(state: RunState, instead_of: Mapping[str, Any]) -> str:
    words = []
    for key, value in list(state.changed_keys.items())[:CHANGES_SHOWN]:
        before = f"{format_value(instead_of[key])} → " if key in instead_of else ""
        words.append(f"{key} {before}{format_value(value)}")
    more = len(state.changed_keys) - CHANGES_SHOWN
    words += [f"{more} more"] if more > 0 else []
    against = f"against {state.parent}" if state.parent else "typed over its config"
    return f"{', '.join(words)} ({against})" if words else f"nothing ({against})" if state.parent else "nothing"


def _ended(state: RunState, updates: int) -> str:
    reason = f": {formatting.one_line(state.reason.rstrip('.'), WIDTH)}" if state.reason else ""
    took = f", {_took(state)}" if state.ended else ""
    return f"{state.status} after {state.updates_done} of {updates} updates{took}{reason}"


def _took(state: RunState) -> str:
    try:
        spent = datetime.fromisoformat(str(state.ended)) - datetime.fromisoformat(state.started)
    except (TypeError, ValueError):
        return "at a time that cannot be read"
    return f"{formatting.duration(spent.total_seconds())} from its start"


def _behaviour(story: RunSummary) -> list[RenderableType]:
    comparison = story.comparison
    if comparison is None:
        return [Text("behaviour: no evaluation to hold against step 0 yet", style="dim")]
    chosen = [change for change in comparison.changes if change.name == comparison.primary]
    chosen += [change for change in comparison.changes if change.name in BEHAVIOURS and change not in chosen]
    subset = f", fixed subset of {comparison.prompts} prompts" if story.partial else f", {comparison.prompts} prompts"
    table = plain_table()
    table.add_column(plain_text("behaviour"), no_wrap=True)
    for heading in ("step 0", f"step {story.step}", "change", "95 % interval"):
        table.add_column(plain_text(heading), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for change in chosen:
        table.add_row(*_cells(change, comparison))
    notes = footnotes([change.name for change in chosen], comparison.rewarded_measures, short=True)
    if comparison.human_labels is not None:
        notes.append(Text(formatting.human_label_note(comparison.human_labels), style="dim"))
    return [
        table,
        plain_text(f"{comparison.samples_per_prompt} answers a prompt{subset}; ★ is judged", style="dim"),
        *notes,
    ]


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


def _reward_and_kl(values: Sequence[float], words: Any) -> str:  # noqa: ANN401 - a function of `wording`
    return f"{words(values[0], 2)} → {words(values[-1], 2)}"


def _line(label: str, text: str) -> RenderableType:
    line = plain_text(f"{label:<{LABEL}}", style="dim")
    return line.append(formatting.printable(text), style="not dim")
