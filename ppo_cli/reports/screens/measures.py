"""The screen of `ppo measures`: a family of measures after the other, each measure with its meaning below it.

Not here: which measures there are (`evaluation.measure_list`).
"""

from __future__ import annotations

from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ppo_cli.records.results import MeasureListResult, MeasureRow
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import footnotes, plain_text

BETTER = {"higher": "higher is better", "lower": "lower is better", None: "no better direction"}
INDENT = 4


def measures_screen(result: MeasureListResult) -> RenderableType:
    """What `ppo measures` shows."""
    parts: list[RenderableType] = []
    by_family = sorted(result.measures, key=lambda row: row.name.partition(".")[0])
    for _, rows in groupby(by_family, key=lambda row: row.name.partition(".")[0]):
        for row in rows:
            parts += [
                _heading(row),
                Padding(plain_text(f"{row.title}: {row.definition}", "dim"), (0, 0, 0, INDENT), expand=False),
            ]
        parts.append(Text())
    if any(row.primary for row in result.measures):
        parts.append(Text("★ the primary measure: runs of this config are judged by it", style="dim"))
    rewarded = [row.name for row in result.measures if row.rewarded]
    return Group(*parts, *footnotes(rewarded, result.rewarded_measures))


def _heading(row: MeasureRow) -> Text:
    mark = f" {formatting.REWARDED_MARK}" if row.rewarded else ""
    about = ", ".join(filter(None, [row.unit, BETTER[row.better], "ppo eval alone" if row.eval_only else ""]))
    return plain_text(f"{'★ ' if row.primary else ''}{row.name}{mark}  ({about})")
