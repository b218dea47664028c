"""Run folders: claiming one, writing its records, finding and reading it again.

Not here: file names (`layout`), safe writing (`files`), digests (`experiment.freeze`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from ppo_cli.errors import IntegrityError, RewardUnavailableError, UsageError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import load_frozen
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.training import Episode, RunState, Status, UpdateMetrics
from ppo_cli.store.files import (
    append_lines,
    disk_errors,
    read_json,
    read_lines,
    truncate_lines,
    write_json,
    write_text,
)
from ppo_cli.store.layout import RunLayout
from ppo_cli.store.run_lock import RunLock, is_held

READ_ONLY = 0o444


class Run:
    """An existing run folder."""

    def __init__(self, root: Path, hold: RunLock | None = None) -> None:
        """Opens a folder.

        Args:
            root: the folder.
            hold: this process's hold on it, if it works on the run.

        Raises:
            UsageError: it is no run folder.
        """
        self.layout = RunLayout(root)
        self._hold = hold
        if not root.is_dir():
            raise UsageError(f"{root}: no such run.", "List the runs with `ppo runs`.")
        if not self.layout.state.is_file():
            raise UsageError(f"{root} is not a run folder: it has no run.json.", "List the runs with `ppo runs`.")

    @property
    def name(self) -> str:
        return self.layout.root.name

    def state(self) -> RunState:
        """run.json; a run whose process is gone shows as interrupted."""
        known = {field.name for field in fields(RunState)}
        row = {name: value for name, value in read_json(self.layout.state).items() if name in known}
        try:
            state = RunState(**row)
        except TypeError:
            raise IntegrityError(f"{self.layout.state} is damaged.", "Restore it from a backup.") from None
        if state.status not in get_args(Status):
            raise IntegrityError(f"{self.layout.state} is damaged: status {state.status}.", "Restore it from a backup.")
        gone = state.status == "running" and not is_held(self.layout.run_lock)
        return replace(state, status="interrupted", reason="its process is gone") if gone else state

    def experiment(self) -> Experiment:
        """The frozen config."""
        return load_frozen(self.layout.config)

    def lock(self) -> Lock:
        """The freeze lock, checked against itself."""
        if not self.layout.lock.is_file():
            raise IntegrityError(f"{self.layout.lock} is missing.", "The run cannot be trusted; repeat it.")
        return freeze.from_yaml(self.layout.lock.read_text(encoding="utf-8"), str(self.layout.lock))

    def verify(self) -> tuple[Experiment, Lock]:
        """Checks that nothing pinned was changed: files byte by byte, config value by value.

        Raises:
            IntegrityError: names the group, the file and what to do.
        """
        lock = self.lock()
        actual = {
            name: sha256_file(path) if (path := self.layout.root / name).is_file() else None for name in lock.files
        }
        freeze.verify_files(lock, actual, self.name)
        experiment = self.experiment()
        freeze.verify_config(lock, experiment, self.name)
        return experiment, lock

    def metrics(self) -> list[dict[str, Any]]:
        """Rows of metrics.jsonl."""
        return read_lines(self.layout.metrics) if self.layout.metrics.is_file() else []

    def update_state(self, **changes: Any) -> RunState:  # noqa: ANN401 - fields of RunState
        """Rewrites run.json with some fields changed."""
        state = replace(self.state(), **changes)
        write_json(self.layout.state, asdict(state))
        return state

    def reopen(self) -> None:
        """Marks the run as running again, by this process.

        Raises:
            UsageError: another process works on it.
        """
        try:
            self._hold = RunLock(self.layout.run_lock)
        except BlockingIOError:
            raise UsageError(f"{self.name} is still running.", "Wait for it or stop it first.") from None
        for torn in self.layout.root.rglob(".*.*"):  # what a kill in the middle of a write left behind
            if torn.is_file():
                torn.unlink()
        self.update_state(
            status="running", ended=None, reason=None, exit_code=None, pid=os.getpid(), host=socket.gethostname()
        )

    def close(self, status: Status, *, exit_code: int, reason: str | None = None) -> None:
        """Records how the run ended."""
        try:
            self.update_state(status=status, ended=now(), reason=reason, exit_code=exit_code)
        finally:
            if self._hold is not None:
                self._hold.release()

    def add_update(self, metrics: UpdateMetrics, episodes: Iterable[Episode], seconds: float) -> None:
        """Appends one update; the metrics line comes last and makes the update count."""
        append_lines(self.layout.rollouts, (asdict(episode) for episode in episodes))
        append_lines(self.layout.timings, [{"update": metrics.update, "seconds": round(seconds, 3)}])
        append_lines(self.layout.metrics, [asdict(metrics)])
        self.update_state(updates_done=metrics.update)

    def truncate_records(self, update: int, episodes_per_update: int) -> None:
        """Cuts the records back to the first `update` updates, from where a resumed run goes on.

        Raises:
            IntegrityError: they hold fewer.
        """
        truncate_lines(self.layout.rollouts, update * episodes_per_update)
        truncate_lines(self.layout.timings, update)
        truncate_lines(self.layout.metrics, update)
        self.update_state(updates_done=update)


def create_run(root: Path, lock: Lock, texts: Mapping[str, str], state: Mapping[str, Any], again: bool) -> Run:
    """Makes a run folder and writes what is frozen into it.

    Args:
        root: the folder to make; `mkdir` decides between two processes that want it.
        lock: as it goes into freeze.lock.
        texts: contents of the pinned files by their path inside the folder.
        state: fields of run.json besides those known here.
        again: if the folder exists, take the next free name instead of refusing.

    Raises:
        UsageError: the folder exists, or may not be written.
    """
    root = _create_folder(root, again)
    layout = RunLayout(root)
    with disk_errors(root):
        hold = RunLock(layout.run_lock)
        for name, text in {**texts, layout.lock.name: freeze.to_yaml(lock)}.items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            write_text(path, text)
            path.chmod(READ_ONLY)
        for folder in (layout.checkpoints, layout.evaluations, layout.reports):
            folder.mkdir()
    begun = RunState(id=root.name, status="running", started=now(), host=socket.gethostname(), pid=os.getpid(), **state)
    write_json(layout.state, asdict(begun))
    return Run(root, hold)


def _create_folder(root: Path, again: bool) -> Path:
    number = 1
    candidate = root
    with disk_errors(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                candidate.mkdir()
                return candidate
            except FileExistsError:
                if not again:
                    raise UsageError(*_exists(root)) from None
                number += 1
                candidate = root.with_name(f"{root.name}-{number}")


def _exists(root: Path) -> tuple[str, str]:
    try:
        status = Run(root).state().status
    except (UsageError, IntegrityError):
        return f"{root} exists already.", "Choose another name=…, or add --again to run beside it."
    if status in ("finished", "stopped"):
        return (
            f"This very experiment has been run: {root} ({status}).",
            f"See it with `ppo runs`, change a key, or add --again to repeat it beside {root.name}.",
        )
    if status == "running":
        return f"This very experiment is running now: {root}.", "Wait for it, or add --again to run beside it."
    return (
        f"This very experiment was begun before: {root} ({status}).",
        f"Continue it with `ppo train --resume {root}`, or add --again to start anew beside it.",
    )


def find_run(name: str, output: Path) -> Run:
    """A run by path or by its name in the output folder.

    Raises:
        UsageError: there is none, or it is no run folder.
    """
    candidates = [folder for folder in (Path(name), output / name) if folder.is_dir()]
    for folder in candidates:
        if (folder / "run.json").is_file():
            return Run(folder)
    if candidates:
        return Run(candidates[0])
    raise UsageError(f"{name}: no such run, neither here nor in {output}.", "List the runs with `ppo runs`.")


def list_runs(output: Path) -> list[Run]:
    """All run folders in the output folder, oldest first; the damaged ones before them."""
    if not output.is_dir():
        return []
    runs = [Run(folder) for folder in sorted(output.iterdir()) if (folder / "run.json").is_file()]
    return sorted(runs, key=lambda run: (_started(run), run.name))


def run_of(path: Path) -> Run | None:
    """The run that a checkpoint or other path lies in, if any."""
    for folder in (path, *path.absolute().parents):
        if (folder / "run.json").is_file() and (folder / "freeze.lock").is_file():
            return Run(folder)
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
            reason = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            resumable = code == 130 or isinstance(error, RewardUnavailableError)
            run.close("interrupted" if resumable else "failed", exit_code=code, reason=reason[:500])
        raise


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _started(run: Run) -> str:
    try:
        return str(run.state().started)
    except IntegrityError:
        return ""
