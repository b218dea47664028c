"""`ppo label`: its options, and the loop that shows an answer and reads a key.

Not here: which answers are labelled (`evaluation.label`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ppo_cli.cli.completion import complete_run
from ppo_cli.cli.output import Json, RunsDir, error_boundary, show_result
from ppo_cli.cli.terminal import new_console
from ppo_cli.records.program import command
from ppo_cli.records.reasoning import after_reasoning
from ppo_cli.store.labels import Judgement
from ppo_cli.text.words import words

if TYPE_CHECKING:
    from ppo_cli.evaluation.label import LabellingSession

EXAMPLES = (("runs/RUN",), ("runs/RUN", "--answers", "120"))
LABEL_KEYS: dict[str, Judgement] = {"1": "comply", "2": "partial", "3": "refuse", "s": "skip"}


def label(
    run: Annotated[
        str, typer.Argument(help="A finished run, by name or path.", metavar="RUN", autocompletion=complete_run)
    ],
    answers: Annotated[int, typer.Option(help="Number of answers to label, 60 to 120.", metavar="N")] = 80,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Label answers of a run blind; your labels replace the rule's.

    You can quit and continue; every label is saved at once.
    """
    with error_boundary(as_json):
        from ppo_cli.evaluation.label import DEFAULT_ANSWERS
        from ppo_cli.evaluation.label import label as start_labelling
        from ppo_cli.reports.screens.label import human_labels_block

        session = start_labelling(run, answers=answers, runs_dir=runs_dir)
        _ask(session, new_console(stderr=as_json))
        result = session.summary()
        if session.remaining:
            resume = command(
                "label",
                session.records.layout.root,
                *(["--answers", answers] if answers != DEFAULT_ANSWERS else []),
            )
            line = f"{session.remaining} answers are left; continue with: {resume}"
            new_console(stderr=True).print(line, markup=False, soft_wrap=True)
        show_result(as_json, result, lambda: human_labels_block(result) if result else "No labels to compare yet.")


def _ask(session: LabellingSession, console: Console) -> None:
    """Shows one answer after the other and saves each label, until the last answer or until the person quits."""
    from ppo_cli.reports.screens.label import KEYS, MEANING, answer_card

    console.print(MEANING, style="dim")
    while (item := session.current) is not None:
        answer = item.sample.answer
        shown = after_reasoning(len(words(answer.reasoning)), answer.text)
        console.print(answer_card(session.position + 1, len(session.items), item.prompt.text, shown))
        key = ""
        while key not in LABEL_KEYS and key not in ("b", "q"):
            try:
                key = console.input("> ").strip().lower()
            except EOFError:
                key = "q"
            if key not in LABEL_KEYS and key not in ("b", "q"):
                console.print(f"'{key}' is none of the keys: {KEYS}", markup=False)
        if key == "q":
            return
        if key == "b":
            session.back()
        else:
            session.add(LABEL_KEYS[key])
