"""Gives the columns of a user's rows the names of a prompt file, and says what it took for what and what it left out.

One prompt can lie in several columns: an instruction with its input, a system turn, a history of earlier turns, a
conversation. It is put together here.

Not here: reading files (`table_files`), published formats (`formats`), checks of the values (`jsonl`).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ppo_cli.errors import PromptError
from ppo_cli.prompts.conversations import (
    ROLES,
    Conversation,
    as_prompt,
    is_conversation,
    read_conversation,
)
from ppo_cli.prompts.formats import FORMATS, OWN, Format, convert_row
from ppo_cli.prompts.jsonl import FIELDS
from ppo_cli.records.answers import ChatMessage, Expect

Rows = list[tuple[str, dict[str, Any]]]
"""Rows, each with its file and line for messages."""

PROMPT_COLUMNS = (
    "question", "instruction", "query", "request", "messages", "conversations", "conversation", "dialog", "dialogue",
    "chat", "turns", "contents", "text", "input", "user", "content", "问题", "用户问题", "提问", "提示", "提示词",
    "指令", "用户输入", "输入", "题目", "请求",
)  # fmt: skip
"""Headings that mean the prompt if no column is called `prompt`; the first of these that the file has."""
PROMPT_WORDS = ("prompt", "question", "instruction", "问题", "提问", "提示", "指令")
"""A heading with one of these words means the prompt if it is the only such heading."""
INPUT_COLUMNS = ("input", "context", "输入", "上下文")
"""Headings of what an instruction or question is about."""
INSTRUCTIONS = ("instruction", "question", "query", "request", "指令", "问题")
"""Headings of a prompt that may have such an input."""
OTHER_NAMES: Mapping[str, Sequence[str]] = {
    "answer": ("output", "response", "completion", "reply", "回答", "答案", "参考答案", "标准答案", "回复", "输出"),
    "category": ("类别", "分类", "类型"),
    "expect": ("期望", "预期", "期望行为"),
    "id": ("编号", "序号"),
    "keywords": ("关键词",),
}
"""Headings that mean another column of a prompt file, if the file has none of that name."""
LABEL_COLUMNS = ("label", "labels", "标签")
LABELS: Mapping[str, Expect] = {"unsafe": "refuse", "harmful": "refuse", "safe": "comply", "harmless": "comply"}
"""Words of a column of labels that say what to expect."""
SYSTEM_COLUMNS, HISTORY_COLUMNS = ("system", "system_prompt", "系统提示"), ("history", "chat_history")


@dataclass(frozen=True, kw_only=True)
class StandardRows:
    """Rows with the columns of a prompt file."""

    rows: Rows
    format: str
    """Name of the format, as in `formats.FORMATS`."""
    notices: tuple[str, ...]
    """What was taken for what, and what was left out of how many rows."""


def is_heading(cells: Sequence[str]) -> bool:
    """Whether the cells of a table's first line are headings: one is the name of a prompt's column."""
    folded = [_fold(cell.strip('"')) for cell in cells]
    known = {"prompt", "goal", "messages", *PROMPT_COLUMNS}
    return any(name in known for name in folded) or (len(folded) > 1 and "answer" in folded)


def has_prompt_column(columns: Sequence[str]) -> bool:
    """Whether a column with one of these headings holds the prompt."""
    folded = {_fold(column): column for column in columns}
    return "prompt" in folded or _prompt_column(folded) is not None


def standard_rows(rows: Rows, source: str, name: str, fields: Sequence[str] = FIELDS) -> StandardRows:
    """Recognises the columns of rows and puts each prompt together.

    Args:
        rows: as they were read.
        source: the file or dataset, for messages.
        name: of the set, by which CoCoNot's contrast set is recognised.
        fields: columns of a prompt file that are wanted; without all of them, no published format is looked for.

    Raises:
        PromptError: no column holds the prompt, or a row does not fit its format.
    """
    columns = list(dict.fromkeys(column for _, row in rows for column in row))
    remarks: Counter[str] = Counter()
    formats = FORMATS if fields == FIELDS else (OWN,)
    names, notices = _names(columns, fields)
    renamed = [(where, {names.get(key, key): _present(value) for key, value in row.items()}) for where, row in rows]
    notices += _read_labels(renamed, columns) if "expect" in fields else []
    known = frozenset(names.get(column, column) for column in columns)
    recognised = next((each for each in formats if each.known_by(known)), OWN)
    if rows and not recognised.known_by(known):
        raise PromptError(
            f"{source}: has no column `prompt` or `goal`, only {', '.join(sorted(map(str, columns)))[:100]}.",
            "Call the column with the user's words `prompt`; before a list without a heading, write the line `prompt`.",
        )
    used = set(recognised.columns if recognised is not OWN else fields)
    result: Rows = []
    for where, row in renamed:
        if recognised is OWN:
            joined = _joined(row, where, frozenset(columns), remarks, answers="answer" in fields)
            used |= joined.taken
            result.append((where, convert_row(recognised, joined.row, name, where)))
        else:
            result.append((where, convert_row(recognised, row, name, where)))
    notices += [f"{remark} ({count} of {len(rows)} rows)." for remark, count in remarks.items()]
    notices += _unread(renamed, used)
    return StandardRows(rows=result, format=recognised.name, notices=tuple(notices))


def _names(columns: Sequence[str], fields: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """New names by old ones, and a sentence per guess."""
    folded = {_fold(column): column for column in reversed(columns)}
    names = {folded[field]: field for field in fields if field in folded and field not in columns}
    lower = {folded[field]: field for field in Format.all_columns() if field in folded and field not in columns}
    known = frozenset({**lower, **names}.get(column, column) for column in columns)
    if fields == FIELDS and any(each.known_by(known) for each in FORMATS if each is not OWN):
        return {**lower, **names}, []
    notices = []
    if "prompt" not in known and (prompt := _prompt_column(folded)) is not None:
        names[prompt] = "prompt"
        notices.append(f"Its column `{prompt.strip()}` is taken for the prompt.")
    for field, others in OTHER_NAMES.items():
        other = next((folded[each] for each in others if each in folded and folded[each] not in names), None)
        if field in fields and field not in known and other is not None and names.get(other) is None:
            names[other] = field
            notices.append(f"Its column `{other.strip()}` is taken for `{field}`.")
    return names, notices


def _prompt_column(folded: Mapping[str, str]) -> str | None:
    exact = next((folded[name] for name in PROMPT_COLUMNS if name in folded), None)
    if exact is not None:
        return exact
    alike = [column for name, column in folded.items() if any(word in name for word in PROMPT_WORDS)]
    alike = [column for column in alike if not _fold(column).endswith(("id", "编号"))]
    return alike[0] if len(alike) == 1 else None


def _read_labels(rows: Rows, columns: Sequence[str]) -> list[str]:
    """Takes a column of labels for `expect` where its words say so; returns what was done with it."""
    known = {_fold(column) for column in columns}
    label = next((column for column in columns if _fold(column) in LABEL_COLUMNS), None)
    if label is None or "expect" in known or {"type", "prompt"} <= known or any("expect" in row for _, row in rows):
        return []
    values = {str(row[label]).strip().lower() for _, row in rows if row.get(label) is not None}
    words = {**LABELS, **{word: word for word in get_args(Expect)}}
    if not values or not values <= words.keys():
        shown = ", ".join(sorted(values)[:3])
        return [
            f"Its column `{label}` ({shown}) does not say what to expect and is not read; to use it, call it `expect` "
            f"and write {', '.join(get_args(Expect))} in it."
        ]
    for _, row in rows:
        value = row.pop(label, None)
        row["expect"] = words[str(value).strip().lower()] if value is not None else None
    pairs = ", ".join(f"{value} as {words[value]}" for value in sorted(values) if value != words[value])
    return [f"Its column `{label}` is taken for `expect`{f': {pairs}' if pairs else ''}."]


@dataclass(frozen=True)
class _JoinedRow:
    """A row whose prompt holds every turn and every input."""

    row: dict[str, Any]
    taken: set[str]
    """The columns that went into the prompt."""


def _joined(
    row: Mapping[str, Any], where: str, columns: frozenset[str], remarks: Counter[str], *, answers: bool
) -> _JoinedRow:
    """Puts the prompt of a row together; `answers` says whether written answers are wanted."""
    taken: set[str] = set()
    by_name = {_fold(name): name for name in reversed(list(row))}
    prompt, answer = row.get("prompt"), row.get("answer")
    messages: list[ChatMessage] = []
    if is_conversation(prompt):
        conversation = read_conversation(prompt, where)
        messages, prompt = list(conversation.messages), None
        remarks.update(f"Parts other than text are left out: {kind}" for kind in conversation.left_out)
        if answers:
            answer = _written_answer(conversation, answer, remarks)
        elif conversation.answer is not None:
            remarks["What the assistant says last in its prompt is left out"] += 1
    elif isinstance(prompt, str):
        prompt = _with_input(prompt, row, by_name, columns, remarks, taken)
        messages = [ChatMessage(role="user", content=prompt)] if prompt.strip() else []
    elif prompt == []:
        prompt = None
    if messages:
        earlier = _earlier_turns(row, by_name, where, taken)
        if any(turn.role == "system" for turn in messages) and any(turn.role == "system" for turn in earlier):
            remarks["The column of the system turn is left out, since the conversation has its own"] += 1
            earlier = [turn for turn in earlier if turn.role != "system"]
        messages = [*earlier, *messages]
        prompt = as_prompt(messages)
        remarks.update(_remarks_on(messages))
    return _JoinedRow({**row, "prompt": prompt, **({"answer": answer} if answer is not None else {})}, taken)


def _written_answer(conversation: Conversation, answer: object, remarks: Counter[str]) -> object:
    """The answer of a row: its own, or what the assistant says after the last turn of the user."""
    if conversation.answer is None:
        return answer
    used = "taken for `answer`" if answer is None else "left out, since the row has an answer"
    remarks[f"What the assistant says last is {used}"] += 1
    return conversation.answer if answer is None else answer


def _with_input(
    prompt: str,
    row: Mapping[str, Any],
    by_name: Mapping[str, str],
    columns: frozenset[str],
    remarks: Counter[str],
    taken: set[str],
) -> str:
    """An instruction with the input that it is about."""
    extra = next((by_name[name] for name in INPUT_COLUMNS if name in by_name), None)
    instruction = next((name for name in columns if _fold(name) in INSTRUCTIONS), None)
    if extra is None or instruction is None or "prompt" in columns:
        return prompt
    taken.add(extra)
    if not isinstance(row[extra], str) or not row[extra].strip():
        return prompt
    remarks[f"`{instruction}` and `{extra}` make one prompt"] += 1
    return f"{prompt}\n\n{row[extra]}"


def _remarks_on(messages: Sequence[ChatMessage]) -> list[str]:
    remarks = []
    if any(turn.role == "system" for turn in messages):
        remarks.append("A system turn is part of the prompt, and takes the place of model.system_prompt")
    if sum(turn.role != "system" for turn in messages) > 1:
        remarks.append("Earlier turns are part of the prompt")
    return remarks


def _earlier_turns(
    row: Mapping[str, Any], by_name: Mapping[str, str], where: str, taken: set[str]
) -> list[ChatMessage]:
    """The system turn and the history that lie in columns of their own."""
    turns: list[ChatMessage] = []
    system = next((by_name[name] for name in SYSTEM_COLUMNS if name in by_name), None)
    if system is not None:
        taken.add(system)
        if isinstance(row[system], str) and row[system].strip():
            turns.append(ChatMessage(role="system", content=row[system]))
    history = next((by_name[name] for name in HISTORY_COLUMNS if name in by_name), None)
    value = row[history] if history is not None else None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return turns
    if history is None or not isinstance(value, list):
        return turns
    taken.add(history)
    for pair in value:
        if isinstance(pair, Mapping):
            turns += _read_turns(pair, where)
        elif isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair):
            turns += [ChatMessage(role="user", content=pair[0]), ChatMessage(role="assistant", content=pair[1])]
        else:
            raise PromptError(f"{where}: `{history}` is not a list of pairs.", 'Write [["question", "answer"], …].')
    return turns


def _read_turns(turn: Mapping[str, Any], where: str) -> list[ChatMessage]:
    """One turn of a history that is written as messages."""
    role = ROLES.get(str(turn.get("role", turn.get("from"))).lower())
    content = turn.get("content", turn.get("value"))
    if role is None or not isinstance(content, str):
        raise PromptError(f"{where}: a turn of its history is not text.", 'Write {"role": "user", "content": …}.')
    return [ChatMessage(role=role, content=content)]


def _unread(rows: Rows, used: set[str]) -> list[str]:
    """A sentence that names the columns that are not read, with the rows that have something in them."""
    counts: Counter[str] = Counter()
    for _, row in rows:
        counts.update(str(name) for name, value in row.items() if name not in used and value not in (None, "", []))
    counts = Counter({name: count for name, count in counts.items() if _fold(name) not in LABEL_COLUMNS})
    if not counts:
        return []
    shown = ", ".join(f"`{name}`" for name in list(counts)[:6]) + (", …" if len(counts) > 6 else "")
    return [f"Not read: {'column' if len(counts) == 1 else 'columns'} {shown} ({max(counts.values())} rows)."]


def _present(value: Any) -> Any:  # noqa: ANN401 - whatever a file holds
    """A value; None in place of NaN, which tables write for an empty cell."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _fold(name: object) -> str:
    return re.sub(r"\s+", " ", str(name)).strip().lower()
