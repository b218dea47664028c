"""Run folders: writing the records of a run, finding a run and reading it again.

Not here: file names (`layout`), crash-safe writing (`files`), digests (`experiment.freeze`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, PpoError, RewardUnavailableError, UsageError, as_ppo_error
from ppo_cli.experiment import freeze
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import load_frozen
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.program import command
from ppo_cli.records.training import Episode, RunState, Status, UpdateMetrics
from ppo_cli.store.answer_rows import episode_to_row
from ppo_cli.store.file_locks import is_locked
from ppo_cli.store.files import (
    append_lines,
    read_json,
    read_lines,
    remove_partial_files,
    require_no_link,
    truncate_lines,
    write_json,
)
from ppo_cli.store.layout import RunLayout, own_paths
from ppo_cli.store.record_types import record_of
from ppo_cli.store.run_lock import RunLock

RUN_FORMAT = 2
"""Version of the file names and fields in a run folder; run.json states it, and folders of another are not read."""
LATEST = "latest"
"""Names the run that started last."""
MAX_NAMES = 5
"""Runs that an error lists."""


@dataclass(frozen=True, kw_only=True)
class FrozenExperiment:
    """What a run folder pins."""

    experiment: Experiment
    """Keys that name files name the copies, relative to the run folder."""
    copies: Mapping[str, str]
    """Path of each copied file inside the run folder, by the config key that names it."""
    lock: Lock
    texts: Mapping[str, str]
    """Contents of the pinned files, by their path inside the run folder."""


class Run:
    """An existing run folder.

    Config, lock and the result of `verify` are read once and kept, so hand the object on instead of finding the run
    again. `state` and the records are read every time, for another process may be writing them.
    """

    def __init__(self, root: Path, run_lock: RunLock | None = None) -> None:
        """Opens a folder.

        Args:
            root: the folder.
            run_lock: held by this process, if it works on the run.

        Raises:
            UsageError: it is no run folder.
        """
        self.layout = RunLayout(root)
        self._run_lock = run_lock
        self._experiment: Experiment | None = None
        self._lock: Lock | None = None
        self._verified: tuple[Experiment, Lock] | None = None
        self._has_this_format = False
        if not root.is_dir():
            raise UsageError(f"{root}: no such run.", f"List the runs with `{command('runs')}`.")
        if not self.layout.state.is_file():
            if self.layout.lock.is_file() or self.layout.run_lock.is_file():
                raise UsageError(
                    f"{root} is a run that was never begun: it has no run.json.",
                    f"Start it again with `{command('train', 'CONFIG')}`; its folder is used again.",
                )
            raise UsageError(
                f"{root} is not a run folder: it has no run.json.", f"List the runs with `{command('runs')}`."
            )

    def __repr__(self) -> str:
        return f"Run({str(self.layout.root)!r})"

    @property
    def name(self) -> str:
        return self.layout.root.name

    def require_format(self) -> None:
        """Checks, the first time, that this version reads the folder.

        Raises:
            UsageError: another version wrote it.
            IntegrityError: run.json is damaged.
        """
        if not self._has_this_format:
            self._state_row()

    def state(self) -> RunState:
        """run.json, under the folder's name of now; a run whose process is gone shows as interrupted.

        Raises:
            UsageError: another version of the tool wrote the folder.
            IntegrityError: run.json is damaged.
        """
        state = replace(record_of(RunState, self._state_row(), self.layout.state), id=self.name)
        gone = state.status == "running" and not is_locked(self.layout.run_lock)
        return replace(state, status="interrupted", reason="its process is gone") if gone else state

    def experiment(self) -> Experiment:
        """The frozen config, with absolute paths of the copied files."""
        if self._experiment is None:
            self.require_format()
            self._experiment = load_frozen(self.layout.config)
        return self._experiment

    def lock(self) -> Lock:
        """The freeze lock, checked against itself."""
        if self._lock is None:
            self.require_format()
            if not self.layout.lock.is_file():
                raise IntegrityError(f"{self.layout.lock} is missing.", "The run cannot be trusted; repeat it.")
            self._lock = freeze.from_yaml(self.layout.lock.read_bytes(), str(self.layout.lock))
        return self._lock

    def verify(self) -> tuple[Experiment, Lock]:
        """Checks, the first time, that nothing pinned was changed: files byte by byte, config value by value.

        Raises:
            UsageError: another version of the tool wrote the folder.
            IntegrityError: names the group, the file and what to do.
        """
        if self._verified is None:
            lock = self.lock()
            paths = {name: self.layout.root / name for name in lock.files}
            actual = {name: sha256_file(path) if path.is_file() else None for name, path in paths.items()}
            freeze.verify_files(lock, actual, self.name)
            experiment = self.experiment()
            freeze.verify_config(lock, experiment, self.name)
            self._verified = experiment, lock
        return self._verified

    def metrics(self) -> list[dict[str, Any]]:
        """Rows of metrics.jsonl."""
        rows = read_lines(self.layout.metrics) if self.layout.metrics.is_file() else []
        for row in rows:
            record_of(UpdateMetrics, row, self.layout.metrics)
        return rows

    def update_state(self, **changes: Any) -> RunState:  # noqa: ANN401 - fields of RunState
        """Rewrites run.json with some fields changed."""
        state = replace(self.state(), **changes)
        write_state(self.layout, state)
        return state

    def reopen(self) -> None:
        """Marks the run as running again, by this process.

        Raises:
            UsageError: another process works on it, or a part of it is a link.
        """
        try:
            self._run_lock = RunLock(self.layout.run_lock)
        except BlockingIOError:
            raise UsageError(f"{self.name} is still running.", "Wait for it or stop it first.") from None
        require_no_link(*own_paths(self.layout))
        remove_partial_files(self.layout.root)
        self.update_state(
            status="running", ended=None, reason=None, exit_code=None, pid=os.getpid(), host=socket.gethostname()
        )

    def close(self, status: Status, *, exit_code: int, reason: str | None = None) -> None:
        """Records how the run ended."""
        try:
            self.update_state(status=status, ended=now(), reason=reason, exit_code=exit_code)
        finally:
            if self._run_lock is not None:
                self._run_lock.release()

    def add_update(self, metrics: UpdateMetrics, episodes: Iterable[Episode], seconds: float) -> None:
        """Appends one update; the metrics row comes last and makes the update count."""
        append_lines(self.layout.rollouts, (episode_to_row(episode) for episode in episodes))
        append_lines(self.layout.timings, [{"update": metrics.update, "seconds": round(seconds, 3)}])
        append_lines(self.layout.metrics, [asdict(metrics)])
        self.update_state(updates_done=metrics.update)

    def truncate_records(self, update: int, episodes_per_update: int) -> None:
        """Cuts the records back to the first `update` updates, from where a resumed run continues.

        Raises:
            IntegrityError: they hold fewer.
        """
        truncate_lines(self.layout.rollouts, update * episodes_per_update)
        truncate_lines(self.layout.timings, update)
        truncate_lines(self.layout.metrics, update)
        self.update_state(updates_done=update)

    def _state_row(self) -> dict[str, Any]:
        row = read_json(self.layout.state)
        written = row.pop("format", 1)
        if written == RUN_FORMAT:
            self._has_this_format = True
            return row
        if not isinstance(written, int):
            raise IntegrityError(f"{self.layout.state} is damaged: format {written}.", "Restore it from a backup.")
        other = "an older" if written < RUN_FORMAT else "a newer"
        raise UsageError(
            f"{self.layout.root} was written by {other} version of ppo (run format {written}, this version reads "
            f"{RUN_FORMAT}).",
            "Repeat the experiment from its own config, or use the version named in the run's provenance.json.",
        )


def find_run(run: str | Path | Run, runs_dir: str | Path = "runs", *, exact: bool = False) -> Run:
    """A run by path or by its name in that folder; a run that was found before is given back.

    Args:
        run: run folder, its name in `runs_dir` or the beginning of that, `latest`, or a run.
        runs_dir: folder of run folders.
        exact: take whole names only, as for a name that a record holds.

    Raises:
        UsageError: there is none, several begin so, it is no run folder, or another version of the tool wrote it.
        IntegrityError: its run.json is damaged.

    Example:
        >>> run = find_run("refusal-kl0.15-s1-7f3a9c")
        >>> run.state().status
        'finished'
    """
    if isinstance(run, Run):
        return run
    candidates = [folder for folder in (Path(run), Path(runs_dir) / run) if folder.is_dir()]
    if not candidates and not exact:
        candidates = matching_runs(run, runs_dir)
        if len(candidates) > 1:
            names = ", ".join(folder.name for folder in candidates[:MAX_NAMES])
            more = f" and {len(candidates) - MAX_NAMES} more" if len(candidates) > MAX_NAMES else ""
            raise UsageError(f"{len(candidates)} runs begin with {run}: {names}{more}.", "Type more of its name.")
    if not candidates:
        raise UsageError(
            f"{run}: no such run, neither here nor in {runs_dir}.", f"List the runs with `{command('runs')}`."
        )
    opened = Run(next((folder for folder in candidates if (folder / "run.json").is_file()), candidates[0]))
    opened.require_format()
    return opened


def matching_runs(name: str | Path, runs_dir: str | Path = "runs") -> list[Path]:
    """Run folders whose name begins so, or the one that started last for `latest`; none where it is no plain name."""
    if str(name) in ("", ".", "..") or Path(name).name != str(name):
        return []
    runs = list_runs(runs_dir)
    if str(name) == LATEST:
        return [run.layout.root for run in runs[-1:]]
    return [run.layout.root for run in runs if run.name.startswith(str(name))]


def list_runs(runs_dir: str | Path = "runs") -> list[Run]:
    """All run folders in a folder, oldest first; before them those that are damaged or of another format.

    Args:
        runs_dir: folder of run folders.

    Example:
        >>> [run.name for run in list_runs()]
        ['refusal-kl0.15-s1-7f3a9c']
    """
    folder = Path(runs_dir)
    if not folder.is_dir():
        return []
    runs = [Run(path) for path in sorted(folder.iterdir()) if (path / "run.json").is_file()]
    return sorted(runs, key=lambda run: (_started(run), run.name))


def run_of(path: Path) -> Run | None:
    """The run that a checkpoint or other path lies in, if any.

    Raises:
        UsageError: another version of the tool wrote it.
        IntegrityError: its run.json is damaged.
    """
    for folder in (path, *path.absolute().parents):
        if (folder / "run.json").is_file() and (folder / "freeze.lock").is_file():
            run = Run(folder)
            run.require_format()
            return run
    return None


@contextmanager
def recording_failure(run: Run) -> Iterator[None]:
    """Records a failure in run.json on the way out; the error goes on."""
    try:
        yield
    except KeyboardInterrupt:
        run.close("interrupted", exit_code=130, reason="stopped by the user")
        raise
    except BaseException as error:
        if run.state().status == "running":
            code = getattr(error, "exit_code", 1)
            known = as_ppo_error(error)
            reason = known.message if known is not None else f"{type(error).__name__}: {error}"
            resumable = code == 130 or isinstance(error, RewardUnavailableError)
            run.close("interrupted" if resumable else "failed", exit_code=code, reason=reason[:500])
        raise


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_state(layout: RunLayout, state: RunState) -> None:
    """Writes run.json."""
    write_json(layout.state, {"format": RUN_FORMAT, **asdict(state)})


def _started(run: Run) -> str:
    try:
        return run.state().started
    except PpoError:
        return ""
