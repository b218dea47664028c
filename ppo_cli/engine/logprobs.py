"""Log-probabilities of answer tokens from hidden states, a few rows of logits at a time.

In training each chunk's logits are recomputed in the backward pass, so a [rows, vocabulary] buffer never outlives
its chunk.

Not here: the head itself (`models.language_head`).
"""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from ppo_cli.models.language_head import ROWS_AT_ONCE, LanguageHead


def token_logprobs(head: LanguageHead, hidden: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probability of each target token at a temperature, differentiable in `hidden`.

    Args:
        head: maps hidden states to logits.
        hidden: [tokens, width], at the positions that predict the targets.
        targets: [tokens] token ids.
        temperature: divides the logits.

    Returns:
        [tokens], float32, nats.
    """

    def chunk(rows: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return -torch.nn.functional.cross_entropy(head.logits(rows) / temperature, wanted, reduction="none")

    pieces = []
    for start in range(0, hidden.shape[0], ROWS_AT_ONCE):
        rows, wanted = hidden[start : start + ROWS_AT_ONCE], targets[start : start + ROWS_AT_ONCE]
        if rows.requires_grad:
            pieces.append(checkpoint(chunk, rows, wanted, use_reentrant=False, preserve_rng_state=False))
        else:
            pieces.append(chunk(rows, wanted))
    return torch.cat(pieces) if pieces else hidden.new_zeros(0, dtype=torch.float32)


@torch.no_grad()
def token_logprobs_and_entropy(
    head: LanguageHead, hidden: torch.Tensor, targets: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same without gradient, with the entropy of each next-token distribution.

    Returns:
        Log-probabilities [tokens] and entropies [tokens], float32, nats.
    """
    logprobs, entropies = [], []
    for rows, logits in head.chunks(hidden):
        distribution = torch.log_softmax(logits / temperature, dim=-1)
        logprobs.append(distribution.gather(1, targets[rows].unsqueeze(1)).squeeze(1))
        entropies.append(-(distribution.exp() * distribution).sum(-1))
    if not logprobs:
        nothing = hidden.new_zeros(0, dtype=torch.float32)
        return nothing, nothing
    return torch.cat(logprobs), torch.cat(entropies)
