"""Answers that grow: every character once, in columns or below one another, and none that steers a terminal."""

import io
import re

from ppo_cli.cli.terminal import SafeConsole
from ppo_cli.reports.chat_view import ChatView

HOSTILE = "a\x1b]0;owned\x07b\x1b[2Jc\u202ed\r\x9be"
ESCAPE = re.compile(r"\x1b(?!\[[0-9;?]*[A-Za-z])|\x1b\[2J|\x07|\x9b|\u202e")
"""Anything but the colours and cursor moves that rich writes."""


class Growing:
    def __init__(self, *texts):
        self.texts, self.place = texts, 0

    @property
    def text(self):
        return self.texts[self.place]

    @property
    def done(self):
        return self.place == len(self.texts) - 1


def console(**options):
    return SafeConsole(file=io.StringIO(), highlight=False, width=100, _environ={"TERM": "xterm"}, **options)


def printed(*texts):
    screen = console()
    answer = Growing(*texts)
    shown = ChatView(screen).printed(answer)
    for place in range(len(texts)):
        answer.place = place
        shown()
    shown.end()
    return screen.file.getvalue()


def test_each_character_is_printed_once_as_it_comes():
    assert printed("", "It", "It is", "It is\nso.") == "It is\nso.\n"


def test_a_long_line_is_not_broken_by_the_program():
    long = " ".join(["word"] * 60)
    assert printed(long) == f"{long}\n"


def test_an_answer_whose_beginning_changes_is_printed_anew():
    assert printed("I thonk", "I think so") == "I thonk\nI think so\n"


def test_markup_of_an_answer_is_text():
    assert printed("[red]no[/red] [/]") == "[red]no[/red] [/]\n"


def test_no_escape_of_an_answer_reaches_a_pipe_or_a_terminal():
    assert printed(HOSTILE) == "a ]0;owned b [2Jc d  e\n"
    screen = console(force_terminal=True)
    view = ChatView(screen)
    answers = [Growing(HOSTILE), Growing("x")]
    assert view.has_columns(2)
    with view.columns(["\x1b[2Jname", "other"], answers) as redraw:
        redraw()
    out = screen.file.getvalue()
    assert "]0;owned" in out
    assert not ESCAPE.search(out)


def test_columns_stand_side_by_side_on_a_wide_terminal_only():
    wide = console(force_terminal=True)
    assert ChatView(wide).has_columns(2)
    assert not ChatView(wide).has_columns(1)
    assert not ChatView(wide).has_columns(3)
    assert not ChatView(console()).has_columns(2)
    with ChatView(wide).columns(["left", "right"], [Growing("one two"), Growing("three")]):
        pass
    last = [line for line in wide.file.getvalue().splitlines() if "one two" in line][-1]
    assert re.search(r"one two\s{20,}three", last)
