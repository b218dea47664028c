"""The group of commands as Typer runs it: wrong words on the command line end as every other error does.

Not here: the commands themselves, errors that a command meets (`output`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ppo_cli.cli.output import report_error
from ppo_cli.cli.terminal import show_unknown_characters_as_question_marks


class CommandGroup(TyperGroup):
    """A group whose usage errors are one sentence with a next step, or JSON where `--json` was typed."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401 - those of Typer
    ) -> Any:  # noqa: ANN401 - that of Typer
        """Runs a command.

        Args:
            args: the words after the program; those of this process by default.
            prog_name: what the program is called.
            complete_var: variable with which a shell asks for completions.
            standalone_mode: whether the process ends here.
            windows_expand_args: whether patterns of file names are expanded on Windows.
            extra: further options of Typer's.
        """
        show_unknown_characters_as_question_marks()
        as_json = "--json" in (sys.argv[1:] if args is None else args)
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except TyperException as error:
            code = _report_usage(error, as_json)
        if standalone_mode:
            sys.exit(code or 0)
        return code


def _report_usage(error: TyperException, as_json: bool) -> int:
    """Prints a usage error; the help that stands for a missing command is printed as it is."""
    context = getattr(error, "ctx", None)
    words = str(error.format_message() if hasattr(error, "format_message") else error).strip()
    try:
        if context is not None and words == context.get_help().strip():
            typer.echo(words, err=True)
            return int(getattr(error, "exit_code", 2))
        path = context.command_path if context is not None else "ppo"
        report_error(f"{words.rstrip('.?!')}.", f"Read `{path} --help`.", int(getattr(error, "exit_code", 2)), as_json)
    except typer.Exit as end:
        return end.exit_code
