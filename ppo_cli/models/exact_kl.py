"""Exact KL between two models along given answers, and the entropy of the model that wrote them.

Not here: sampling the answers (`sampling`), the KL penalty of training (`engine.ppo_math`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ppo_cli.models.device import in_float64
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.open_model import OpenModel

MAX_TOKENS_PER_PASS = 4096
"""Padded tokens in one pass."""


@dataclass(frozen=True)
class KlAndEntropy:
    """Of one answer under the policy that wrote it, at temperature 1."""

    kl: float
    """KL(policy || reference) summed over the answer's tokens, nats."""
    entropy: float
    """Mean entropy of the policy's next-token distribution, nats per token."""


def exact_kl_and_entropy(
    policy: OpenModel,
    reference: OpenModel | None,
    sequences: Sequence[tuple[Sequence[int], Sequence[int]]],
    progress: Callable[[int], None] = lambda _done: None,
) -> list[KlAndEntropy]:
    """The KL to the reference and the entropy of the policy along each answer, both in one pass.

    At every token of the answer the sum runs over the whole vocabulary (Schulman 2020, "Approximating KL divergence",
    equation 1, instead of the estimators k1 and k3), so a KL is never negative, up to rounding.

    Args:
        policy: opens the model that wrote the answers.
        reference: opens the model it is compared with; None if that is the policy itself, whose KL is 0.
        sequences: (prompt ids, answer ids) of each answer.
        progress: called with the number of answers done.

    Returns:
        One result per answer, in the order given.
    """
    order = sorted(range(len(sequences)), key=lambda i: (-sum(map(len, sequences[i])), i))
    results: dict[int, KlAndEntropy] = {}
    while len(results) < len(order):
        width = sum(map(len, sequences[order[len(results)]]))
        batch = order[len(results) : len(results) + max(1, MAX_TOKENS_PER_PASS // width)]
        results |= zip(batch, _batch(policy, reference, [sequences[i] for i in batch]), strict=True)
        progress(len(results))
    return [results[index] for index in range(len(sequences))]


@torch.inference_mode()
def _batch(
    policy: OpenModel, reference: OpenModel | None, batch: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[KlAndEntropy]:
    hidden, head = _hidden_and_head(policy, batch)
    other = _hidden_and_head(reference, batch) if reference is not None else None
    pieces = []
    for rows, logits in head.chunks(hidden):
        logprobs = torch.log_softmax(logits, dim=-1)
        probabilities = logprobs.exp()
        entropy = -(probabilities * logprobs).sum(-1)
        kl = torch.zeros_like(entropy)
        if other is not None:
            other_hidden, other_head = other
            other_logprobs = torch.log_softmax(other_head.logits(other_hidden[rows]), dim=-1)
            kl = (probabilities * (logprobs - other_logprobs)).sum(-1)
        pieces.append(torch.stack([kl, entropy], dim=-1))
    per_token = in_float64(torch.cat(pieces)).split([len(answer) for _, answer in batch])
    return [KlAndEntropy(float(part[:, 0].sum()), float(part[:, 1].mean())) for part in per_token]


def _hidden_and_head(
    model: OpenModel, batch: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> tuple[torch.Tensor, LMHead]:
    """Final hidden states that predict the answer tokens, and the head that turns them into logits."""
    with model() as opened:
        return _answer_hidden(opened, batch), LMHead(opened)


def _answer_hidden(model: Any, batch: Sequence[tuple[Sequence[int], Sequence[int]]]) -> torch.Tensor:  # noqa: ANN401
    """Final hidden states at the positions that predict answer tokens, row after row: [tokens, width].

    Rows are padded on the right, which causal attention never reads, so no mask is needed.
    """
    width = max(len(prompt) + len(answer) for prompt, answer in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    for row, (prompt, answer) in enumerate(batch):
        ids[row, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer], dtype=torch.long)
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
    return torch.cat(
        [hidden[row, len(prompt) - 1 : len(prompt) + len(answer) - 1] for row, (prompt, answer) in enumerate(batch)]
    )
