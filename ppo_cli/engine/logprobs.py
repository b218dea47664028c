"""Log-probabilities of answer tokens from hidden states, a few rows of logits at a time.

In training the gradient is computed while a chunk's logits exist: d log p(target) / d logits is the one-hot of the
target minus the probabilities, and the head itself is never trained. So no logits are kept or computed twice.

Not here: the head itself (`models.lm_head`).
"""

from __future__ import annotations

from typing import Any

import torch

from ppo_cli.models.lm_head import LMHead


def token_logprobs(head: LMHead, hidden: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probability of each target token at a temperature, differentiable in `hidden`.

    Args:
        head: maps hidden states to logits.
        hidden: [tokens, width], at the positions that predict the targets.
        targets: [tokens] token ids.
        temperature: divides the logits.

    Returns:
        [tokens], float32, nats.
    """
    return _TokenLogprobs.apply(hidden, targets, head, temperature)


@torch.no_grad()
def token_logprobs_and_entropy(
    head: LMHead, hidden: torch.Tensor, targets: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each target token and entropy of its next-token distribution, without gradient.

    Args:
        head: maps hidden states to logits.
        hidden: [tokens, width], at the positions that predict the targets.
        targets: [tokens] token ids.
        temperature: divides the logits.

    Returns:
        Log-probabilities [tokens] and entropies [tokens], float32, nats.
    """
    logprobs, entropies = [], []
    for rows, logits in head.chunks(hidden):
        distribution = torch.log_softmax(logits / temperature, dim=-1)
        logprobs.append(distribution.gather(1, targets[rows].unsqueeze(1)).squeeze(1))
        entropies.append(-(distribution.exp() * distribution).sum(-1))
    if not logprobs:
        empty = hidden.new_zeros(0, dtype=torch.float32)
        return empty, empty
    return torch.cat(logprobs), torch.cat(entropies)


class _TokenLogprobs(torch.autograd.Function):
    """Forward also computes the gradient at `hidden` for an upstream gradient of 1; backward scales it."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        hidden: torch.Tensor,
        targets: torch.Tensor,
        head: LMHead,
        temperature: float,
    ) -> torch.Tensor:
        logprobs = hidden.new_empty(hidden.shape[0], dtype=torch.float32)
        gradients = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for rows, logits in head.chunks(hidden):
            distribution = torch.log_softmax(logits / temperature, dim=-1)
            chosen = targets[rows].unsqueeze(1)
            logprobs[rows] = distribution.gather(1, chosen).squeeze(1)
            if gradients is not None:
                at_logits = distribution.exp_().neg_()
                at_logits.scatter_add_(1, chosen, torch.ones_like(chosen, dtype=at_logits.dtype))
                gradients[rows] = head.hidden_gradient(at_logits.div_(temperature), logits)
        ctx.gradients = gradients
        return logprobs

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # noqa: ANN401
        return (upstream.unsqueeze(1) * ctx.gradients.float()).to(ctx.gradients.dtype), None, None, None
