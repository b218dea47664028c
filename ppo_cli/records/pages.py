"""The result of `ppo view`.

Not here: what is on the pages (`reports.html.view_data`), the results of other commands (`results`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ViewResult:
    """The pages of all runs that were written."""

    path: str
    """The page to open; the others lie beside it."""
    runs: int
    """Runs that it lists."""
    unreadable: tuple[str, ...]
    """Those of them that could not be read, or not wholly; the page says why."""
    rollouts: int
    """Rollouts on all pages."""
    reports_written: int
    """Reports of single runs that were missing and were written too."""
    bytes: int
    """Size of all pages without reports."""
