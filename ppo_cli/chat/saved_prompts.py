"""A turn of a chat as a row of a prompt file, with the answers of all models beside it.

Such a file can be given to `ppo eval --prompts`, `ppo prompts` and `ppo init --from-file`, which read the prompts and
leave the answers out.

Not here: reading prompt files (`prompts.prompt_files`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ppo_cli.errors import UsageError
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import ChatMessage, Prompt, transcript
from ppo_cli.records.chat import ChatTurn
from ppo_cli.store.files import append_lines, disk_errors

DEFAULT_FILE = "chat-prompts.jsonl"


def save_turn(path: Path, turn: ChatTurn, conversation: Sequence[ChatMessage], system: str | None) -> str:
    """Appends the last turn of a conversation to a prompt file, which is made where there is none.

    Args:
        path: the file, JSON Lines.
        turn: what the user said last, and the answers to it.
        conversation: with the last of the models, that turn included.
        system: the system prompt of the conversation.

    Returns:
        The id of the row.

    Raises:
        UsageError: the file is no JSON Lines by its name.
        PromptError: it holds something else than prompts.
    """
    if path.suffix != ".jsonl":
        raise UsageError(f"{path} is not a .jsonl file.", "Save to a file whose name ends in .jsonl.")
    has_rows = path.is_file() and path.stat().st_size > 0
    taken = {prompt.id for prompt in read_prompts(path)} if has_rows else set()
    messages = list(conversation[:-1])  # without the answer
    if system:
        messages.insert(0, ChatMessage(role="system", content=system))
    several = len(messages) > 1
    text = transcript(messages) if several else turn.prompt
    name = f"chat-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    row_id = next(candidate for candidate in _names(name) if candidate not in taken)
    prompt = Prompt(id=row_id, text=text, category="chat", messages=tuple(messages) if several else ())
    answers = [{"model": answer.model, "answer": answer.text} for answer in turn.answers]
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if has_rows and not path.read_bytes().endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
    append_lines(path, [{**as_row(prompt), "answers": answers}])
    return row_id


def _names(first: str) -> list[str]:
    return [first, *(f"{first}-{number}" for number in range(2, 10_000))]
