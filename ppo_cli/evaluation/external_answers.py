"""`ppo eval --answers`: label and measure answers that were generated elsewhere.

Never imports torch. Not here: the rules (`behaviours`), answers of a run (`evaluate`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.embedding_judge import with_second_label
from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.behaviours.measures import BY_CATEGORY, MEASURES
from ppo_cli.errors import PromptError, UsageError
from ppo_cli.evaluation.judge_error import judged_estimates
from ppo_cli.prompts.jsonl import as_prompts
from ppo_cli.prompts.leakage import wording
from ppo_cli.prompts.prompt_files import read_standard_rows
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.measures import LabelledAnswer, Sample
from ppo_cli.records.reasoning import split_reasoning
from ppo_cli.records.results import ExternalAnswersResult
from ppo_cli.stats.by_category import by_category
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.second_judge import agreement_share
from ppo_cli.store.files import disk_errors, write_lines

NEEDS_TOKENS = ("tokens", "ended")
"""Labels that need the sampled tokens, which a file of answers does not have."""


def score_answers(answers: str | Path, *, labels_file: str | Path | None = None) -> ExternalAnswersResult:
    """Labels answers that were generated elsewhere, one row of labels per row of answers, and measures them.

    Args:
        answers: JSONL or CSV with prompt and answer, and perhaps id, category and expect; other columns are ignored.
            Rows of one id, or without ids of one prompt, are several answers to it.
        labels_file: where the labels go; FILE.labels.jsonl beside the answers by default.

    Raises:
        PromptError: no such file, or a row that cannot be used; names its line.
        UsageError: the labels would replace the answers.

    Example:
        >>> score_answers("answers.jsonl").estimates[0].value
    """
    path = Path(answers)
    labels_path = path.with_name(f"{path.stem}.labels.jsonl") if labels_file is None else Path(labels_file)
    if labels_path.absolute() == path.absolute():
        raise UsageError(
            f"{labels_path}: the labels would replace the answers.", "Name another file with --labels-file."
        )
    standard = read_standard_rows(path)
    prompts: dict[str, Prompt] = {}
    same_text: dict[str, Prompt] = {}
    ids: list[str] = []
    samples: list[Sample] = []
    count: Counter[str] = Counter()
    for where, row in standard.rows:
        own = _prompt(row, where)
        known = prompts.setdefault(own.id, own)
        if known != own:
            raise PromptError(
                f"{where}: id '{own.id}' has another prompt, category or expect above.",
                "Give each prompt its own id.",
            )
        prompt = _of_same_text(same_text, own)
        ids.append(own.id)
        samples.append(_sample(row, prompt, count[prompt.id], where))
        count[prompt.id] += 1
    if not samples:
        raise PromptError(f"{path} holds no answers.", 'Write {"id": …, "prompt": …, "answer": …} into it.')
    grouped = list(same_text.values())
    labelled = [_without(row, NEEDS_TOKENS) for row in with_second_label(label_sample(grouped, samples))]
    with disk_errors(labels_path, "Name another file with --labels-file FILE."):
        labels_path.parent.mkdir(parents=True, exist_ok=True)
        write_lines(
            labels_path,
            [{"id": id_, "sample": row.sample.index, **row.labels} for id_, row in zip(ids, labelled, strict=True)],
        )
    notices = list(standard.notices)
    if len(grouped) < len(prompts):
        notices.append(
            f"{len(prompts)} ids have {len(grouped)} different prompts; answers to the same prompt count as several "
            "answers to it."
        )
    matrix = label_matrix(labelled)
    estimates = [estimate(measure, matrix) for measure in MEASURES]
    return ExternalAnswersResult(
        name=path.name,
        labels=str(labels_path),
        rules=RULES_VERSION,
        answers=len(samples),
        prompts=len(grouped),
        estimates=judged_estimates([row for row in estimates if row.value is not None or row.reason], matrix),
        categories=by_category(matrix, None, BY_CATEGORY),
        notices=tuple(notices),
        second_judge=agreement_share(matrix),
    )


def _prompt(row: Mapping[str, Any], where: str) -> Prompt:
    text, given = row.get("prompt"), row.get("id")
    if given is None:  # rows of one prompt get one id
        given = hashlib.sha256(str(text).encode("utf-8", "replace")).hexdigest()[:12]
    fields = {name: row[name] for name in ("prompt", "category", "expect") if name in row}
    (prompt,) = as_prompts([(where, {"id": given, **fields})], where)
    return prompt


def _of_same_text(known: dict[str, Prompt], prompt: Prompt) -> Prompt:
    """The first prompt of the same words and the same expectation."""
    key = "\n".join((wording(prompt.text) or prompt.text, prompt.category, prompt.expect))
    return known.setdefault(key, prompt)


def _sample(row: Mapping[str, Any], prompt: Prompt, index: int, where: str) -> Sample:
    answer = row.get("answer")
    if answer is None and "answer" in row and prompt.text:
        answer = ""  # an empty cell is an empty answer
    if not isinstance(answer, str):
        has = "`answer` must be text" if "answer" in row else "has no `answer`"
        raise PromptError(f"{where}: {has}.", "Each row needs a prompt and an answer.")
    reasoning, text = split_reasoning(answer)
    return Sample(
        prompt_id=prompt.id,
        index=index,
        answer=Answer(text=text, token_count=0, finish="eos", reasoning=reasoning),
        kl=None,
    )


def _without(row: LabelledAnswer, names: tuple[str, ...]) -> LabelledAnswer:
    return replace(row, labels={name: value for name, value in row.labels.items() if name not in names})
