"""`ppo view`: the pages of all runs in a folder, with their rollouts and links to their reports.

Never imports torch. Not here: reading a run (`viewed_runs`), the pages (`reports.html`), a report (`report`).
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from ppo_cli.errors import UsageError
from ppo_cli.evaluation.report import REPORT, report
from ppo_cli.evaluation.run_list import UNREADABLE, differing_keys, reason_unread
from ppo_cli.evaluation.viewed_runs import ViewedRun, viewed_run
from ppo_cli.records.events import EventHandler, Phase, Progress, ignore_events
from ppo_cli.records.pages import ViewResult
from ppo_cli.records.training import COMPLETED_STATUSES
from ppo_cli.reports.html.view_data import RolloutsPage, RunEntry, RunsPage
from ppo_cli.store.files import disk_errors, make_runs_folder, may_write, write_text
from ppo_cli.store.layout import VIEW_FOLDER
from ppo_cli.store.runs import Run, list_runs

INDEX = "index.html"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}")
"""Names of runs that can name a file of a page as they are."""
OTHER_FOLDER = "Name another folder with --folder DIR."


def view(
    *,
    runs_dir: str | Path = "runs",
    folder: str | Path | None = None,
    reports: bool = True,
    on_event: EventHandler = ignore_events,
) -> ViewResult:
    """Writes a page of all runs in a folder, and one of each run's rollouts; they are opened from disk.

    Args:
        runs_dir: folder of run folders.
        folder: where to write, `runs_dir`/view by default.
        reports: also write the report of each finished run that has none, as `report` does.
        on_event: receives the progress.

    Raises:
        UsageError: the folder to write to is a run or a link.
        NoPermissionError: it may not be written.

    Example:
        >>> view(runs_dir="runs").path
        'runs/view/index.html'
    """
    from ppo_cli.reports.html.runs_page import render_runs

    runs_dir = Path(runs_dir)
    target = _made_folder(runs_dir, folder)
    runs = list_runs(runs_dir)
    links = {run.name: quote(page_name(run.name)) for run in runs}
    if runs:
        on_event(Phase(name="reading runs", total=len(runs), unit="runs"))
    entries: list[RunEntry] = []
    rollouts = written = total = 0
    for done, run in enumerate(runs, start=1):
        viewed = viewed_run(run)
        entry, is_new = _with_report(viewed.entry, run, target, reports)
        if not entry.row.problem:
            entry = replace(entry, page=links[run.name])
            total += _write_rollouts(replace(viewed, entry=entry), run, target, links)
        entries.append(entry)
        rollouts, written = rollouts + len(viewed.episodes), written + int(is_new)
        on_event(Progress(done=done))
    entries.sort(key=lambda entry: not entry.row.config)  # what cannot be read comes last
    page = RunsPage(
        folder=runs_dir.resolve().name, entries=entries, differing=differing_keys([entry.row for entry in entries])
    )
    total += _write(target / INDEX, render_runs(page))
    return ViewResult(
        path=str(target / INDEX),
        runs=len(runs),
        unreadable=tuple(entry.name for entry in entries if entry.row.problem),
        rollouts=rollouts,
        reports_written=written,
        bytes=total,
    )


def page_name(run: str) -> str:
    """The file of a run's page: its name, or a digest of it where that is no plain name for a file or a link."""
    if PLAIN_NAME.fullmatch(run) and run != INDEX.removesuffix(".html"):
        return f"{run}.html"
    return f"run-{hashlib.sha256(os.fsencode(run)).hexdigest()[:12]}.html"


def _made_folder(runs_dir: Path, folder: str | Path | None) -> Path:
    """The folder to write to; it keeps itself out of a repository, as a folder of runs does."""
    target = Path(folder) if folder is not None else runs_dir / VIEW_FOLDER
    if (target / "run.json").exists():
        raise UsageError(f"{target} is a run, so no pages are written there.", OTHER_FOLDER)
    if folder is None and target.is_symlink():
        raise UsageError(f"{target} is a link, and pages are not written through links.", OTHER_FOLDER)
    with disk_errors(target, OTHER_FOLDER):
        if folder is None:
            make_runs_folder(runs_dir)
        make_runs_folder(target)
    return target


def _with_report(entry: RunEntry, run: Run, target: Path, write: bool) -> tuple[RunEntry, bool]:
    """The run with a link to its report, which is written where it is missing; and whether it was."""
    page, is_new = run.layout.reports / REPORT, False
    if entry.row.problem:
        return entry, False
    if not page.is_file():
        if not write or entry.row.state.status not in COMPLETED_STATUSES or not may_write(run.layout.reports):
            return entry, False
        try:
            report(run)
        except UNREADABLE as error:
            words = reason_unread(error).replace(str(run.layout.root), run.name)
            return replace(entry, report_problem=words), False
        is_new = True
    path = os.path.relpath(page.resolve(), target.resolve())
    return replace(entry, report=quote(path, errors="surrogateescape")), is_new


def _write_rollouts(viewed: ViewedRun, run: Run, target: Path, links: dict[str, str]) -> int:
    """Writes the page of one run's rollouts and gives its size in bytes."""
    from ppo_cli.reports.html.rollouts_page import render_rollouts

    records = run.layout.rollouts
    page = RolloutsPage(
        entry=viewed.entry,
        episodes=viewed.episodes,
        prompts=viewed.prompts,
        parent_page=links.get(viewed.entry.row.state.parent or ""),
        records=quote(os.path.relpath(records.resolve(), target.resolve()), errors="surrogateescape"),
    )
    return _write(target / page_name(run.name), render_rollouts(page))


def _write(path: Path, text: str) -> int:
    with disk_errors(path, OTHER_FOLDER):
        write_text(path, text)
    return len(text.encode())
