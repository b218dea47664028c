"""`doctor`: whether this machine can train, and what to do where it cannot.

Not here: the checks (the other modules of this package), the screen (`reports.screens.doctor`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import ppo_cli
from ppo_cli.errors import PpoError
from ppo_cli.preflight.doctor import device, network, software, storage, toy_training
from ppo_cli.records.doctor import DoctorCheck, DoctorProbe, DoctorResult, DoctorStatus
from ppo_cli.records.events import EventHandler, Phase, ignore_events

TRAIN_SECONDS = 10.0
REPORT_IT = "Please report it, with `ppo doctor --json`."


def doctor(
    *,
    runs_dir: str | Path = "runs",
    train_seconds: float = TRAIN_SECONDS,
    hub: bool = True,
    on_event: EventHandler = ignore_events,
) -> DoctorResult:
    """Looks at versions, device, memory, disk, cache, locks, trackers, terminal and the hub, and trains a toy model.

    Nothing is installed or changed, and what it writes is removed. A check that fails ends nothing: the others follow.

    Args:
        runs_dir: folder of the run folders, whose disk and locks are tried.
        train_seconds: for the toy model; 0 leaves that training out.
        hub: whether the hub is asked; in offline mode it never is.
        on_event: called with the progress.

    Returns:
        One check per line of the screen, with what to do about it.

    Example:
        >>> ppo_cli.doctor(train_seconds=1).status
        'ok'
    """
    started = time.perf_counter()
    checks: list[DoctorCheck] = []
    for name, probe in _probes(Path(runs_dir), train_seconds, hub, on_event):
        on_event(Phase(name=name))
        checks += _looked_at(name, probe)
    return DoctorResult(
        version=ppo_cli.__version__,
        status=worst(checks),
        checks=tuple(checks),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - started,
    )


def worst(checks: Sequence[DoctorCheck]) -> DoctorStatus:
    """The worst status of these checks."""
    statuses = {check.status for check in checks}
    return "fail" if "fail" in statuses else "warn" if "warn" in statuses else "ok"


def _probes(runs_dir: Path, train_seconds: float, hub: bool, on_event: EventHandler) -> list[tuple[str, DoctorProbe]]:
    """(subject, function) in the order of the screen; what a training cannot do without comes first."""
    probes: list[tuple[str, DoctorProbe]] = [
        ("versions", software.versions),
        ("device", device.devices),
        ("memory", device.memory),
        ("disk", partial(storage.disk, runs_dir)),
        ("file locks", partial(storage.file_locks, runs_dir)),
        ("model cache", storage.model_cache),
        ("hub", partial(network.hub, ask=hub)),
        ("trackers", software.trackers),
        ("terminal", software.terminal),
    ]
    if train_seconds > 0:
        probes.append(("toy training", partial(toy_training.toy_training, train_seconds, on_event)))
    return probes


def _looked_at(name: str, probe: DoctorProbe) -> Sequence[DoctorCheck]:
    """The checks of one subject; an error that nobody thought of is a failed check, since the others may explain it."""
    try:
        return probe()
    except PpoError as error:
        return [DoctorCheck(name=name, status="fail", saw=error.message, next_step=error.next_step)]
    except Exception as error:  # noqa: BLE001 - on a machine that is out of order anything may be raised
        lines = str(error).strip().splitlines() or ["no message"]
        words = f"{type(error).__name__}: {lines[0].rstrip('.')}."
        step = "Install the library that it names anew." if isinstance(error, ImportError) else REPORT_IT
        return [DoctorCheck(name=name, status="fail", saw=words, next_step=step)]
