"""The records that the pages of `ppo view` are made from.

Not here: reading them from run folders (`evaluation.viewed_runs`), the pages (`runs_page`, `rollouts_page`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.results import RunRow
from ppo_cli.records.training import Episode


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One run in the list of all runs."""

    row: RunRow
    """Its `problem` says why it could not be read, or not all of it."""
    comparison: Comparison | None = None
    """Its last evaluation against its step 0; None where one of them is not there."""
    step: int | None = None
    """Update of that evaluation."""
    partial: bool = False
    """Whether that evaluation used the interim prompts."""
    page: str | None = None
    """Link to the page of its rollouts; None of a run that could not be read."""
    report: str | None = None
    """Link to its report; None where there is none."""
    report_problem: str = ""
    """Why there is none, where one was tried."""

    @property
    def name(self) -> str:
        return self.row.state.id


@dataclass(frozen=True, kw_only=True)
class RunsPage:
    """The page of all runs."""

    folder: str
    """Name of the folder of the runs."""
    entries: Sequence[RunEntry]
    differing: Sequence[str]
    """Keys that are not the same in all runs."""


@dataclass(frozen=True, kw_only=True)
class RolloutsPage:
    """The page of one run's training rollouts."""

    entry: RunEntry
    episodes: Sequence[Episode]
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    """Training prompts by id, for what they expect and their category."""
    parent_page: str | None = None
    """Link to the page of its parent; None where that is not there."""
    records: str = ""
    """Link to rollouts.jsonl."""
