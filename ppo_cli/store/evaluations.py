"""Evaluation folders: samples and scores apart, the summary written last.

    eval/step-000010/  samples.jsonl  scores.<rules version>.jsonl  summary.json

Samples are what a model said; scores are what a version of the rules makes of it. So a better rule scores an old
run again without generating. An evaluation without summary.json is not complete. While one is at work, draft.jsonl
holds what was sampled so far, a line a batch, so that a killed one goes on from there.

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
from ppo_cli.records.answers import Finish
from ppo_cli.records.measures import Estimate, LabelledAnswer, Sample
from ppo_cli.store.files import append_lines, disk_errors, read_json, read_lines, truncate_lines, write_json, write_text

SAMPLES = "samples.jsonl"
SUMMARY = "summary.json"
PARTIAL_SAMPLES = "draft.jsonl"

TokensAndFinish = tuple[list[int], Finish]
"""A sampled answer as the model gave it."""


class PartialSamples:
    """What an evaluation at work has sampled so far."""

    def __init__(self, folder: Path, of: Mapping[str, Any]) -> None:
        """Opens the draft of a killed evaluation of the very same thing, or begins anew.

        Args:
            folder: of the evaluation; made if need be.
            of: everything that decides about the answers; a draft of anything else is thrown away.
        """
        self._path = folder / PARTIAL_SAMPLES
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        begin = json.loads(canonical_json({"draft_of": of}))
        lines = self._lines()
        if lines[:1] == [begin]:
            truncate_lines(self._path, len(lines))  # without the line that the kill cut off
        else:
            write_text(self._path, _rows([begin]))
            lines = [begin]
        self._batches = lines[1:]

    def batch(self, number: int) -> list[list[TokensAndFinish]] | None:
        """The answers of a batch, [prompts][samples], if it was finished."""
        if number >= len(self._batches):
            return None
        return [[(row["tokens"], row["finish"]) for row in rows] for rows in self._batches[number]["answers"]]

    def add(self, answers: Sequence[Sequence[TokensAndFinish]]) -> None:
        """Keeps the next batch."""
        rows = [[{"tokens": tokens, "finish": finish} for tokens, finish in each] for each in answers]
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
    write_text(folder / SAMPLES, _rows([asdict(sample) for sample in samples]))
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
    """Writes the scores of samples that are there, and the summary; then scores of other rules go.

    Args:
        folder: of an evaluation whose samples are written.
        labelled: what the rules say of them.
        estimates: measures with intervals.
        rules_version: names the scores file.
        about: what was evaluated, with which prompts and settings.
    """
    scores = folder / f"scores.{rules_version}.jsonl"
    write_text(
        scores,
        _rows(
            [{"prompt_id": row.prompt_id, "sample": row.sample, **dict(sorted(row.labels.items()))} for row in labelled]
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
    """What a summary says of its evaluation, without what the rules found."""
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
        raise IntegrityError(f"{samples} was changed or is missing.", "Evaluate again with `ppo eval --checkpoint …`.")
    return summary


def read_samples(folder: Path) -> list[Sample]:
    """What the model said."""
    try:
        return [Sample(**row) for row in read_lines(folder / SAMPLES)]
    except TypeError:
        raise IntegrityError(f"{folder / SAMPLES} is damaged.", "Evaluate again.") from None


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{canonical_json(row)}\n" for row in rows)


def _measure(estimate: Estimate) -> dict[str, Any]:
    row = asdict(estimate)
    row.pop("name")
    return row
