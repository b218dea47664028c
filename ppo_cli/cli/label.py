"""`ppo label`: options, and the loop that shows an answer and reads a key.

Not here: which answers are shown (`evaluation.label`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ppo_cli.cli.output import Json, Output, new_console, put, reported
from ppo_cli.store.labels import Judgement

if TYPE_CHECKING:
    from ppo_cli.evaluation.label import LabellingSession

LABEL_KEYS: dict[str, Judgement] = {"1": "comply", "2": "partial", "3": "refuse", "s": "skip"}


def label(
    run: Annotated[str, typer.Argument(help="A finished run, by name or path.", metavar="RUN")],
    answers: Annotated[int, typer.Option(help="Answers to label, 60 to 120.")] = 80,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """Label answers of a run blind; the labels then count before the rule's."""
    with reported(as_json):
        from ppo_cli.evaluation.label import start_labelling, summarise_human_labels
        from ppo_cli.report.screens.label import human_labels_block

        labelling = start_labelling(run, answers=answers, output=output)
        _ask(labelling, new_console(stderr=as_json))
        found = summarise_human_labels(labelling.run, labelling.last)
        left = sum(item.position not in labelling.given for item in labelling.items)
        if left:
            new_console(stderr=True).print(f"{left} answers are left; go on with: ppo label {run}", markup=False)
        put(as_json, found, lambda: human_labels_block(found) if found else "Nothing to compare yet.")


def _ask(labelling: LabellingSession, console: Console) -> None:
    """Shows answer after answer and saves what is typed, until the last or until the person leaves off."""
    from ppo_cli.report.screens.label import MEANING, answer_card

    console.print(MEANING, style="dim")
    while (item := labelling.current) is not None:
        shown = answer_card(labelling.position + 1, len(labelling.items), item.prompt.text, item.sample.answer)
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
            labelling.add(LABEL_KEYS[key])
