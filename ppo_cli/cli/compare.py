"""`ppo compare`: options and one call.

Not here: the comparison (`evaluation.compare`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, Output, new_console, put, reported
from ppo_cli.errors import FailConditionMet, UsageError
from ppo_cli.records.comparisons import FailConditionResult


def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Two or more runs, by name or path; the first is the base.", metavar="RUN...")
    ],
    allow_confounded: Annotated[
        bool, typer.Option("--allow-confounded", help="Compare although more than one variable differs.")
    ] = False,
    on_common: Annotated[
        bool, typer.Option("--on-common", help="Of evaluation sets that differ, compare the prompts in both.")
    ] = False,
    allow: Annotated[
        list[str] | None, typer.Option(help="Compare although this differs: rendered.", metavar="GROUP")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with 100 if this holds: 'refusal.safe > 0.2' of the last run, 'change(refusal.safe) > 10%' of "
            "its change. May be given more than once.",
            metavar="CONDITION",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write two runs, or two arms of seeds, as a page.", metavar="FILE"),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print the result as Markdown.")] = False,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """May runs be compared, what differs, and what changed in behaviour? Runs that differ in the seed are one arm."""
    met: list[FailConditionResult] = []
    with reported(as_json):
        if as_json and as_markdown:
            raise UsageError("--json and --md are two ways to print one result.", "Leave one out.")
        from ppo_cli.evaluation import compare as command
        from ppo_cli.report.screens import shared

        if html is not None:
            from ppo_cli.evaluation.report import require_two_sides

            require_two_sides(runs, output)
        results = command.compare(
            runs,
            output=output,
            allow_confounded=allow_confounded,
            on_common=on_common,
            allow=allow or (),
            fail_if=fail_if or (),
        )
        if as_markdown:
            from ppo_cli.report.markdown import comparison_markdown

            typer.echo(comparison_markdown(results), nl=False)
        else:
            put(as_json, results, lambda: shared.comparison_screen(results))
        if html is not None:
            from ppo_cli.evaluation.report import report_comparison

            written = report_comparison(results[0], runs, output=output, html=html)
            new_console(stderr=as_json or as_markdown).print(shared.report_screen(written))
        met = [found for found in results[-1].fail_if if found.failed]
        if met and not as_json:
            from ppo_cli.report.formatting import condition_sentence

            raise FailConditionMet(
                f"--fail-if: {'; '.join(map(condition_sentence, met))}.", "Read the flipped answers above."
            )
    if met:  # with --json it stands in the one document that was printed
        raise typer.Exit(FailConditionMet.exit_code)
