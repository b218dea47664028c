"""The one reader of prompts: a file of any form or a dataset, for every command.

It understands the columns of many tools, puts conversations together, and says what it took for what and what it left
out. What cannot be a prompt is an error that names its line.

Not here: how a file becomes rows (`table_files`), what columns mean (`columns`), checks of values (`jsonl`), splitting
a user's own prompts (`setup.user_dataset`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.errors import PromptError
from ppo_cli.prompts.columns import Rows, StandardRows, standard_rows
from ppo_cli.prompts.jsonl import as_lines, as_prompts, json_lines, numbered
from ppo_cli.prompts.leakage import wording
from ppo_cli.prompts.table_files import read_content, rows_of
from ppo_cli.records.answers import Prompt


@dataclass(frozen=True, kw_only=True)
class PromptFile:
    """A prompt file as it was read once: its prompts and its text."""

    text: str
    """JSON Lines of these prompts: the file's own text if it is that already."""
    prompts: list[Prompt]
    notices: tuple[str, ...] = ()
    """What was guessed, put together or left out."""


def read_prompts(path: Path, *, need_answers: bool = False) -> list[Prompt]:
    """Reads a prompt file.

    Args:
        path: of any form that `table_files.read_rows` reads, with columns that `columns.standard_rows` knows.
        need_answers: every row must have an `answer` (SFT examples, written baseline answers).

    Raises:
        PromptError: no such file, a broken line, an empty prompt, a duplicate id, a wrong value.
    """
    return read_prompt_file(path, need_answers=need_answers).prompts


def read_prompt_file(path: Path, *, need_answers: bool = False) -> PromptFile:
    """Reads a prompt file once and gives its text beside its prompts, so that a copy holds what was read.

    Args:
        path: as for `read_prompts`.
        need_answers: every row must have an `answer`.

    Raises:
        PromptError: as `read_prompts`.
    """
    content = read_content(path)
    standard = _standard_rows(path, content)
    prompts = as_prompts(numbered(standard.rows, path.stem), str(path), need_answers=need_answers)
    return PromptFile(text=_text(path, content, prompts), prompts=prompts, notices=standard.notices)


def read_standard_rows(path: Path) -> StandardRows:
    """The rows of a file with the columns of a prompt file, before their values are checked.

    Raises:
        PromptError: no such file, a line that cannot be read, no column with the prompt.
    """
    return _standard_rows(path, read_content(path))


def _standard_rows(path: Path, content: bytes) -> StandardRows:
    rows, guesses = rows_of(content, path)
    standard = standard_rows(rows, str(path), path.stem)
    return StandardRows(rows=standard.rows, format=standard.format, notices=(*guesses, *standard.notices))


def require_different(prompts: list[Prompt], source: str) -> None:
    """Requires that no two prompts of an evaluation set say the same.

    Raises:
        PromptError: names two that do.
    """
    first: dict[str, Prompt] = {}
    repeated = [
        (same, prompt)
        for prompt in prompts
        if (same := first.setdefault(wording(prompt.text) or prompt.text, prompt)) is not prompt
    ]
    if repeated:
        one, other = repeated[0]
        raise PromptError(
            f"{source}: {len(repeated)} of {len(prompts)} prompts repeat another one, such as '{other.id}' repeats "
            f"'{one.id}'; every interval would be too narrow.",
            "Keep one of each, and raise evaluation.samples_per_prompt for more answers to a prompt.",
        )


def _text(path: Path, content: bytes, prompts: list[Prompt]) -> str:
    """The file's own text if it is JSON Lines with the columns of a prompt file, else these prompts written so."""
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()  # line ends as \n
        rows: Rows = [(f"line {number}", row) for number, row in json_lines(text, path)]
        plain = as_prompts(rows, str(path)) == prompts
    except (UnicodeDecodeError, PromptError):
        return as_lines(prompts)
    return text if plain else as_lines(prompts)
