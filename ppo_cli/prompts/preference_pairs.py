"""Reads pairs of a preferred and a rejected answer: from a file of any form that holds prompts, by the same reader.

The two answers are texts or turns of the assistant. A row without a prompt of its own begins both with the same turns,
which are the prompt.

Not here: how a file becomes rows (`table_files`), what columns mean (`columns`), training on pairs
(`engine.reward_model`).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from ppo_cli.errors import PromptError
from ppo_cli.prompts.chat_markup import markup_notices
from ppo_cli.prompts.columns import Rows, has_prompt_column, standard_rows
from ppo_cli.prompts.conversations import as_prompt, is_conversation, read_turns
from ppo_cli.prompts.jsonl import LONE_SURROGATE, as_prompts, json_lines, numbered
from ppo_cli.prompts.table_files import read_content, rows_of
from ppo_cli.records.answers import ChatMessage, Prompt
from ppo_cli.records.reasoning import split_reasoning

CHOSEN, REJECTED = "chosen", "rejected"
NAMES = ("prompt", CHOSEN, REJECTED)
OTHER_NAMES: Mapping[str, Sequence[str]] = {
    CHOSEN: ("preferred", "chosen_response", "response_chosen", "preferred_output", "更好的回答", "优选回答", "选中"),
    REJECTED: (
        "dispreferred", "rejected_response", "response_rejected", "non_preferred_output", "更差的回答", "拒绝回答",
    ),
}  # fmt: skip
"""Headings that mean one of the two answers, if the file has none of that name."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one prompt, of which one was preferred."""

    prompt: Prompt
    chosen: str
    rejected: str

    def as_row(self) -> dict[str, Any]:
        """The row of a file of pairs; `prompt` is a text, or a list of {role, content} of a conversation."""
        return {"prompt": as_prompt(self.prompt.chat), CHOSEN: self.chosen, REJECTED: self.rejected}


@dataclass(frozen=True, kw_only=True)
class PairFile:
    """A file of pairs as it was read once."""

    text: str
    """JSON Lines of these pairs: the file's own text if it is that already."""
    pairs: list[Pair]
    notices: tuple[str, ...]
    """What was guessed, put together or left out."""


@dataclass(frozen=True, kw_only=True)
class _AnswerCell:
    """One of the two answers of a row."""

    before: tuple[ChatMessage, ...]
    """The turns that stand before it in its cell."""
    text: str


def holds_pairs(path: Path) -> bool:
    """Whether a file has a column for the chosen and one for the rejected answer.

    Raises:
        PromptError: no such file, or a line that cannot be read.
    """
    rows, _ = _with_names(rows_of(read_content(path), path)[0])
    columns = {column for _, row in rows for column in row}
    return {CHOSEN, REJECTED} <= columns


def read_pair_file(path: Path) -> PairFile:
    """Reads a file of pairs.

    Args:
        path: of any form that `table_files.read_rows` reads, with columns for the chosen and the rejected answer, and
            one that `columns.standard_rows` takes for the prompt unless the answers are whole conversations.

    Raises:
        PromptError: no such file, a line that cannot be read or lacks one of the three, or two answers that are alike.
    """
    content = read_content(path)
    rows, notices = rows_of(content, path)
    rows, renamed = _with_names(rows)
    remarks: Counter[str] = Counter()
    answers = [_answers(row, where, remarks) for where, row in rows]
    rest = [(where, {name: row[name] for name in row if name not in OTHER_NAMES}) for where, row in rows]
    if not has_prompt_column([name for _, row in rest for name in row]):
        rest = [
            (where, {**row, "prompt": as_prompt(_before(pair, where, path))})
            for (where, row), pair in zip(rest, answers, strict=True)
        ]
        remarks["The turns before the answers are the prompt"] += len(rest)
    standard = standard_rows(rest, str(path), path.stem, ("prompt",))
    joined: Rows = [
        (where, {"prompt": _whole_prompt(row.get("prompt"), _before(pair, where), where)})
        for (where, row), pair in zip(standard.rows, answers, strict=True)
    ]
    prompts = as_prompts(numbered(joined, "pair"), str(path))
    pairs = [
        Pair(prompt=prompt, chosen=chosen.text, rejected=rejected.text)
        for prompt, (chosen, rejected) in zip(prompts, answers, strict=True)
    ]
    counted = [f"{remark} ({count} of {len(rows)} rows)." for remark, count in remarks.items()]
    with_answers = [replace(pair.prompt, answer=f"{pair.chosen}\n{pair.rejected}") for pair in pairs]
    return PairFile(
        text=_text(content, pairs),
        pairs=pairs,
        notices=(*notices, *renamed, *standard.notices, *counted, *markup_notices(with_answers)),
    )


def _with_names(rows: Rows) -> tuple[Rows, list[str]]:
    """The rows with the two answers under their usual names, and a sentence per guess."""
    columns = list(dict.fromkeys(column for _, row in rows for column in row))
    folded = {str(column).strip().lower(): column for column in reversed(columns)}
    names: dict[str, str] = {}
    notices = []
    for name, others in OTHER_NAMES.items():
        found = next((folded[each] for each in (name, *others) if each in folded), None)
        if found is not None and found != name:
            names[found] = name
            if found.strip().lower() != name:
                notices.append(f"Its column `{found.strip()}` is taken for `{name}`.")
    return [(where, {names.get(key, key): value for key, value in row.items()}) for where, row in rows], notices


def _answers(row: Mapping[str, Any], where: str, remarks: Counter[str]) -> tuple[_AnswerCell, _AnswerCell]:
    chosen, rejected = _answer(row, CHOSEN, where, remarks), _answer(row, REJECTED, where, remarks)
    if chosen.text.strip() == rejected.text.strip():
        raise PromptError(f"{where}: chosen and rejected are the same.", "Remove that row.")
    return chosen, rejected


def _answer(row: Mapping[str, Any], name: str, where: str, remarks: Counter[str]) -> _AnswerCell:
    """The answer that a cell holds: its text, or its last turns if these are the assistant's.

    Raises:
        PromptError: the cell holds neither.
    """
    value = row.get(name)
    if value is None:
        raise PromptError(f"{where}: has no `{name}`.", "Each row needs a prompt, a chosen and a rejected answer.")
    if isinstance(value, str):
        before, text = [], value
    elif is_conversation(value):
        turns, left_out = read_turns(value, f"{where}, `{name}`")
        remarks.update(f"Parts other than text are left out: {kind}" for kind in left_out)
        count = sum(1 for _ in takewhile(lambda turn: turn.role == "assistant", reversed(turns)))
        before, text = turns[: len(turns) - count], "\n\n".join(turn.content for turn in turns[len(turns) - count :])
        if not count:
            raise PromptError(
                f"{where}: `{name}` does not end with a turn of the assistant.", "Write the answer itself, as text."
            )
    else:
        raise PromptError(f"{where}: `{name}` must be text or turns.", "Write the answer itself, as text.")
    reasoning, text = split_reasoning(text)
    if reasoning:
        remarks["Reasoning is left out of the answers"] += 1
    if LONE_SURROGATE.search(text):
        raise PromptError(f"{where}: `{name}` holds half a character (a lone \\ud… escape).", "Write the whole one.")
    return _AnswerCell(before=tuple(before), text=text)


def _before(pair: tuple[_AnswerCell, _AnswerCell], where: str, required_in: Path | None = None) -> list[ChatMessage]:
    """The turns before both answers.

    Raises:
        PromptError: they differ, or there are none in a file that has no other prompt.
    """
    chosen, rejected = (list(answer.before) for answer in pair)
    if chosen and rejected and chosen != rejected:
        raise PromptError(
            f"{where}: chosen and rejected answer different turns.", "Keep pairs whose turns differ in the last only."
        )
    if required_in is not None and not (chosen or rejected):
        raise PromptError(
            f"{where}: has no `prompt`.",
            "Name the column with the user's words `prompt`, or begin both answers with the turns that they answer.",
        )
    return chosen or rejected


def _whole_prompt(prompt: object, before: list[ChatMessage], where: str) -> object:
    """The prompt of a row, which can lie in its own column, before its answers, or in both."""
    given, _ = read_turns(prompt, where) if is_conversation(prompt) else ([], None)
    if isinstance(prompt, str) and prompt.strip():
        given = [ChatMessage(role="user", content=prompt)]
    if not before or not given or _same(given[-len(before) :], before):
        return prompt if given else as_prompt(before)
    system = [turn for turn in given if turn.role == "system" and turn not in before]
    turns = given[len(system) :]
    if _same(before[: len(turns)], turns) or _same(before[-len(turns) :], turns):
        return as_prompt([*system, *before])
    if before[0].role == "assistant":
        return as_prompt([*given, *before])
    raise PromptError(
        f"{where}: its `prompt` is not what chosen and rejected answer.", "Leave one of the two prompts out."
    )


def _same(some: Sequence[ChatMessage], others: Sequence[ChatMessage]) -> bool:
    return [(turn.role, turn.content.strip()) for turn in some] == [
        (turn.role, turn.content.strip()) for turn in others
    ]


def _text(content: bytes, pairs: Sequence[Pair]) -> str:
    """The file's own text if it is JSON Lines of texts, else these pairs written so."""
    written = [pair.as_row() for pair in pairs]
    rewritten = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in written)
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()  # line ends as \n
        rows = [row for _, row in json_lines(text, Path())]
    except (UnicodeDecodeError, PromptError):
        return rewritten
    return text if [{name: row.get(name) for name in NAMES} for row in rows] == written else rewritten
