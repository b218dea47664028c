"""Encodes a conversation, or a written answer, so that control tokens in it are text and never begin or end a turn.

A tokenizer turns the characters `<|im_end|>` into the token that ends a turn, wherever they stand. A prompt with them
would forge turns. Conversations without them are encoded as transformers does it.

Not here: finding such prompts without a tokenizer (`prompts.chat_markup`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ppo_cli.models.chat_rendering import render_chat
from ppo_cli.records.answers import ChatMessage
from ppo_cli.records.reasoning import is_tag

MIN_CONTROL_CHARACTERS = 3
"""Shorter tokens, such as a letter, are no control tokens."""


def control_tokens(tokenizer: Any) -> tuple[str, ...]:  # noqa: ANN401 - transformers is untyped here
    """The special tokens of a tokenizer and those added tokens that its chat template writes, longest first."""
    template = str(tokenizer.chat_template)
    special = {str(token) for token in tokenizer.all_special_tokens}
    added = {str(token): bool(getattr(token, "special", False)) for token in tokenizer.added_tokens_decoder.values()}
    special |= {token for token, is_special in added.items() if is_special or token in template}
    return tuple(
        sorted((token for token in special if len(token.strip()) >= MIN_CONTROL_CHARACTERS), key=lambda t: (-len(t), t))
    )


def found_control_tokens(tokenizer: Any, texts: Sequence[str]) -> list[str]:  # noqa: ANN401
    """The control tokens of a tokenizer that occur in some texts."""
    return [token for token in control_tokens(tokenizer) if any(token in text for text in texts)]


def encode_chat(
    tokenizer: Any,  # noqa: ANN401
    messages: Sequence[ChatMessage],
    *,
    add_generation_prompt: bool = True,
) -> list[int]:
    """Token ids of a conversation under the chat template.

    Args:
        tokenizer: with a chat template.
        messages: the turns.
        add_generation_prompt: whether the ids go on to where the answer begins.

    Raises:
        TemplateError: the template cannot render it; or another error, as of `render_chat`.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    found = found_control_tokens(tokenizer, [message.content for message in messages])
    if not found:
        return _encode(tokenizer, render_chat(tokenizer, turns, add_generation_prompt=add_generation_prompt))
    pattern = re.compile("|".join(map(re.escape, found)))
    forged: list[str] = []

    def set_aside(match: re.Match[str]) -> str:
        forged.append(match[0])
        return f"\ue000{len(forged) - 1}\ue001"

    safe = [{**turn, "content": pattern.sub(set_aside, turn["content"])} for turn in turns]
    rendered = render_chat(tokenizer, safe, add_generation_prompt=add_generation_prompt)
    ids = []
    for index, piece in enumerate(re.split("\ue000([0-9]+)\ue001", rendered)):
        ids += _as_text(tokenizer, forged[int(piece)], found) if index % 2 else _encode(tokenizer, piece)
    return ids


def encode_answer(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Token ids of a written answer; control tokens in it are text, but tags of reasoning stay the tokens they are."""
    found = [token for token in found_control_tokens(tokenizer, [text]) if not is_tag(token)]
    if not found:
        return _encode(tokenizer, text)
    ids = []
    for index, piece in enumerate(re.split(f"({'|'.join(map(re.escape, found))})", text)):
        ids += _as_text(tokenizer, piece, found) if index % 2 else _encode(tokenizer, piece)
    return ids


def _as_text(tokenizer: Any, token: str, control: Sequence[str]) -> list[int]:  # noqa: ANN401
    """The characters of a control token, encoded as text."""
    ids = _encode(tokenizer, token, split_special_tokens=True)
    control_ids = set(tokenizer.convert_tokens_to_ids(list(control)))
    if control_ids.isdisjoint(ids):
        return ids
    return [index for character in token for index in _encode(tokenizer, character)]


def _encode(tokenizer: Any, text: str, **options: bool) -> list[int]:  # noqa: ANN401
    if not text:
        return []
    return [int(token) for token in tokenizer(text, add_special_tokens=False, **options)["input_ids"]]
