"""The question which measure shows whether a goal is reached, asked by `ppo init` and `ppo sft-check` on a terminal.

Not here: its words (`reports.screens.init`), which measures there are to choose from (`setup.recipe_choices`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ppo_cli.records.answers import Prompt


def is_answered_at_a_terminal() -> bool:
    """Whether a question would be seen, and its answer typed."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask_measure(console: Console, default: str, prompts: Sequence[Prompt] | None) -> str | None:
    """The measure that shows whether the goal is reached; None where the user knows of none.

    Args:
        console: to ask on.
        default: the recipe's measure.
        prompts: of the evaluation, which decide what can be measured; None where they are not known yet.
    """
    from ppo_cli.reports.screens import init as screen
    from ppo_cli.setup.recipe_choices import measures_to_choose

    measures = measures_to_choose(prompts)
    names = [measure.name for measure in measures]
    console.print(screen.measure_question(measures, default))
    try:
        while True:
            typed = console.input(f"{screen.MEASURE} > ").strip()
            if not typed:
                return default
            if typed.lower() in screen.NO_MEASURE:
                return None
            if typed in names:
                return typed
            if typed.isdecimal() and 1 <= int(typed) <= len(names):
                return names[int(typed) - 1]
            console.print(screen.no_such_measure(typed, names))
    except EOFError:
        return None
