"""Labels that people gave to answers of a run: labels.jsonl, a line a label, the last one of an answer counts.

Each is tied to the answer's own text, so that it can never be taken for a label of another answer.

Not here: which answers are labelled, what follows from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast, get_args

from ppo_cli.errors import IntegrityError
from ppo_cli.store.files import append_lines, read_lines, truncate_lines

Judgement = Literal["comply", "partial", "refuse", "skip"]
"""XSTest's three classes, or none."""

Place = tuple[int, str, int]
"""Step, prompt id, sample."""


def answer_digest(answer: str) -> str:
    """What ties a label to an answer."""
    return hashlib.sha256(answer.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def add_label(path: Path, place: Place, answer: str, judgement: Judgement) -> None:
    """Keeps one label, at once and for good."""
    if path.is_file():
        truncate_lines(path, len(read_lines(path)))  # without a line that a crash cut off
    step, prompt_id, sample = place
    row = {"step": step, "prompt_id": prompt_id, "sample": sample, "label": judgement, "answer": answer_digest(answer)}
    append_lines(path, [row])


def read_labels(path: Path, answers: Mapping[Place, str]) -> dict[Place, Judgement]:
    """The labels of these answers; those of other texts are left out.

    Raises:
        IntegrityError: a row is not a label.
    """
    found: dict[Place, Judgement] = {}
    for number, row in enumerate(read_lines(path) if path.is_file() else [], start=1):
        place = (row.get("step"), row.get("prompt_id"), row.get("sample"))
        if row.get("label") not in get_args(Judgement) or not isinstance(place[1], str):
            raise IntegrityError(f"{path}, line {number} is not a label.", "Remove that line.")
        known = cast(Place, place)
        if known in answers and answer_digest(answers[known]) == row.get("answer"):
            found[known] = cast(Judgement, row["label"])
    return found
