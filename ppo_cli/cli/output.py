"""What all commands share: options, the result as a screen or as JSON, progress, and errors with their exit codes.

Not here: the commands, the screens (`reports.screens`).
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ppo_cli.errors import CheckFailedError, PpoError
from ppo_cli.records.checks import Check
from ppo_cli.records.events import EventHandler

PIPE_COLUMNS = 120
"""Columns of a screen that goes into a file or a pipe."""

Config = Annotated[Path, typer.Argument(help="The experiment's YAML file.", metavar="CONFIG")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Changes to the file, such as kl.coef=0.05.", metavar="KEY=VALUE")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")]
RunsDir = Annotated[Path, typer.Option("--runs-dir", help="Folder of the run folders.", metavar="DIR")]


@contextmanager
def error_boundary(as_json: bool) -> Iterator[None]:
    """Turns every error into one sentence with a next step, and an exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except PpoError as error:
        _report_error(error.message, error.next_step, error.exit_code, as_json)
    except KeyboardInterrupt:
        _report_error("Interrupted.", "", 130, as_json)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(1) from None
    except Exception as error:  # noqa: BLE001 - the last resort, so that a bug still has an exit code
        traceback.print_exc()
        _report_error(f"Internal error: {type(error).__name__}: {error}", "Please report it.", 1, as_json)


def _report_error(message: str, next_step: str, code: int, as_json: bool) -> None:
    if os.environ.get("RANK", "0") != "0":  # of several processes, the main process reports the error
        raise typer.Exit(code) from None
    if as_json:
        typer.echo(json.dumps({"error": message, "next_step": next_step, "exit_code": code}, ensure_ascii=False))
    else:
        console = new_console(stderr=True)
        console.print("error: ", style="bold red", end="", highlight=False)
        console.print(message, markup=False, highlight=False, soft_wrap=True)
        if next_step:
            console.print(f"  → {next_step}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code) from None


@contextmanager
def progress_view(as_json: bool) -> Iterator[EventHandler]:
    """The live view on a terminal, plain lines elsewhere; on stderr when stdout carries JSON."""
    from ppo_cli.reports.live_view import LiveView
    from ppo_cli.reports.log_lines import PlainLines

    console = new_console(stderr=as_json)
    if console.is_terminal and not console.is_dumb_terminal:
        with LiveView(console) as view:
            yield view
    else:
        yield PlainLines(lambda line: print(line, file=console.file, flush=True))


def new_console(*, stderr: bool = False) -> Console:
    """A console with the width of the terminal, or of `PIPE_COLUMNS` for a file or a pipe."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_COLUMNS)


def show_result(as_json: bool, result: Any, screen: Callable[[], Any]) -> None:  # noqa: ANN401
    """Prints a result: as JSON, or as the screen that the function makes of it."""
    if as_json:
        typer.echo(json.dumps(_plain(result), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        new_console().print(screen(), crop=False)  # a suggested command may be longer than a line


def exit_on_failed_checks(checks: Sequence[Check], as_json: bool) -> None:
    """Ends the command where a check failed.

    Raises:
        CheckFailedError: names the failed checks, below a screen.
        typer.Exit: with the same exit code; the JSON that was printed names them.
    """
    failed = [check.name for check in checks if check.status == "fail"]
    if failed and as_json:
        raise typer.Exit(CheckFailedError.exit_code)
    if failed:
        raise CheckFailedError(f"Failed checks: {'; '.join(failed)}.", "Fix the checks marked fail above.")


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Records as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
