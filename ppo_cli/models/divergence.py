"""How far one model's next-token distributions are from another's, on given answers.

Not here: sampling the answers, the penalty used in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from ppo_cli.models.language_head import LanguageHead

TOKENS_AT_ONCE = 4096
"""Padded tokens in one pass."""

OpenModel = Callable[[], AbstractContextManager[Any]]
"""Gives a model for the length of a `with` block; two of them may share one set of weights."""


def exact_kl(
    policy: OpenModel,
    reference: OpenModel,
    sequences: Sequence[tuple[Sequence[int], Sequence[int]]],
    progress: Callable[[int], None] = lambda _done: None,
) -> list[float]:
    """KL(policy || reference) summed over the tokens of each answer, at temperature 1, in nats.

    Exact over the vocabulary at every token of the given answer (Schulman, "Approximating KL divergence", 2020,
    eq. 1, in place of its samplers); never negative but for rounding.

    Args:
        policy: opens the model that wrote the answers.
        reference: opens the model it is compared with.
        sequences: (prompt ids, answer ids) of each answer.
        progress: called with the number of answers done.
    """
    order = sorted(range(len(sequences)), key=lambda i: (-sum(map(len, sequences[i])), i))
    totals = [0.0] * len(sequences)
    done = 0
    while done < len(order):
        width = sum(map(len, sequences[order[done]]))
        batch = order[done : done + max(1, TOKENS_AT_ONCE // width)]
        for index, value in zip(batch, _batch_kl(policy, reference, [sequences[i] for i in batch]), strict=True):
            totals[index] = value
        done += len(batch)
        progress(done)
    return totals


@torch.inference_mode()
def _batch_kl(
    policy: OpenModel, reference: OpenModel, batch: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[float]:
    with policy() as model:
        hidden, head = _answer_hidden(model, batch), LanguageHead(model)
    with reference() as other:
        other_hidden, other_head = _answer_hidden(other, batch), LanguageHead(other)
    pieces = []
    for rows, logits in head.chunks(hidden):
        logprobs = torch.log_softmax(logits, dim=-1)
        other_logprobs = torch.log_softmax(other_head.logits(other_hidden[rows]), dim=-1)
        pieces.append((logprobs.exp() * (logprobs - other_logprobs)).sum(-1))
    per_token = torch.cat(pieces)
    lengths = [len(answer) for _, answer in batch]
    return [float(part.double().sum()) for part in per_token.split(lengths)]


def _answer_hidden(model: Any, batch: Sequence[tuple[Sequence[int], Sequence[int]]]) -> torch.Tensor:  # noqa: ANN401
    """Last hidden states at the positions that predict answer tokens, rows one after another: [tokens, width].

    Rows are padded on the right, where causal attention never looks, so no mask is needed.
    """
    width = max(len(prompt) + len(answer) for prompt, answer in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    for row, (prompt, answer) in enumerate(batch):
        ids[row, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer], dtype=torch.long)
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
    return torch.cat(
        [hidden[row, len(prompt) - 1 : len(prompt) + len(answer) - 1] for row, (prompt, answer) in enumerate(batch)]
    )
