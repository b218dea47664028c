"""A console that is a pipe, of any width."""

import io

import pytest
from rich.console import Console

from tests.browsing import browser  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("FORCE_COLOR", "COLORTERM", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def shown():
    """Renders anything to text; `terminal` takes the place of a pipe."""

    def render(renderable, width=120, terminal=False):
        console = Console(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False)
        console.print(renderable, crop=False)
        return console.file.getvalue()

    return render
