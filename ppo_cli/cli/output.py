"""What all commands share: options, the result as a screen or as JSON, progress, and errors with their exit codes.

Not here: the commands, the screens (`reports.screens`), the streams that are printed to (`terminal`).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ppo_cli.cli.completion import complete_config
from ppo_cli.cli.terminal import new_console, print_json, print_text, progress_console
from ppo_cli.errors import CheckFailedError, PpoError, as_ppo_error
from ppo_cli.records.checks import Check
from ppo_cli.records.events import EventHandler
from ppo_cli.records.secrets import masked

Config = Annotated[
    Path, typer.Argument(help="The experiment's YAML file.", metavar="CONFIG", autocompletion=complete_config)
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Changes to the file, such as kl.coef=0.05.", metavar="KEY=VALUE")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")]
StartFolder = Annotated[
    Path | None,
    typer.Option(
        "--start",
        help="The start model's folder, for a run made where it lies elsewhere; its content is checked.",
        metavar="FOLDER",
    ),
]
TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Run the code that a run brings which was not made by you on this machine.")
]
RunsDir = Annotated[Path, typer.Option("--runs-dir", help="Folder of the run folders.", metavar="DIR")]


@contextmanager
def error_boundary(as_json: bool) -> Iterator[None]:
    """Turns every error into one sentence with a next step, and an exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except PpoError as error:
        report_error(error.message, error.next_step, error.exit_code, as_json)
    except KeyboardInterrupt:
        report_error("Interrupted.", "", 130, as_json)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(1) from None
    except Exception as error:  # noqa: BLE001 - the last resort, so that a bug still has an exit code
        if (known := as_ppo_error(error)) is not None:
            report_error(known.message, known.next_step, known.exit_code, as_json)
        print_text(traceback.format_exc(), stderr=True)
        report_error(f"Internal error: {type(error).__name__}: {error}", "Please report it.", 1, as_json)


def report_error(message: str, next_step: str, code: int, as_json: bool) -> NoReturn:
    """Prints an error without the secrets in it, and ends the command."""
    if os.environ.get("RANK", "0") != "0":  # of several processes, the main process reports the error
        raise typer.Exit(code) from None
    message, next_step = masked(message), masked(next_step)
    written = False
    if as_json:
        with suppress(OSError):  # stdout is full or gone, which may be the error itself
            print_json({"error": message, "next_step": next_step, "exit_code": code})
            written = True
    if not written:
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

    console = progress_console(stderr=as_json)
    if console.is_terminal and not console.is_dumb_terminal:
        with LiveView(console) as view:
            yield view
    else:
        with PlainLines(lambda line: print_text(f"{line}\n", file=console.file)) as lines:
            yield lines


def show_result(as_json: bool, result: Any, screen: Callable[[], Any]) -> None:  # noqa: ANN401
    """Prints a result: as JSON, or as the screen that the function makes of it."""
    if as_json:
        print_json(result, indent=2)
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
