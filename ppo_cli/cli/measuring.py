"""What models do, by rule and by hand: eval, label.

Not here: logic.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ppo_cli.cli.terminal import Json, Output, new_console, put, reported, watching
from ppo_cli.errors import UsageError
from ppo_cli.store.labels import Judgement

if TYPE_CHECKING:
    from ppo_cli.commands.label import Labelling

LABEL_KEYS: dict[str, Judgement] = {"1": "comply", "2": "partial", "3": "refuse", "s": "skip"}


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
    from ppo_cli.commands.answers import score_answers
    from ppo_cli.report.evaluations import answers_screen

    result = score_answers(answers, out=out)
    put(as_json, result, lambda: answers_screen(result))


def _evaluate_models(
    checkpoints: list[str], config: Path | None, prompts: str | None, rescore: bool, output: Path, as_json: bool
) -> None:
    from ppo_cli.commands import checkpoints as several
    from ppo_cli.commands import evaluate as command
    from ppo_cli.report import evaluations, screens

    if len(checkpoints) > 1 or several.is_a_run(checkpoints[0], output):
        if config is not None:
            raise UsageError("--config has no effect on checkpoints of a run, which brings its own.", "Leave it out.")
        with watching(as_json) as watcher:
            table = several.evaluate_checkpoints(
                checkpoints, prompts=prompts, rescore=rescore, output=output, watcher=watcher
            )
        put(as_json, table, lambda: evaluations.checkpoints_screen(table))
        return
    with watching(as_json) as watcher:
        result = command.evaluate(
            checkpoints[0], config=config, prompts=prompts, rescore=rescore, output=output, watcher=watcher
        )
    put(as_json, result, lambda: screens.evaluation_screen(result))


def label(
    run: Annotated[str, typer.Argument(help="A finished run, by name or path.", metavar="RUN")],
    answers: Annotated[int, typer.Option(help="Answers to label, 60 to 120.")] = 80,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """Label answers of a run blind; the labels then count before the rule's."""
    with reported(as_json):
        from ppo_cli.commands.label import begin_labelling, hand_labels
        from ppo_cli.report.labelling import hand_labels_block

        labelling = begin_labelling(run, answers=answers, output=output)
        _ask(labelling, new_console(stderr=as_json))
        found = hand_labels(labelling.run, labelling.last)
        left = sum(item.place not in labelling.given for item in labelling.items)
        if left:
            new_console(stderr=True).print(f"{left} answers are left; go on with: ppo label {run}", markup=False)
        put(as_json, found, lambda: hand_labels_block(found) if found else "Nothing to compare yet.")


def _ask(labelling: Labelling, console: Console) -> None:
    """Shows answer after answer and saves what is typed, until the last or until the person leaves off."""
    from ppo_cli.report.labelling import MEANING, card

    console.print(MEANING, style="dim")
    while (item := labelling.current) is not None:
        shown = card(labelling.position + 1, len(labelling.items), item.prompt.text, item.sample.answer)
        console.print(shown)
        key = ""
        while key not in LABEL_KEYS and key not in ("b", "q"):
            try:
                key = console.input("> ").strip().lower()
            except EOFError:
                key = "q"
        if key == "q":
            return
        if key == "b":
            labelling.back()
        else:
            labelling.give(LABEL_KEYS[key])
