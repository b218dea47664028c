"""Probability of an end-of-turn token after a written answer, and in the middle of it.

A model that was tuned to answer ends its turn thousands of times as likely after a whole answer as within one. One that
only continues text makes no such difference.

Not here: the check on these numbers (`preflight.instruct_checks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.records.answers import Prompt

MAX_ROWS_PER_PASS = 16
"""Prompts with their answers in one pass."""


@torch.inference_mode()
def end_of_turn_probabilities(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    tokenizer: ChatTokenizer,
    answered: Sequence[Prompt],
) -> list[tuple[float, float]]:
    """Probabilities of a stop token after each prompt's whole written answer, and after half of it.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        answered: prompts with an `answer`.

    Returns:
        (after the whole answer, after half of it) per prompt, summed over the stop tokens.
    """
    head = LMHead(model)
    probabilities = []
    for start in range(0, len(answered), MAX_ROWS_PER_PASS):
        rows = []
        for prompt in answered[start : start + MAX_ROWS_PER_PASS]:
            question = tokenizer.render(prompt.chat)
            answer = tokenizer.tokenizer(prompt.answer, add_special_tokens=False)["input_ids"]
            rows.append((question + answer, len(question) + len(answer) - 1, len(question) + len(answer) // 2 - 1))
        ids = torch.full((len(rows), max(len(row) for row, *_ in rows)), tokenizer.pad_id, dtype=torch.long)
        for index, (row, *_) in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
        # padded on the right, which causal attention never reads
        hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
        for index, (_, whole, half) in enumerate(rows):
            next_token = torch.softmax(head.logits(hidden[index, [whole, half]]), dim=-1)
            after, within = next_token[:, list(tokenizer.stop_ids)].sum(dim=-1).tolist()
            probabilities.append((after, within))
    return probabilities
