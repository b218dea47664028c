"""Human labels of a run's answers: labels.jsonl, one row per label; the last label of an answer counts.

Each row holds a digest of the answer's text, so that a label can never be taken for that of another answer. Where the
prompts were chosen by what two judges say, label_design.json holds that choice per step: what the weights of the labels
follow from must not change when a rule does.

Not here: which answers are labelled (`evaluation.label`), measures from labels (`evaluation.human_labels`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from ppo_cli.errors import IntegrityError
from ppo_cli.store.files import append_lines, read_json, read_lines, truncate_lines, write_json

Judgement = Literal["comply", "partial", "refuse", "skip"]
"""XSTest's three classes, or none."""

SampleKey = tuple[int, str, int]
"""Names one answer of a run: step, prompt id, number of the sample."""


@dataclass(frozen=True, kw_only=True)
class LabelDesign:
    """How the prompts whose answers a person labels were chosen (`evaluation.label_design`)."""

    base: tuple[str, ...]
    """Ids of the prompts that were drawn from all."""
    extra: tuple[str, ...]
    """Those that were drawn from the disputed ones alone."""
    disputed: frozenset[str]
    """All disputed prompts, labelled or not."""


def answer_digest(answer: str) -> str:
    """The digest by which a label names the text of its answer."""
    return hashlib.sha256(answer.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def add_label(path: Path, key: SampleKey, answer: str, judgement: Judgement) -> None:
    """Appends one label and flushes it to the disk."""
    if path.is_file():
        truncate_lines(path, len(read_lines(path)))  # removes a line that a crash cut off
    step, prompt_id, sample = key
    row = {"step": step, "prompt_id": prompt_id, "sample": sample, "label": judgement, "answer": answer_digest(answer)}
    append_lines(path, [row])


def read_labels(path: Path, answers: Mapping[SampleKey, str]) -> dict[SampleKey, Judgement]:
    """The labels of these answers; labels of other texts are left out.

    Raises:
        IntegrityError: a row is not a label.
    """
    labels: dict[SampleKey, Judgement] = {}
    for number, row in enumerate(read_lines(path) if path.is_file() else [], start=1):
        values = (row.get("step"), row.get("prompt_id"), row.get("sample"))
        if row.get("label") not in get_args(Judgement) or not isinstance(values[1], str):
            raise IntegrityError(f"{path}, line {number} is not a label.", "Remove that line.")
        key = cast(SampleKey, values)
        if key in answers and answer_digest(answers[key]) == row.get("answer"):
            labels[key] = cast(Judgement, row["label"])
    return labels


def write_label_design(path: Path, step: int, design: LabelDesign) -> None:
    """Keeps the choice of prompts for the labels of a step; choices for other steps stay."""
    designs = read_json(path) if path.is_file() else {}
    write_json(path, {**designs, str(step): {**asdict(design), "disputed": sorted(design.disputed)}})


def read_label_design(path: Path, step: int) -> LabelDesign | None:
    """The choice of prompts for the labels of a step, of step 0 the last that was made; None where there is none.

    Raises:
        IntegrityError: the file is damaged.
    """
    designs = read_json(path) if path.is_file() else {}
    key = max(designs, key=int, default="") if step == 0 else str(step)
    if key not in designs:
        return None
    try:
        row = designs[key]
        return LabelDesign(
            base=tuple(map(str, row["base"])),
            extra=tuple(map(str, row["extra"])),
            disputed=frozenset(map(str, row["disputed"])),
        )
    except (KeyError, TypeError):
        raise IntegrityError(f"{path} is damaged.", "Remove it and labels.jsonl, and label again.") from None
