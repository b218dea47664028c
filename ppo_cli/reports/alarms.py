"""How alarms and advice are shown: one line each during a run; evidence, reason, next step and rate at its end.

Not here: the alarms themselves (`ppo_cli.alarms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import plain_text, suggested_command

SIGN = "▲"
ALARMS_ARE_HINTS = "Alarms are hints, not proof; no alarm is no guarantee."


def short_name(name: str) -> str:
    """An alarm's name in a list or a table: `reward_hacking` as "reward hacking"."""
    return formatting.one_line(name.replace("_", " "))


def alarm_line(alarm: Alarm) -> str:
    """The alarm and its first piece of evidence, on one line."""
    more = f" (and {len(alarm.evidence) - 1} more)" if len(alarm.evidence) > 1 else ""
    return formatting.one_line(f"{alarm.title}: {alarm.evidence[0]}{more}")


def live_alarms(alarms: Sequence[Alarm], *, tight: bool) -> list[RenderableType]:
    """Alarms of the live view: one line each, or only their names on one line.

    Args:
        alarms: in the order of `ALARMS`.
        tight: whether the terminal is too low for one line each.
    """
    if not alarms:
        return []
    lines = [", ".join(alarm.title for alarm in alarms)] if tight else [alarm_line(alarm) for alarm in alarms]
    return [plain_text(f"{SIGN} {line}", style="bold red") for line in lines]


def alarm_block(alarms: Sequence[Alarm]) -> list[RenderableType]:
    """Alarms of a closing screen; nothing where there is none."""
    if not alarms:
        return []
    parts: list[RenderableType] = []
    for alarm in alarms:
        parts.append(plain_text(f"{SIGN} {alarm.title}", style="bold red"))
        parts += [Text(f"  evidence  {_sentence(line)}") for line in alarm.evidence]
        parts += [Text(f"  why       {_sentence(alarm.why)}"), Text(f"  next      {_sentence(alarm.next_step)}")]
        parts += [Text(f"  rate      {_sentence(alarm.rate)}", style="dim")] if alarm.rate else []
    return [*parts, Text(ALARMS_ARE_HINTS, style="dim"), Text()]


def alarms_of_runs(alarms_by_run: Mapping[str, Sequence[Alarm]]) -> list[RenderableType]:
    """Alarms of several runs, one line each after the name of its run."""
    lines = [
        Text(f"{SIGN} {formatting.one_line(run)}  {alarm_line(alarm)}", style="red")
        for run, alarms in alarms_by_run.items()
        for alarm in alarms
    ]
    rates = {alarm.name: alarm.rate for alarms in alarms_by_run.values() for alarm in alarms if alarm.rate}
    notes = [Text(f"{short_name(name)}: {_sentence(rate)}", style="dim") for name, rate in rates.items()]
    return [*lines, *notes, Text(ALARMS_ARE_HINTS, style="dim")] if lines else []


def advice_lines(advice: Advice | None) -> list[RenderableType]:
    """The one change to try next, ready to paste, and the reason for it."""
    if advice is None:
        return []
    return [
        suggested_command("try next", advice.command),
        Text(f"{'':<16}  because {_sentence(advice.reason)}", style="dim"),
    ]


def _sentence(text: str) -> str:
    flat = formatting.one_line(text)
    return flat if flat.endswith((".", "!", "?")) else f"{flat}."
