"""Progress for a pipe or a log file: one plain line per event, and one every 20 seconds of a long phase.

Not here: the live view of a terminal (`live_view`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.events import AlarmsChecked, EvaluationDone, Event, Notice, Phase, Progress, RunStarted, UpdateDone
from ppo_cli.records.measures import Measure
from ppo_cli.reports import formatting
from ppo_cli.reports.alarms import alarm_line
from ppo_cli.reports.time_left import TimeLeft
from ppo_cli.reports.verdicts import verdict_label

SILENT_SECONDS = 20.0
"""Time without a line after which one says how far the phase is."""


class PlainLines:
    """An event handler that writes one line per event; as a context manager it writes about long phases too."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Writes nothing yet.

        Args:
            write: takes a line.
            clock: gives seconds.
        """
        self._write, self._clock = write, clock
        self._lock = threading.RLock()  # a thread writes about long phases
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="progress lines", daemon=True)
        self.phase, self.done, self.time_left = Phase(name="starting"), 0, TimeLeft(None)
        self.phase_started = self.last_line = clock()
        self.updates = 0
        self.primary = ""
        self.seconds: list[float] = []
        self.seconds_after: float | None = None
        """Seconds of the arms after this one."""

    def __enter__(self) -> PlainLines:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watcher.join()

    def write(self, line: str) -> None:
        """Writes a line."""
        with self._lock:
            self.last_line = self._clock()
            self._write(line)

    def break_silence(self) -> None:
        """Writes how far the phase is, if nothing was written for some time."""
        with self._lock:
            now = self._clock()
            if self._ended.is_set() or now - self.last_line < SILENT_SECONDS:
                return
            spent, left = now - self.phase_started, self.time_left.seconds()
            how_far = f"{self.done}/{self.phase.total} {self.phase.unit}, " if self.phase.total else ""
            how_long = "" if left is None else f", about {formatting.duration(left)} left"
            self.write(f"  {self.phase.name}: {how_far}{formatting.duration(spent)} so far{how_long}")

    def _watch(self) -> None:
        while not self._ended.wait(SILENT_SECONDS / 4):
            self.break_silence()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Phase):
                self.phase, self.done, self.phase_started = event, 0, self._clock()
                self.time_left = TimeLeft(event.total)
            elif isinstance(event, Progress):
                self.done = event.done
                self.time_left.add(event.done, self._clock())
        match event:
            case RunStarted():
                self.updates, self.primary = event.updates, event.primary
                self.seconds_after, self.seconds = event.seconds_after, []
                self.write(f"goal: {formatting.one_line(event.goal)}")
                self.write(f"run: {event.folder}{f' ({event.arm})' if event.arm else ''}")
            case Phase() if not event.name.startswith(("update ", "old and")):
                size = f" ({event.total} {event.unit})" if event.total else ""
                self.write(f"{event.name}{size}")
            case Notice():
                self.write(f"{'warning: ' if event.level == 'warning' else ''}{formatting.one_line(event.text)}")
            case UpdateDone():
                self._update(event)
            case EvaluationDone():
                self._evaluation(event)
            case AlarmsChecked():
                for alarm in event.alarms:
                    next_step = formatting.one_line(alarm.next_step)
                    self.write(f"step {event.step}: alarm: {alarm_line(alarm)}; next: {next_step}")

    def _update(self, event: UpdateDone) -> None:
        metrics = event.metrics
        self.seconds.append(event.seconds)
        left = (self.updates - metrics.update) * sum(self.seconds) / len(self.seconds)
        self.write(
            f"update {metrics.update}/{self.updates}  "
            f"reward {formatting.signed(metrics.reward, 2)} ±{metrics.reward_std:.2f}  "
            f"KL {formatting.plain(metrics.kl, 2)} nats per answer, "
            f"{formatting.plain(metrics.kl_per_token, 3)} nats per token  "
            f"length {metrics.mean_answer_tokens:.1f} tokens  ended {formatting.percent(metrics.eos_rate)}  "
            f"took {event.seconds:.1f} s  about {formatting.duration(left)} left"
            f"{f', {formatting.duration(left + self.seconds_after)} with all arms' if self.seconds_after else ''}"
        )

    def _evaluation(self, event: EvaluationDone) -> None:
        if event.comparison is None:
            return
        subset = f", fixed subset of {event.comparison.prompts} prompts" if event.partial else ""
        for change in event.comparison.changes:
            measure = measure_named(change.name)
            if change.name == self.primary or (change.verdict == "CHANGED" and not measure.eval_only):
                self.write(
                    f"step {event.step} against step 0{subset}: {measure.title.strip()} "
                    f"{formatting.value(measure, change.before)} → {formatting.value(measure, change.after)}, "
                    f"{formatting.difference(measure, change.difference)} "
                    f"{formatting.interval(measure, change.low_95, change.high_95)}  {verdict_label(change)}"
                    f"{_notes(measure, change.name in event.comparison.rewarded_measures)}"
                )


def _notes(measure: Measure, rewarded: bool) -> str:
    """The error of the rule behind a measure, and whether the reward scores it too."""
    notes = [f"{measure.calibration.rule}: {formatting.rule_error(measure.calibration)}"] if measure.calibration else []
    notes += [formatting.ALSO_REWARDED] if rewarded else []
    return f"  ({'; '.join(notes)})" if notes else ""
