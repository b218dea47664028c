"""Votes on the answers of two models: votes.jsonl of a run, one row per vote, appended and never rewritten.

Several people may vote at one time, on one machine or in one shared folder: each row is written whole under a lock of
the file.

Not here: collecting votes (`chat`), the win rate (`stats.win_rate`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from ppo_cli.errors import IntegrityError
from ppo_cli.records.chat import Choice, Vote, VotedModel
from ppo_cli.store.file_locks import lock_until_closed
from ppo_cli.store.files import disk_errors, read_lines, require_no_link

TEXT_FIELDS = ("time", "voter", "answer_before", "answer_after")


def add_vote(path: Path, vote: Vote) -> None:
    """Appends one vote and flushes it to the disk; a line that a crash cut off is removed first.

    Raises:
        UsageError: the file is a link.
        NoPermissionError: it may not be written.
        DiskFullError: no space is left; the file is as it was.
    """
    require_no_link(path)
    line = (json.dumps(asdict(vote), ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
    with disk_errors(path), path.open("a+b", buffering=0) as file:
        lock_until_closed(file.fileno())
        whole = _whole_length(file.fileno())
        os.ftruncate(file.fileno(), whole)
        try:
            written = 0
            while written < len(line):
                written += os.write(file.fileno(), line[written:])
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), whole)
            raise


def read_votes(path: Path) -> list[Vote]:
    """All votes in a file, in the order in which they were given; none where there is no file.

    Raises:
        IntegrityError: a row is not a vote.
    """
    rows = read_lines(path) if path.is_file() else []
    return [_vote(row, path, number) for number, row in enumerate(rows, start=1)]


def _whole_length(file: int) -> int:
    """The length of a file up to the end of its last whole line."""
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - 4096)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _vote(row: Mapping[str, Any], path: Path, number: int) -> Vote:
    damaged = IntegrityError(f"{path}, line {number} is not a vote.", "Remove that line.")
    try:
        models = {name: VotedModel(**row[name]) for name in ("before", "after")}
        vote = Vote(**{**row, **models, "turns": tuple(row["turns"])})
    except (KeyError, TypeError):
        raise damaged from None
    texts = [getattr(vote, name) for name in TEXT_FIELDS] + list(vote.turns)
    if vote.vote not in get_args(Choice) or not vote.turns or not all(isinstance(text, str) for text in texts):
        raise damaged
    return vote
