"""`ppo doctor`: its options and one call.

Not here: the checks (`preflight.doctor`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, RunsDir, error_boundary, show_result
from ppo_cli.cli.terminal import progress_console
from ppo_cli.errors import CheckFailedError
from ppo_cli.records.events import Event, EventHandler, Phase, Progress

EXAMPLES = ((), ("--json",))
TRAIN_SECONDS = 10.0


def doctor(
    train_seconds: Annotated[
        float,
        typer.Option("--train-seconds", min=0.0, max=600.0, help="Length of the toy training; 0 leaves it out."),
    ] = TRAIN_SECONDS,
    no_hub: Annotated[bool, typer.Option("--no-hub", help="Do not ask the Hugging Face hub.")] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Check whether this machine can train, and say what to do where it cannot.

    Looks at versions, device, memory, disk, file locks, caches, the hub, trackers and the terminal, and trains a toy
    model. Installs and changes nothing. Exits with code 5 only where a training would fail. With --json for a bug
    report: without secrets, and without names of folders other than ~ and the usual ones below it.
    """
    with error_boundary(as_json):
        from ppo_cli.preflight.doctor.private_paths import without_own_paths
        from ppo_cli.preflight.doctor.run import doctor as look
        from ppo_cli.reports.screens.doctor import doctor_screen

        with _progress_line(as_json) as on_event:
            result = look(runs_dir=runs_dir, train_seconds=train_seconds, hub=not no_hub, on_event=on_event)
        show_result(as_json, without_own_paths(result) if as_json else result, lambda: doctor_screen(result))
        if result.status == "fail":
            if as_json:
                raise typer.Exit(CheckFailedError.exit_code)
            failed = [check.name for check in result.checks if check.status == "fail"]
            raise CheckFailedError(f"Failed checks: {', '.join(failed)}.", "Do what stands beside each, from the top.")


@contextmanager
def _progress_line(as_json: bool) -> Iterator[EventHandler]:
    """One line that says what is looked at; in a pipe a line for the toy training, which takes longest.

    The live view is not used: it imports libraries that may be what is out of order.
    """
    console = progress_console(stderr=as_json)
    if not console.is_terminal or console.is_dumb_terminal:

        def print_long_phase(event: Event) -> None:
            if isinstance(event, Phase) and event.total:
                console.print(f"{event.name} ({event.total} {event.unit})")

        yield print_long_phase
        return
    phase = Phase(name="starting")
    with console.status(phase.name) as status:

        def show(event: Event) -> None:
            nonlocal phase
            if isinstance(event, Phase):
                phase = event
                status.update(phase.name)
            elif isinstance(event, Progress):
                status.update(f"{phase.name}: {event.done} of {phase.total} {phase.unit}")

        yield show
