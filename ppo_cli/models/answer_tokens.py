"""Sampled tokens as an answer: its reasoning separated from its text, and the tokens of each counted.

Not here: how reasoning is recognised (`records.reasoning`), sampling (`sampling`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from ppo_cli.models.chat_rendering import render_chat
from ppo_cli.records.answers import Answer, Finish
from ppo_cli.records.reasoning import ends_in_reasoning, is_tag, split_reasoning

Decode = Callable[[Sequence[int]], str]


def answer_of(token_ids: Sequence[int], finish: Finish, decode: Decode, *, opened: bool) -> Answer:
    """Sampled tokens as an answer.

    Args:
        token_ids: as sampled, with the end-of-turn token.
        finish: why the answer ends.
        decode: gives the text of some token ids, without special tokens and outer blanks.
        opened: whether the chat template writes an opening tag of reasoning before the answer.
    """
    whole = decode(token_ids)
    reasoning, text = split_reasoning(whole, opened=opened)
    answer = Answer(text=text, token_count=len(token_ids), finish=finish, reasoning=reasoning)
    if text == whole and not reasoning:
        return answer
    own = max(_tokens_of(text, token_ids, decode), int(answer.ended))
    return replace(answer, reasoning_tokens=len(token_ids) - own)


def _tokens_of(text: str, token_ids: Sequence[int], decode: Decode) -> int:
    """The fewest last tokens that hold a text; with reasoning between its parts, its share of the characters."""
    if not text:
        return 0
    whole = decode(token_ids)
    if text not in whole:
        return round(len(token_ids) * len(text) / len(whole))
    return 1 + bisect_left(range(1, len(token_ids)), True, key=lambda last: text in decode(token_ids[-last:]))


def decode_answer(
    tokenizer: Any,  # noqa: ANN401 - transformers is untyped here
    token_ids: Sequence[int],
    tags: Mapping[int, str],
) -> str:
    """Text of some token ids, without outer blanks and without special tokens other than `tags`."""
    pieces = []
    for tag, group in groupby(token_ids, tags.get):
        ids = list(group)
        pieces += [tag] * len(ids) if tag else [str(tokenizer.decode(ids, skip_special_tokens=True))]
    return "".join(pieces).strip()


def reasoning_tags(tokenizer: Any) -> dict[int, str]:  # noqa: ANN401
    """The special tokens of a tokenizer that begin or end reasoning, such as Mistral's [THINK], by id."""
    special = set(tokenizer.all_special_ids)
    added = {int(index): token for index, token in tokenizer.added_tokens_decoder.items()}
    return {
        index: str(token)
        for index, token in added.items()
        if is_tag(str(token)) and (index in special or getattr(token, "special", False))
    }


def opens_reasoning(tokenizer: Any) -> bool:  # noqa: ANN401
    """Whether the chat template ends a prompt with an opening tag of reasoning."""
    try:
        turns = [{"role": "user", "content": "question"}]
        rendered = render_chat(tokenizer, turns, add_generation_prompt=True)
    except Exception:  # noqa: BLE001 - a template raises whatever it wants; `ChatTokenizer.render` names the fault
        return False
    return ends_in_reasoning(rendered)
