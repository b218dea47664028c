"""`ppo compare`: its options and one call.

Not here: the comparison (`evaluation.compare`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.completion import complete_run
from ppo_cli.cli.output import Json, RunsDir, error_boundary, show_result
from ppo_cli.cli.terminal import new_console, print_text
from ppo_cli.errors import FailConditionError, UsageError

EXAMPLES = (("runs/A", "runs/B"), ("runs/A", "runs/B", "--fail-if", "change(refusal.safe) > 10%"))


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Two or more runs, by name or path; the first is the base.",
            metavar="RUN",
            autocompletion=complete_run,
        ),
    ],
    allow_confounded: Annotated[
        bool, typer.Option("--allow-confounded", help="Compare although more than one variable differs.")
    ] = False,
    common_prompts: Annotated[
        bool,
        typer.Option("--common-prompts", help="Where the evaluation sets differ, compare the prompts that both have."),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Compare although this differs: rendered (the prompts as tokens).", metavar="GROUP"),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with code 100 unless the 95 % interval rules this out: 'refusal.safe > 0.2' for the value of "
            "the last run, 'change(refusal.safe) > 10%' for its change. 'estimate(refusal.safe) > 0.2' and "
            "'estimate(change(refusal.safe)) > 10%' judge the estimate alone. May be given more than once.",
            metavar="CONDITION",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="Also write an HTML page of two runs, or of two settings with several seeds.", metavar="FILE"
        ),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the result as Markdown.")] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Compare the behaviour of runs.

    Runs that differ in the seed only count as one setting. The comparison is refused where more than one variable
    differs.
    """
    with error_boundary(as_json):
        if as_json and as_markdown:
            raise UsageError("--json and --markdown cannot be combined.", "Leave one out.")
        from ppo_cli.evaluation.compare import compare as compare_runs
        from ppo_cli.reports.screens.compare import comparison_screen
        from ppo_cli.reports.screens.report import report_screen

        results = compare_runs(
            runs,
            runs_dir=runs_dir,
            allow_confounded=allow_confounded,
            common_prompts=common_prompts,
            allow=allow or (),
            fail_if=fail_if or (),
            html=html,
        )
        if as_markdown:
            from ppo_cli.reports.markdown import comparison_markdown

            print_text(comparison_markdown(results))
        else:
            show_result(as_json, results, lambda: comparison_screen(results))
        page = results[0].page
        if page is not None and not as_json:  # the JSON that was printed names it
            new_console(stderr=as_markdown).print(report_screen(page))
        met = [condition for condition in results[-1].fail_if if condition.failed]
        if met and as_json:  # the JSON that was printed names them
            raise typer.Exit(FailConditionError.exit_code)
        if met:
            from ppo_cli.reports.formatting import condition_sentence

            more = "" if all(condition.estimate_meets for condition in met) else " What is not ruled out needs more "
            more += "prompts; estimate(…) judges the estimate alone." if more else ""
            raise FailConditionError(
                f"--fail-if: {'; '.join(map(condition_sentence, met))}.", f"Read the flipped answers above.{more}"
            )
