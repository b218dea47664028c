"""Everything that the program prints goes through this module, so that no text of a model or a file steers a terminal.

A stream that cannot show a character shows `?` for it, and progress that can no longer be shown is left out: training
never ends because of a screen.

Not here: what is printed (`reports.screens`), which characters are replaced (`text.printable`).
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.segment import Segment

from ppo_cli.text.printable import json_printable, printable

PIPE_COLUMNS = 120
"""Columns of a screen that goes into a file or a pipe."""


class SafeConsole(Console):
    """A console that prints printable characters, line ends and its own control codes, and nothing else."""

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        """The text of a buffer; every way of printing ends here."""
        return super()._render_buffer(
            segment if segment.control else Segment(printable(segment.text, keep_lines=True), segment.style)
            for segment in buffer
        )


class ProgressStream(io.TextIOBase):
    """Writes to a stream until that fails, because a terminal was closed or a disk is full, and then nothing more."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._failed = False

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return not self._failed and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        if not self._failed:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._failed = True
        return len(text)

    def flush(self) -> None:
        if not self._failed:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._failed = True


def show_unknown_characters_as_question_marks() -> None:
    """Lets stdout and stderr print `?` for a character that their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def new_console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """A console with the width of the terminal, or of `PIPE_COLUMNS` for a file or a pipe."""
    console = SafeConsole(stderr=stderr, file=file, highlight=False)
    if console.is_terminal:
        return console
    return SafeConsole(stderr=stderr, file=file, highlight=False, width=PIPE_COLUMNS)


def progress_console(*, stderr: bool) -> Console:
    """A console for progress, which must not end the work that it shows."""
    stream: IO[str] | None = sys.stderr if stderr else sys.stdout
    return new_console(stderr=stderr, file=ProgressStream(stream) if stream is not None else None)  # type: ignore[arg-type]


def print_text(text: str, *, stderr: bool = False, file: IO[str] | None = None) -> None:
    """Prints text as it is, with its line ends, however long its lines are."""
    stream: IO[str] | None = file or (sys.stderr if stderr else sys.stdout)
    if stream is not None:  # None: the program was started without this stream
        stream.write(printable(text, keep_lines=True))
        stream.flush()


def print_json(value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401 - any record
    """Prints one JSON document on stdout, in ASCII where stdout is not UTF-8."""
    if sys.stdout is None:
        return
    is_utf8 = (sys.stdout.encoding or "utf-8").lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")
    document = json.dumps(_plain(value), ensure_ascii=not is_utf8, indent=indent, allow_nan=False)
    sys.stdout.write(f"{json_printable(document)}\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Records as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
