"""Evaluation folders: samples and scores apart, the summary written last.

    eval/step-000010/  samples.jsonl  scores.<rules version>.jsonl  summary.json

Samples are a model's answers; scores are the labels that one version of the rules gives them. So a better rule
scores an old run again without generating. An evaluation without summary.json is not complete. While one is being
sampled, partial_samples.jsonl holds the answers so far, one row per batch, so that a killed one continues from there.

Not here: generating, scoring.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.digest import canonical_json, sha256_file
from ppo_cli.records.measures import Estimate, LabelledAnswer, Sample
from ppo_cli.records.program import command
from ppo_cli.store.answer_rows import sample_from_row, sample_to_row
from ppo_cli.store.files import append_lines, disk_errors, read_json, read_lines, truncate_lines, write_json, write_text

SAMPLES = "samples.jsonl"
SUMMARY = "summary.json"
PARTIAL_SAMPLES = "partial_samples.jsonl"


class PartialSamples:
    """The answers that an unfinished evaluation has sampled so far."""

    def __init__(self, folder: Path, of: Mapping[str, Any]) -> None:
        """Opens the answers of a killed evaluation of the same things, or begins anew.

        Args:
            folder: of the evaluation; made if need be.
            of: everything that the answers depend on; answers of anything else are thrown away.
        """
        self._path = folder / PARTIAL_SAMPLES
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        header = json.loads(canonical_json({"samples_of": of}))
        lines = self._lines()
        if lines[:1] == [header]:
            truncate_lines(self._path, len(lines))  # without a line that the kill cut off
        else:
            write_text(self._path, _rows([header]))
            lines = [header]
        self._batches = lines[1:]

    def batch(self, number: int) -> list[list[dict[str, Any]]] | None:
        """The rows of a batch as `add` was given them, [prompts][samples]; None if it was not finished."""
        if number >= len(self._batches):
            return None
        rows: list[list[dict[str, Any]]] = self._batches[number]["answers"]
        return rows

    def add(self, rows: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        """Keeps the rows of the next batch, [prompts][samples]."""
        self._batches.append({"answers": rows})
        append_lines(self._path, [self._batches[-1]])

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.is_file():
            return []
        try:
            return read_lines(self._path)
        except IntegrityError:
            return []


def is_complete(folder: Path) -> bool:
    """Whether an evaluation was finished."""
    return (folder / SUMMARY).is_file()


def write_evaluation(
    folder: Path,
    samples: Sequence[Sample],
    labelled: Sequence[LabelledAnswer],
    estimates: Sequence[Estimate],
    rules_version: str,
    about: Mapping[str, Any],
) -> None:
    """Writes samples, scores and, last, the summary that makes the evaluation complete.

    Args:
        folder: made if need be; an older evaluation in it is replaced.
        samples: the model's answers.
        labelled: the same with their labels.
        estimates: measures with intervals.
        rules_version: names the scores file.
        about: what was evaluated, with which prompts and settings.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for old in (folder / SUMMARY, *folder.glob("scores.*.jsonl")):
            old.unlink(missing_ok=True)
    write_text(folder / SAMPLES, _rows([sample_to_row(sample) for sample in samples]))
    write_scores(folder, labelled, estimates, rules_version, about)
    with disk_errors(folder):
        (folder / PARTIAL_SAMPLES).unlink(missing_ok=True)


def write_scores(
    folder: Path,
    labelled: Sequence[LabelledAnswer],
    estimates: Sequence[Estimate],
    rules_version: str,
    about: Mapping[str, Any],
) -> None:
    """Writes the scores of samples that are there, and the summary; then removes the scores of other rules.

    Args:
        folder: of an evaluation whose samples are written.
        labelled: the samples with their labels.
        estimates: measures with intervals.
        rules_version: names the scores file.
        about: what was evaluated, with which prompts and settings.
    """
    scores = folder / f"scores.{rules_version}.jsonl"
    write_text(
        scores,
        _rows(
            [
                {"prompt_id": row.prompt.id, "sample": row.sample.index, **dict(sorted(row.labels.items()))}
                for row in labelled
            ]
        ),
    )
    summary = {
        **about,
        "rules": rules_version,
        "measures": {estimate.name: _measure(estimate) for estimate in estimates},
        "files": {file.name: sha256_file(file) for file in (folder / SAMPLES, scores)},
    }
    write_json(folder / SUMMARY, summary)
    with disk_errors(folder):
        for old in set(folder.glob("scores.*.jsonl")) - {scores}:
            old.unlink(missing_ok=True)


def about_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary without its scores: what was evaluated, with which prompts and settings."""
    return {name: value for name, value in summary.items() if name not in ("rules", "measures", "files")}


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a complete evaluation, its samples checked.

    Raises:
        IntegrityError: not complete, or its samples were changed.
    """
    summary = read_json(folder / SUMMARY)
    files = summary.get("files")
    samples = folder / SAMPLES
    if not isinstance(files, dict) or not samples.is_file() or sha256_file(samples) != files.get(SAMPLES):
        raise IntegrityError(
            f"{samples} was changed or is missing.",
            f"Evaluate again with `{command('eval', '--checkpoint', 'CHECKPOINT')}`.",
        )
    return summary


def read_samples(folder: Path) -> list[Sample]:
    """The model's answers.

    Raises:
        IntegrityError: the file is missing or damaged.
    """
    try:
        return [sample_from_row(row) for row in read_lines(folder / SAMPLES)]
    except KeyError:
        raise IntegrityError(f"{folder / SAMPLES} is damaged.", "Evaluate again.") from None


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{canonical_json(row)}\n" for row in rows)


def _measure(estimate: Estimate) -> dict[str, Any]:
    row = asdict(estimate)
    row.pop("name")
    return row
