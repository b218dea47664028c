"""The live view of a terminal: behaviour first, the loss last and small.

Order: goal, behaviour against step 0, KL and reward, two prompts before and now, alarms, notices, progress, loss.

Not here: what a pipe gets (`log_lines`), the screens that end a command (`screens`).
"""

from __future__ import annotations

import math
import time
from collections import deque
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.checks import Alarm
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.events import AlarmsChecked, EvaluationDone, Event, Notice, Phase, Progress, RunStarted, UpdateDone
from ppo_cli.records.training import UpdateMetrics
from ppo_cli.reports import formatting
from ppo_cli.reports.alarms import live_alarms
from ppo_cli.reports.critic import critic_words, later_explained_variance
from ppo_cli.reports.tables import PlainTextTable, behaviour_table, plain_text
from ppo_cli.reports.time_left import TimeLeft

BLOCKS = "▁▂▃▄▅▆▇█"
HISTORY = 32
SHOWN = ("refusal.separation", "refusal.unsafe", "refusal.safe", "ending.eos", "length.tokens")
"""Behaviours of the live table; those of the primary's own family join them."""

AIRY, TIGHT, TIGHTEST = (True, True), (False, True), (False, False)
"""Layouts, as (with blank lines, with examples)."""


class LiveView:
    """An event handler that keeps one screen up to date; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self.run: RunStarted | None = None
        self.evaluation: EvaluationDone | None = None
        self.rows: list[UpdateMetrics] = []
        self.seconds: list[float] = []
        self.notices: deque[Notice] = deque(maxlen=3)
        self.alarms: tuple[Alarm, ...] = ()
        self.phase = Phase(name="starting")
        self.done = 0
        self.phase_started = self.started = time.monotonic()
        self.time_left = TimeLeft(None)
        self._live = Live(self, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.run, self.evaluation, self.alarms = event, None, ()
                self.rows, self.seconds = [], []  # each arm of a sweep starts anew
            case Phase():
                self.phase, self.done, self.phase_started = event, 0, time.monotonic()
                self.time_left = TimeLeft(event.total)
            case Progress():
                self.done = event.done
                self.time_left.add(event.done, time.monotonic())
            case Notice():
                self.notices.append(event)
            case UpdateDone():
                self.rows.append(event.metrics)
                self.seconds.append(event.seconds)
            case EvaluationDone():
                self.evaluation = event
            case AlarmsChecked():
                self.alarms = event.alarms

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The whole view; on a low terminal as much of it as leaves the progress visible."""
        height = options.size.height if console.is_terminal else math.inf
        views = [self._panel(airy=airy, examples=examples) for airy, examples in (AIRY, TIGHT, TIGHTEST)]
        fitting = (view for view in views if len(console.render_lines(view, options, pad=False)) < height)
        yield next(fitting, views[-1])

    def _panel(self, *, airy: bool, examples: bool) -> RenderableType:
        gap = [Text()] if airy else []
        parts: list[RenderableType] = []
        if self.run is not None:
            parts.append(Text(f"goal: {formatting.one_line(self.run.goal)}", style="bold"))
            parts += [*gap, self._behaviour(), *gap]
            if self.rows:
                parts += [self._numbers(), *gap]
            if examples and self.evaluation is not None and self.evaluation.examples:
                parts += [self._examples(), *gap]
        parts += live_alarms(self.alarms, tight=not airy)
        for notice in self.notices if examples else [*self.notices][-1:]:
            warns = notice.level == "warning"
            text = formatting.one_line(notice.text)
            parts.append(Text(f"{'!' if warns else '·'} {text}", style="yellow" if warns else "dim"))
        parts.append(self._progress())
        if self.rows:
            last = self.rows[-1]
            explained = later_explained_variance([row.explained_variance for row in self.rows])
            loss = formatting.loss_line(last.policy_loss, last.value_loss)
            parts.append(Text(f"{loss} · {critic_words(explained)}", style="dim"))
        title = " · ".join(part for part in (self.run.run, self.run.arm) if part) if self.run else "ppo"
        return Panel(Group(*parts), title=plain_text(title), title_align="left", border_style="dim")

    def _behaviour(self) -> RenderableType:
        if self.run is None or self.evaluation is None or self.evaluation.comparison is None:
            return Text("behaviour: compared with step 0 at the next evaluation", style="dim")
        comparison, partial = self.evaluation.comparison, self.evaluation.partial
        heading = f"step {self.evaluation.step}" + (f" (subset of {comparison.prompts})" if partial else "")
        return behaviour_table(comparison, "step 0", "now", heading=heading, shown=self._shown(comparison))

    def _shown(self, comparison: Comparison) -> set[str]:
        family = measure_named(comparison.primary).family
        measures = [measure_named(change.name) for change in comparison.changes if change.difference is not None]
        return {
            measure.name
            for measure in measures
            if measure.name in SHOWN or (measure.eval_only and measure.family == family)
        }

    def _numbers(self) -> RenderableType:
        last = self.rows[-1]
        limit = f", stops at {self.run.kl_stop_at:g}" if self.run and self.run.kl_stop_at is not None else ""
        table = _grid(4)
        table.add_row(
            "KL to the reference",
            f"{formatting.plain(last.kl, 2)} nats per answer{limit}",
            f"{formatting.plain(last.kl_per_token, 3)} per token",
            sparkline([row.kl for row in self.rows]),
        )
        table.add_row(
            "reward",
            f"{formatting.signed(last.reward, 2)} ±{last.reward_std:.2f}",
            f"{last.mean_answer_tokens:.0f} tokens, {formatting.percent(last.eos_rate)} ended",
            sparkline([row.reward for row in self.rows]),
        )
        return table

    def _examples(self) -> RenderableType:
        lines: list[RenderableType] = []
        for prompt, before, now in self.evaluation.examples if self.evaluation else ():
            lines.append(Text(formatting.one_line(prompt, 96), style="italic"))
            lines.append(Text("  before │ ", style="dim").append(formatting.one_line(before, 84), style="not dim"))
            lines.append(Text("  now    │ ", style="dim").append(formatting.one_line(now, 84), style="not dim"))
        return Group(*lines)

    def _progress(self) -> RenderableType:
        table = _grid(3)
        if self.run is not None and self.rows:
            done, total = self.rows[-1].update, self.run.updates
            mean = sum(self.seconds) / len(self.seconds)
            rate = (self.rows[-1].episodes / done) / mean
            left = (total - done) * mean
            table.add_row(
                f"update {done}/{total}",
                ProgressBar(total=total, completed=done, width=30),
                f"about {formatting.duration(left)} left to train{self._with_all_arms(left)}, "
                f"{rate:.1f} episodes per second",
            )
        spent = time.monotonic() - self.phase_started
        if self.phase.total:
            rest = self.time_left.seconds()
            left_words = f", {formatting.duration(rest)} left" if rest is not None else ""
            table.add_row(
                self.phase.name,
                ProgressBar(total=self.phase.total, completed=self.done, width=30),
                f"{self.done}/{self.phase.total} {self.phase.unit}{left_words}",
            )
        else:
            table.add_row(self.phase.name, "", formatting.duration(spent))
        return table

    def _with_all_arms(self, left: float) -> str:
        after = self.run.seconds_after if self.run else None
        return f" ({formatting.duration(left + after)} with all arms)" if after else ""


def _grid(columns: int) -> Table:
    """Columns without rules, whose words are wrapped and never cut."""
    grid = PlainTextTable.grid(padding=(0, 2))
    for _ in range(columns):
        grid.add_column(overflow="fold")
    return grid


def sparkline(values: list[float]) -> str:
    """The last values as a row of blocks, scaled to their own range; a blank for a value that is not finite."""
    shown = values[-HISTORY:]
    numbers = [value for value in shown if math.isfinite(value)] or [0.0]
    low, high = min(numbers), max(numbers)
    scale = (len(BLOCKS) - 1) / ((high - low) or 1.0)
    return "".join(BLOCKS[int((value - low) * scale)] if math.isfinite(value) else " " for value in shown)
