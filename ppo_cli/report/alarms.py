"""How alarms and advice look: a line each while a run works, with evidence, reason and next step at its end.

Not here: what rings (`analysis.alarms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.report import formatting
from ppo_cli.report.tables import plain_text

SIGN = "▲"
ALARMS_ARE_HINTS = "Alarms explain after the fact: none is proof, and silence proves nothing."


def alarm_line(alarm: Alarm) -> str:
    """The alarm and the first thing that it saw, on one line."""
    more = f" (and {len(alarm.evidence) - 1} more)" if len(alarm.evidence) > 1 else ""
    return formatting.one_line(f"{alarm.name}: {alarm.evidence[0]}{more}")


def live_alarms(alarms: Sequence[Alarm], *, tight: bool) -> list[RenderableType]:
    """Alarms of the live view: a line each, or the names alone where lines are dear."""
    if not alarms:
        return []
    lines = [", ".join(alarm.name for alarm in alarms)] if tight else [alarm_line(alarm) for alarm in alarms]
    return [Text(f"{SIGN} {line}", style="bold red") for line in lines]


def alarm_block(alarms: Sequence[Alarm]) -> list[RenderableType]:
    """Alarms of a closing screen; nothing where none rings."""
    if not alarms:
        return []
    parts: list[RenderableType] = []
    for alarm in alarms:
        parts.append(plain_text(f"{SIGN} {alarm.name}", style="bold red"))
        parts += [Text(f"  saw   {_sentence(seen)}") for seen in alarm.evidence]
        parts += [Text(f"  why   {_sentence(alarm.why)}"), Text(f"  next  {_sentence(alarm.next_step)}")]
    return [*parts, Text(ALARMS_ARE_HINTS, style="dim"), Text()]


def alarms_of_runs(found: Mapping[str, Sequence[Alarm]]) -> list[RenderableType]:
    """Alarms of several runs, a line each under the name of its run."""
    lines = [
        Text(f"{SIGN} {formatting.one_line(run)}  {alarm_line(alarm)}", style="red")
        for run, alarms in found.items()
        for alarm in alarms
    ]
    return [*lines, Text(ALARMS_ARE_HINTS, style="dim")] if lines else []


def advice_line(advice: Advice | None) -> list[RenderableType]:
    """The one change to try next, ready to paste; a line that wraps, so that no path is cut."""
    if advice is None:
        return []
    line = plain_text(f"{'try next':<16}  ", style="dim")
    line.append(formatting.printable(advice.command), style="bold not dim")
    return [line, Text(f"{'':<16}  because {_sentence(advice.reason)}", style="dim")]


def _sentence(text: str) -> str:
    flat = formatting.one_line(text)
    return flat if flat.endswith((".", "!", "?")) else f"{flat}."
