"""Evaluation folders: samples and scores apart, the summary written last.

    eval/step-000010/  samples.jsonl  scores.<rules version>.jsonl  summary.json

Samples are what a model said; scores are what a version of the rules makes of it. So a better rule scores an old
run again without generating. An evaluation without summary.json is not complete.

Not here: generating, scoring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.digest import canonical_json, sha256_file
from ppo_cli.records import Estimate, Labelled, Sample
from ppo_cli.store.files import disk_errors, read_json, read_lines, write_json, write_text

SAMPLES = "samples.jsonl"
SUMMARY = "summary.json"


def is_complete(folder: Path) -> bool:
    """Whether an evaluation was finished."""
    return (folder / SUMMARY).is_file()


def write_evaluation(
    folder: Path,
    samples: Sequence[Sample],
    labelled: Sequence[Labelled],
    estimates: Sequence[Estimate],
    rules_version: str,
    about: Mapping[str, Any],
) -> None:
    """Writes samples, scores and, last, the summary that makes the evaluation complete.

    Args:
        folder: made if need be; an older evaluation in it is replaced.
        samples: what the model said.
        labelled: what the rules say of it.
        estimates: measures with intervals.
        rules_version: names the scores file.
        about: what was evaluated, with which prompts and settings.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for old in (folder / SUMMARY, *folder.glob("scores.*.jsonl")):
            old.unlink(missing_ok=True)
    scores = folder / f"scores.{rules_version}.jsonl"
    write_text(folder / SAMPLES, _lines([asdict(sample) for sample in samples]))
    write_text(
        scores,
        _lines(
            [{"prompt_id": row.prompt_id, "sample": row.sample, **dict(sorted(row.values.items()))} for row in labelled]
        ),
    )
    summary = {
        **about,
        "rules": rules_version,
        "measures": {estimate.name: _measure(estimate) for estimate in estimates},
        "files": {file.name: sha256_file(file) for file in (folder / SAMPLES, scores)},
    }
    write_json(folder / SUMMARY, summary)


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a complete evaluation, its samples checked.

    Raises:
        IntegrityError: not complete, or its samples were changed.
    """
    summary = read_json(folder / SUMMARY)
    files = summary.get("files")
    samples = folder / SAMPLES
    if not isinstance(files, dict) or not samples.is_file() or sha256_file(samples) != files.get(SAMPLES):
        raise IntegrityError(f"{samples} was changed or is missing.", "Evaluate again with `ppo eval --checkpoint …`.")
    return summary


def read_samples(folder: Path) -> list[Sample]:
    """What the model said."""
    try:
        return [Sample(**row) for row in read_lines(folder / SAMPLES)]
    except TypeError:
        raise IntegrityError(f"{folder / SAMPLES} is damaged.", "Evaluate again.") from None


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{canonical_json(row)}\n" for row in rows)


def _measure(estimate: Estimate) -> dict[str, Any]:
    row = asdict(estimate)
    row.pop("name")
    return row
