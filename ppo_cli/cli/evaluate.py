"""`ppo eval`: options and one call.

Not here: sampling and measuring (`evaluation`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppo_cli.cli.output import Json, Output, put, reported, watching
from ppo_cli.errors import UsageError

if TYPE_CHECKING:
    pass


def evaluate(
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="A checkpoint, RUN/best, RUN/last, a model folder, an id or builtin:NAME; several, or a run, for one "
            "table of them."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings for a model that belongs to no run.")] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Other prompts: JSONL, CSV, or hf:NAME[:SPLIT]; XSTest, CoCoNot, AdvBench.")
    ] = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Measure the answers that are there by the rules of today.")
    ] = False,
    answers: Annotated[
        Path | None, typer.Option(help="Answers made elsewhere, JSONL or CSV: id, prompt, answer.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the labels of --answers go.")] = None,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure the behaviour of a checkpoint, a model, a whole run, or answers made elsewhere."""
    with reported(as_json):
        if (answers is None) == (not checkpoint):
            raise UsageError("Give either --checkpoint or --answers.", "Example: ppo eval --checkpoint runs/RUN/last")
        idle = [("--config", config), ("--prompts", prompts), ("--rescore", rescore)] if answers else [("--out", out)]
        if without_effect := [name for name, value in idle if value]:
            raise UsageError(
                f"{without_effect[0]} has no effect {'with' if answers else 'without'} --answers.", "Leave it out."
            )
        if answers is not None:
            _evaluate_answers(answers, out, as_json)
        else:
            _evaluate_models(checkpoint or [], config, prompts, rescore, output, as_json)


def _evaluate_answers(answers: Path, out: Path | None, as_json: bool) -> None:
    from ppo_cli.evaluation.external_answers import score_answers
    from ppo_cli.report.screens.evaluate import answers_screen

    result = score_answers(answers, out=out)
    put(as_json, result, lambda: answers_screen(result))


def _evaluate_models(
    checkpoints: list[str], config: Path | None, prompts: str | None, rescore: bool, output: Path, as_json: bool
) -> None:
    from ppo_cli.evaluation import checkpoint_curve as several
    from ppo_cli.evaluation import evaluate as command
    from ppo_cli.report.screens import evaluate, shared

    if len(checkpoints) > 1 or several.names_a_run(checkpoints[0], output):
        if config is not None:
            raise UsageError("--config has no effect on checkpoints of a run, which brings its own.", "Leave it out.")
        with watching(as_json) as on_event:
            table = several.evaluate_checkpoints(
                checkpoints, prompts=prompts, rescore=rescore, output=output, on_event=on_event
            )
        put(as_json, table, lambda: evaluate.checkpoint_curve_screen(table))
        return
    with watching(as_json) as on_event:
        result = command.evaluate(
            checkpoints[0], config=config, prompts=prompts, rescore=rescore, output=output, on_event=on_event
        )
    put(as_json, result, lambda: shared.evaluation_screen(result))
