"""The screens of `ppo runs`: the runs as a tree below their parents, and the keys in which they differ.

Not here: reading runs (`evaluation.run_list`), the tree (`reports.run_tree`), what differs (`reports.run_changes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.behaviours.measures.own import declared_measure
from ppo_cli.experiment.values import format_value
from ppo_cli.records.program import command, first_commands
from ppo_cli.records.results import RunRow
from ppo_cli.records.training import COMPLETED_STATUSES
from ppo_cli.reports import formatting
from ppo_cli.reports.run_changes import listed, usual_values, what_differs
from ppo_cli.reports.run_tree import family_tree
from ppo_cli.reports.tables import WideOrStacked, footnotes, plain_table, plain_text, suggested_command, unwrapped_table


def runs_screen(rows: Sequence[RunRow], differing: Sequence[str], runs_dir: str) -> RenderableType:
    """What `ppo runs` shows.

    Args:
        rows: the runs.
        differing: keys that are not the same in all of them.
        runs_dir: their folder.
    """
    if not rows:
        return _no_runs(runs_dir)
    most = usual_values(rows, differing)
    primaries = sorted({row.primary for row in rows if row.primary})
    table = plain_table()
    for heading in ("run", "status", "updates", *primaries):
        table.add_column(heading, no_wrap=True)
    table.add_column("differs from most runs in", overflow="fold")
    by_name = {row.state.id: row for row in rows}
    for index, lead in family_tree([(row.state.id, row.state.parent) for row in rows]):
        row, name = rows[index], f"{lead}{rows[index].state.id}"
        if row.problem:
            table.add_row(name, Text("unreadable", style="red"))
            continue
        failed = row.state.status in ("failed", "interrupted")
        table.add_row(
            name,
            Text(formatting.status(row.state.status), style="red" if failed else "default"),
            f"{row.state.updates_done}/{row.updates}",
            *[_measured(row, name) for name in primaries],
            what_differs(row, by_name, most) or formatting.MISSING,
        )
    notes = footnotes(primaries, {name for row in rows for name in row.rewarded_measures})
    usual = [plain_text(f"most runs: {listed(most)}", style="dim")] if most else []
    return Group(
        table, *notes, *usual, *_problems(rows), *_placebos(rows), *_best_steps(rows), *_resumable(rows, runs_dir)
    )


def run_differences_screen(rows: Sequence[RunRow], differing: Sequence[str], runs_dir: str) -> RenderableType:
    """What `ppo runs --diff` shows: a column for each key that is not the same in all runs.

    Args:
        rows: the runs.
        differing: those keys.
        runs_dir: their folder.
    """
    if not rows:
        return _no_runs(runs_dir)
    if not differing:
        return plain_text("No key differs between these runs.")
    readable = [row for row in rows if not row.problem]
    rows_of_cells, lines = [], list[RenderableType]()
    for index, lead in family_tree([(row.state.id, row.state.parent) for row in readable]):
        row = readable[index]
        values = [format_value(row.config.get(path)) for path in differing]
        rows_of_cells.append((f"{lead}{row.state.id}", *values))
        lines.append(plain_text(f"{lead}{row.state.id}"))
        lines += [plain_text(f"    {path} {value}") for path, value in zip(differing, values, strict=True)]
    table = unwrapped_table(("run", *differing), rows_of_cells)
    return Group(WideOrStacked(table, Group(*lines)), *_problems(rows))


def _problems(rows: Sequence[RunRow]) -> list[RenderableType]:
    return [plain_text(f"{row.state.id} cannot be read: {row.problem}", style="red") for row in rows if row.problem]


def _no_runs(runs_dir: str) -> RenderableType:
    first, *rest = first_commands()
    next_steps = [suggested_command("start one", first), *(suggested_command("then", line) for line in rest)]
    return Group(plain_text(f"No runs in {runs_dir}."), *next_steps)


def _measured(row: RunRow, name: str) -> str:
    measured: Mapping[str, Any] | None = row.measures.get(name)
    measure = next((measure for measure in MEASURES if measure.name == name), None) or declared_measure(name)
    if measured is None or measured.get("value") is None or measure is None:
        return formatting.MISSING
    mark = f" {formatting.REWARDED_MARK}" if name in row.rewarded_measures else ""
    return f"{formatting.value(measure, measured['value'])}{mark} (step {row.step})"


def _best_steps(rows: Sequence[RunRow]) -> list[RenderableType]:
    """A line for each run that was better before its end."""
    return [
        plain_text(f"{row.state.id}: best at the interim evaluations was step {row.state.best_step}", style="dim")
        for row in rows
        if row.state.status in COMPLETED_STATUSES and row.state.best_step not in (None, row.state.updates_done)
    ]


def _placebos(rows: Sequence[RunRow]) -> list[RenderableType]:
    return [
        plain_text(f"{row.state.id} is a placebo: its rewards were permuted among the answers of each update")
        for row in rows
        if row.config.get("reward.placebo")
    ]


def _resumable(rows: Sequence[RunRow], runs_dir: str) -> list[RenderableType]:
    return [
        suggested_command(f"continue {row.state.id}", command("train", "--resume", f"{runs_dir}/{row.state.id}"))
        for row in rows
        if row.state.status == "interrupted"
    ]
