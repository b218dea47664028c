"""Answers that grow on the screen: side by side in columns on a wide terminal, one below the other elsewhere.

Not here: drawing their tokens (`chat.session`), what is said before and after them (`reports.screens.chat`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ppo_cli.text.printable import printable

MIN_COLUMN_WIDTH = 38
"""Characters; a terminal that has fewer per answer shows them one below the other."""
SECONDS_PER_FRAME = 0.08
STYLES = ("cyan", "green", "magenta", "yellow")


class GrowingAnswer(Protocol):
    """An answer that grows."""

    @property
    def text(self) -> str:
        """As far as it is known."""

    @property
    def done(self) -> bool:
        """Whether it grows no more."""


class ChatView:
    """Shows the answers of one turn while they grow."""

    def __init__(self, console: Console) -> None:
        """Takes the console to draw on.

        Args:
            console: on which control characters of a text have no effect.
        """
        self._console = console

    def has_columns(self, answers: int) -> bool:
        """Whether so many answers stand side by side; one alone is simply printed as it grows."""
        console = self._console
        able = console.is_terminal and not console.is_dumb_terminal
        return able and answers > 1 and console.width >= answers * MIN_COLUMN_WIDTH

    @contextmanager
    def columns(self, names: Sequence[str], answers: Sequence[GrowingAnswer]) -> Iterator[_Columns]:
        """Draws answers side by side for the length of the block; call what it gives after every token."""
        view = _Columns(names, answers)
        with Live(view.table(), console=self._console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            view.live = live
            try:
                yield view
            finally:
                live.update(view.table(), refresh=True)

    def print_name(self, name: str, number: int = 0) -> None:
        """The line before an answer."""
        self._console.print(Text(printable(name), style=f"bold {STYLES[number % len(STYLES)]}"), soft_wrap=True)

    def printed(self, answer: GrowingAnswer) -> PrintedAnswer:
        """An answer that is printed as it grows."""
        return PrintedAnswer(self._console, answer)


class _Columns:
    """The answers of one turn side by side."""

    def __init__(self, names: Sequence[str], answers: Sequence[GrowingAnswer]) -> None:
        self._names, self._answers = names, answers
        self._last = 0.0
        self.live: Live | None = None

    def __call__(self) -> None:
        """Draws them anew, unless they were drawn just now."""
        if self.live is not None and time.monotonic() - self._last >= SECONDS_PER_FRAME:
            self._last = time.monotonic()
            self.live.update(self.table(), refresh=True)

    def table(self) -> RenderableType:
        """A column per answer."""
        table = Table(box=None, expand=True, padding=(0, 2, 0, 0), show_edge=False)
        for number, name in enumerate(self._names):
            heading = Text(printable(name), style=f"bold {STYLES[number % len(STYLES)]}")
            table.add_column(heading, ratio=1, overflow="fold")
        texts = [printable(answer.text, keep_lines=True) + ("" if answer.done else " …") for answer in self._answers]
        table.add_row(*(Text(text, overflow="fold") for text in texts))
        return table


class PrintedAnswer:
    """An answer whose new characters are printed after those before."""

    def __init__(self, console: Console, answer: GrowingAnswer) -> None:
        self._console, self._answer, self._shown = console, answer, ""

    def __call__(self) -> None:
        """Prints what is new; what a later token would still change waits for it."""
        text = self._answer.text
        if text.startswith(self._shown) and text != self._shown:
            self._print(text[len(self._shown) :])
            self._shown = text

    def end(self) -> None:
        """Ends the line; an answer whose beginning changed meanwhile is printed anew."""
        self()
        if self._answer.text != self._shown:
            self._print(f"\n{self._answer.text}")
        self._console.print()

    def _print(self, text: str) -> None:
        self._console.print(Text(printable(text, keep_lines=True)), end="", soft_wrap=True)
