"""`ppo eval --answers`: the same measures on answers that were made elsewhere, and every answer's labels.

Never imports torch. Not here: the rules, the screens.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.behaviours.measures import BY_CATEGORY, MEASURES
from ppo_cli.errors import PromptError, UsageError
from ppo_cli.prompts.formats import table_rows
from ppo_cli.prompts.jsonl import as_prompts
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import LabelledAnswer, Sample
from ppo_cli.records.results import ExternalAnswersResult
from ppo_cli.stats.by_category import by_category
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.store.files import disk_errors, write_lines

NEEDS_TOKENS = ("tokens", "ended")
"""Labels that only whoever sampled an answer knows."""


def score_answers(path: Path, *, out: Path | None = None) -> ExternalAnswersResult:
    """Labels answers made elsewhere, one row of labels a row of answers, and measures them.

    Args:
        path: JSONL or CSV with prompt and answer; id, category and expect may be there, other columns are left alone.
            Rows of one id, or without ids of one prompt, are several answers to it.
        out: where the labels go; FILE.labels.jsonl beside it by default.

    Raises:
        PromptError: no such file, or a row that cannot be used; names its line.
        UsageError: the labels would replace the answers.
    """
    out = out or path.with_name(f"{path.stem}.labels.jsonl")
    if out.absolute() == path.absolute():
        raise UsageError(f"{out}: the labels would replace the answers.", "Name another file with --out.")
    prompts: dict[str, Prompt] = {}
    samples: list[Sample] = []
    count: Counter[str] = Counter()
    for number, row in table_rows(path):
        where = f"{path}, line {number}"
        prompt = _prompt(row, where)
        known = prompts.setdefault(prompt.id, prompt)
        if known != prompt:
            raise PromptError(
                f"{where}: id '{prompt.id}' stands for another prompt, category or expect above.",
                "Give each prompt its own id.",
            )
        samples.append(_sample(row, prompt, count[prompt.id], where))
        count[prompt.id] += 1
    if not samples:
        raise PromptError(f"{path} holds no answers.", 'Write {"id": …, "prompt": …, "answer": …} into it.')
    labelled = [_without(row, NEEDS_TOKENS) for row in label_sample(list(prompts.values()), samples)]
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_lines(out, [{"id": row.prompt_id, "sample": row.sample, **row.labels} for row in labelled])
    table = label_matrix(labelled)
    estimates = [estimate(measure, table) for measure in MEASURES]
    return ExternalAnswersResult(
        name=path.name,
        labels=str(out),
        rules=RULES_VERSION,
        answers=len(samples),
        prompts=len(prompts),
        estimates=tuple(found for found in estimates if found.value is not None),
        categories=by_category(labelled, (), BY_CATEGORY),
    )


def _prompt(row: Mapping[str, Any], where: str) -> Prompt:
    text, given = row.get("prompt"), row.get("id")
    if given is None:  # answers to one prompt belong together
        given = hashlib.sha256(str(text).encode("utf-8", "replace")).hexdigest()[:12]
    named = {"id": str(given) if isinstance(given, int) else given}
    kept = {name: row[name] for name in ("prompt", "category", "expect") if name in row}
    (prompt,) = as_prompts([(where, {**named, **kept})], where)
    return prompt


def _sample(row: Mapping[str, Any], prompt: Prompt, number: int, where: str) -> Sample:
    answer = row.get("answer")
    if answer is None and "answer" in row and prompt.text:
        answer = ""  # an empty cell: the model said nothing
    if not isinstance(answer, str):
        has = "`answer` must be text" if "answer" in row else "has no `answer`"
        raise PromptError(f"{where}: {has}.", "Each row needs a prompt and an answer.")
    return Sample(prompt_id=prompt.id, sample=number, answer=answer, token_count=0, finish="eos", kl=None)


def _without(row: LabelledAnswer, names: tuple[str, ...]) -> LabelledAnswer:
    return replace(row, labels={name: value for name, value in row.labels.items() if name not in names})
