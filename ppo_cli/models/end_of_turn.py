"""Whether a model knows when an answer has ended: how likely it is to end its turn there, and in the middle.

A model that was tuned to answer ends its turn thousands of times as readily after a whole answer as within one, even
where it likes to go on. One that only continues text has no such habit.

Not here: what is made of it (`commands.gate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.records.answers import Prompt

MAX_ROWS_PER_PASS = 16


@torch.inference_mode()
def end_of_turn_probabilities(
    model: Any, tokenizer: ChatTokenizer, answered: Sequence[Prompt]
) -> list[tuple[float, float]]:
    """For each prompt the probability of a stop token after its whole written answer, and after half of it.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer, as it is used here.
        answered: prompts with an `answer`.
    """
    head = LMHead(model)
    found = []
    for start in range(0, len(answered), MAX_ROWS_PER_PASS):
        rows = []
        for prompt in answered[start : start + MAX_ROWS_PER_PASS]:
            asked = tokenizer.render(prompt.text)
            answer = tokenizer.tokenizer(prompt.answer, add_special_tokens=False)["input_ids"]
            rows.append((asked + answer, len(asked) + len(answer) - 1, len(asked) + len(answer) // 2 - 1))
        ids = torch.full((len(rows), max(len(row) for row, *_ in rows)), tokenizer.pad_id, dtype=torch.long)
        for place, (row, *_) in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
        # padded on the right, where causal attention never looks
        hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
        for place, (_, whole, half) in enumerate(rows):
            chances = torch.softmax(head.logits(hidden[place, [whole, half]]), dim=-1)
            after, within = chances[:, list(tokenizer.stop_ids)].sum(dim=-1).tolist()
            found.append((after, within))
    return found
