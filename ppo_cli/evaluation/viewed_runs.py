"""A run as the pages of `ppo view` show it: its row, its last evaluation against step 0, its rollouts.

Never imports torch. Not here: writing the pages (`view`), the pages (`reports.html`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ppo_cli.evaluation.run_list import UNREADABLE, reason_unread, run_row
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.evaluation.run_summary import last_against_start
from ppo_cli.records.answers import Prompt
from ppo_cli.records.training import Episode
from ppo_cli.reports.html.view_data import RunEntry
from ppo_cli.store.runs import Run


@dataclass(frozen=True, kw_only=True)
class ViewedRun:
    """A run with what its page shows."""

    entry: RunEntry
    """Without links."""
    episodes: Sequence[Episode] = ()
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    """Training prompts by id."""


def viewed_run(run: Run) -> ViewedRun:
    """Reads a run; what is torn, foreign or changed after freezing has the reason in its place."""
    row = run_row(run)
    if row.problem:
        return ViewedRun(entry=RunEntry(row=replace(row, problem=_portable(row.problem, run))))
    try:
        records = RunRecords.verified(run)
        episodes = records.episodes if records.layout.rollouts.is_file() else []
        prompts = {prompt.id: prompt for prompt in records.prompts("prompts.train")}
        step, partial, comparison = last_against_start(records)
    except UNREADABLE as error:
        return ViewedRun(entry=RunEntry(row=replace(row, problem=_portable(reason_unread(error), run))))
    entry = RunEntry(row=row, comparison=comparison, step=step, partial=partial)
    return ViewedRun(entry=entry, episodes=episodes, prompts=prompts)


def _portable(words: str, run: Run) -> str:
    """A message with the run's name in place of the path to it, so that a page is the same wherever the runs lie."""
    return words.replace(str(run.layout.root), run.name)
