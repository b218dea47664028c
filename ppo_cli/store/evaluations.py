"""Evaluation folders: samples and scores apart, the summary written last.

    eval/step-000010/  samples.jsonl  scores.<rules version>.jsonl  summary.json

Samples are a model's answers; scores are the labels that one version of the rules gives them. So a better rule
scores an old run again without generating. An evaluation without summary.json is not complete. While one is being
sampled, .sampling is locked, and partial_samples.jsonl holds the answers so far, one row per answer, so that a killed
one continues from there; measure_cache.jsonl holds what services said of them.

Where a second judge labelled the answers too, its label is in the scores and its version is `second_judge` in
summary.json; the name of the scores does not depend on it. An evaluation without it is as whole as one with it.

summary.json says what was evaluated (`of`: the run's lock, step, checkpoint, prompts, number of answers) and has a
digest of itself. That is evidence against accidents and careless editing, not a signature.

Not here: generating, scoring.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.experiment.digest import canonical_json, sha256_file, sha256_of
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import Estimate, LabelledAnswer, Sample
from ppo_cli.records.program import command
from ppo_cli.records.second_judge import SECOND_JUDGE, SECOND_LABEL
from ppo_cli.store.answer_rows import sample_from_row, sample_to_row
from ppo_cli.store.files import (
    append_lines,
    disk_errors,
    read_json,
    read_lines,
    require_no_link,
    truncate_lines,
    write_json,
    write_text,
)
from ppo_cli.store.layout import CHECKPOINT_MANIFEST
from ppo_cli.store.run_lock import RunLock

SAMPLES = "samples.jsonl"
SUMMARY = "summary.json"
PARTIAL_SAMPLES = "partial_samples.jsonl"
MEASURE_CACHE = "measure_cache.jsonl"
SAMPLING_LOCK = ".sampling"
DIGEST = "sha256"
"""Field of summary.json: digest over all its others."""


@dataclass(frozen=True)
class AskedPrompt:
    """A prompt as a model reads it."""

    id: str
    digest: str
    """sha256 over its id and its tokens."""


@dataclass(frozen=True, kw_only=True)
class EvaluatedPolicy:
    """What answered, so that an evaluation cannot be taken for that of another run, step or checkpoint."""

    lock: str | None = None
    """Fingerprint of the run's lock; None of a model that belongs to no run."""
    step: int | None = None
    checkpoint: str | None = None
    """Digest of the checkpoint or of the weights; None of the start model of a run."""


@contextmanager
def sole_evaluation(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds an evaluation folder, made if need be, so that no other process samples or scores into it.

    Args:
        folder: of the evaluation.
        wait: for another process, in place of an error.

    Raises:
        UsageError: another process evaluates into it.
    """
    with disk_errors(folder):
        require_no_link(folder)
        if (folder.parent.parent / "run.json").is_file():
            require_no_link(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = RunLock(folder / SAMPLING_LOCK, wait=wait)
        except BlockingIOError:
            raise UsageError(
                f"Another process is evaluating into {folder}.", "Wait for it to end, then run the command again."
            ) from None
    try:
        yield
    finally:
        lock.remove()


class PartialSamples:
    """The answers that an unfinished evaluation has sampled so far, each with its prompt and sample number."""

    def __init__(self, folder: Path, of: Mapping[str, Any]) -> None:
        """Opens the answers of a killed evaluation of the same things, or begins anew.

        Args:
            folder: of the evaluation, held by this process (`sole_evaluation`).
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
        self._answers = {_key_of(line): line.get("answer") for line in lines[1:]}

    def answers(self, asked: Sequence[AskedPrompt], samples: int) -> list[list[dict[str, Any]]] | None:
        """The rows of these prompts as `add` was given them, [prompts][samples]; None where one is not there."""
        rows = [
            [self._answers.get((prompt.id, prompt.digest, number)) for number in range(samples)] for prompt in asked
        ]
        whole = [[row for row in of_prompt if isinstance(row, dict)] for of_prompt in rows]
        return whole if all(len(of_prompt) == samples for of_prompt in whole) else None

    def add(self, asked: Sequence[AskedPrompt], rows: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        """Keeps the rows of a batch, [prompts][samples]."""
        lines = [
            {"prompt_id": prompt.id, "prompt_sha256": prompt.digest, "sample": number, "answer": row}
            for prompt, of_prompt in zip(asked, rows, strict=True)
            for number, row in enumerate(of_prompt)
        ]
        append_lines(self._path, lines)
        self._answers.update({_key_of(line): line["answer"] for line in lines})

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.is_file():
            return []
        try:
            return read_lines(self._path)
        except IntegrityError:
            return []


def checkpoint_digest(folder: Path) -> str | None:
    """Digest over the files that a checkpoint's manifest lists; None where there is no checkpoint.

    Raises:
        IntegrityError: the manifest is damaged.
    """
    manifest = folder / CHECKPOINT_MANIFEST
    if not manifest.is_file():
        return None
    files = read_json(manifest).get("files")
    if not isinstance(files, dict):
        raise IntegrityError(f"{manifest} is damaged.", "Use another checkpoint of the run.")
    return sha256_of({str(name): str(digest) for name, digest in files.items()})


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
        for needed_no_more in (PARTIAL_SAMPLES, MEASURE_CACHE):
            (folder / needed_no_more).unlink(missing_ok=True)


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
    prompts = {row.prompt.id: row.prompt for row in labelled}
    summary = {
        **about,
        "of": {**about.get("of", {}), "prompts": prompts_digest(prompts.values()), "answers": len(labelled)},
        "rules": rules_version,
        **({"second_judge": SECOND_JUDGE} if labelled and SECOND_LABEL in labelled[0].labels else {}),
        "measures": {estimate.name: _measure(estimate) for estimate in estimates},
        "files": {file.name: sha256_file(file) for file in (folder / SAMPLES, scores)},
    }
    write_json(folder / SUMMARY, {**summary, DIGEST: sha256_of(summary)})
    with disk_errors(folder):
        for old in set(folder.glob("scores.*.jsonl")) - {scores}:
            old.unlink(missing_ok=True)


def about_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary without its scores: what was evaluated, with which prompts and settings."""
    scored = ("rules", "second_judge", "measures", "files", DIGEST)
    return {name: value for name, value in summary.items() if name not in scored}


def read_second_labels(folder: Path, summary: Mapping[str, Any]) -> dict[tuple[str, int], float] | None:
    """The second judge's label of each answer, by prompt id and sample; None where its present version gave none.

    Args:
        folder: of the evaluation.
        summary: of it; scores that are not those that it names are not used.
    """
    scores = next((folder / str(name) for name in summary.get("files", {}) if str(name).startswith("scores.")), None)
    if summary.get("second_judge") != SECOND_JUDGE or scores is None or not scores.is_file():
        return None
    content = scores.read_bytes()
    if hashlib.sha256(content).hexdigest() != summary["files"][scores.name]:
        return None
    rows = map(json.loads, content.splitlines())
    return {(row["prompt_id"], row["sample"]): row[SECOND_LABEL] for row in rows if SECOND_LABEL in row}


def prompts_digest(prompts: Iterable[Prompt]) -> str:
    """Digest over prompts, in whatever order."""
    return sha256_of([asdict(prompt) for prompt in sorted(prompts, key=lambda prompt: prompt.id)])


def read_measured(folder: Path) -> dict[str, Any]:
    """The summary of a complete evaluation, checked against its own digest; the samples are not read.

    Raises:
        IntegrityError: not complete, or edited.
    """
    summary = read_json(folder / SUMMARY)
    content = {name: value for name, value in summary.items() if name != DIGEST}
    if summary.get(DIGEST) != sha256_of(content) or not isinstance(summary.get("of"), dict):
        raise IntegrityError(f"{folder / SUMMARY} was edited.", _evaluate_again())
    return summary


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a complete evaluation, its samples checked.

    Raises:
        IntegrityError: not complete, or the summary or its samples were changed.
    """
    summary = read_measured(folder)
    files = summary.get("files")
    samples = folder / SAMPLES
    if not isinstance(files, dict) or not samples.is_file() or sha256_file(samples) != files.get(SAMPLES):
        raise IntegrityError(f"{samples} was changed or is missing.", _evaluate_again())
    return summary


def require_evaluation_of(summary: Mapping[str, Any], policy: EvaluatedPolicy, folder: Path) -> None:
    """Checks that an evaluation is that of this run, step and checkpoint.

    Args:
        summary: as it was read.
        policy: what it should be of; a checkpoint that is no longer there is not compared.
        folder: of the evaluation, for the message.

    Raises:
        IntegrityError: names what it is not of.
    """
    of = summary.get("of", {})
    checks = [("run", of.get("lock"), policy.lock), ("step", of.get("step"), policy.step)]
    if policy.checkpoint is not None:
        checks.append(("checkpoint", of.get("checkpoint"), policy.checkpoint))
    for what, recorded, expected in checks:
        if recorded != expected:
            raise IntegrityError(f"{folder} holds the evaluation of another {what}.", _evaluate_again())


def require_answers(
    summary: Mapping[str, Any], samples: Sequence[Sample], prompts: Mapping[str, Prompt], folder: Path
) -> None:
    """Checks that samples are the answers that a summary counts, the same number of each of its prompts.

    Args:
        summary: as it was read.
        samples: as they were read.
        prompts: those of the run's set that the samples answer, by id.
        folder: of the evaluation, for the message.

    Raises:
        IntegrityError: an answer is missing or there twice, or prompts are not those that were asked.
    """
    of = summary.get("of", {})
    numbers: dict[str, list[int]] = {}
    for sample in samples:
        numbers.setdefault(sample.prompt_id, []).append(sample.index)
    counted = len(samples) == of.get("answers") and len({len(of_prompt) for of_prompt in numbers.values()}) <= 1
    if not counted or any(sorted(of_prompt) != list(range(len(of_prompt))) for of_prompt in numbers.values()):
        raise IntegrityError(f"{folder / SAMPLES} does not hold each answer once.", _evaluate_again())
    if prompts_digest(prompts.values()) != of.get("prompts"):
        raise IntegrityError(f"{folder} holds answers to other prompts than these.", _evaluate_again())


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


def _key_of(line: Mapping[str, Any]) -> tuple[str, str, int]:
    number = line.get("sample")
    return str(line.get("prompt_id")), str(line.get("prompt_sha256")), number if isinstance(number, int) else -1


def _evaluate_again() -> str:
    return f"Evaluate again with `{command('eval', '--checkpoint', 'CHECKPOINT')}`."


def _measure(estimate: Estimate) -> dict[str, Any]:
    row = asdict(estimate)
    del row["name"]
    del row["judged_95"]  # computed when shown: human labels may be added later
    return row
