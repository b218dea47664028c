"""Drawing one token per row: the cumulative distribution inverted at the row's uniform number.

Not here: the uniform numbers and the loop over tokens (`sampling`, `slot_decoder`).
"""

from __future__ import annotations

import torch

from ppo_cli.models.lm_head import LMHead

VOCABULARY_BLOCK = 512
"""Tokens whose probabilities are summed together before a uniform number is looked up."""


def draw_tokens(
    head: LMHead, hidden: torch.Tensor, uniforms: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token per row, by inverting the cumulative distribution at that row's uniform number.

    Args:
        head: maps hidden states to logits.
        hidden: [rows, width].
        uniforms: [rows], in [0, 1).
        temperature: 0 takes the likeliest token.

    Returns:
        Token ids [rows] and their log-probabilities [rows], float32, nats.
    """
    drawn = [_draw_from(logits, uniforms[rows], temperature) for rows, logits in head.chunks(hidden)]
    tokens, logprobs = zip(*drawn, strict=True)
    return torch.cat(tokens), torch.cat(logprobs)


def _draw_from(logits: torch.Tensor, uniforms: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One token per row and its log-probability from logits [rows, vocabulary], float32, which are overwritten."""
    if temperature == 0:
        best, token = torch.log_softmax(logits, dim=-1).max(dim=-1)
        return token, best
    logits /= temperature
    logits -= logits.amax(dim=-1, keepdim=True)
    weights = logits.exp_()
    token, total = invert_cumulative(weights, uniforms)
    return token.squeeze(1), (weights.gather(1, token) / total).squeeze(1).log()


def invert_cumulative(weights: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first index whose cumulative weight exceeds uniform * total; first its block, then inside the block.

    Args:
        weights: [rows, vocabulary], not negative.
        uniforms: [rows], in [0, 1).

    Returns:
        Indices [rows, 1], each with a weight above 0, and the totals [rows, 1].
    """
    missing = -weights.shape[1] % VOCABULARY_BLOCK
    blocks = torch.nn.functional.pad(weights, (0, missing)) if missing else weights
    blocks = blocks.view(len(weights), -1, VOCABULARY_BLOCK)
    ends = blocks.sum(dim=-1).cumsum(dim=-1)
    total = ends[:, -1:]
    threshold = _below(uniforms.to(ends.dtype).unsqueeze(1) * total, total)
    block = torch.searchsorted(ends, threshold, right=True)
    before = ends.gather(1, (block - 1).clamp(min=0)).masked_fill(block == 0, 0.0)
    inside = blocks.gather(1, block.unsqueeze(2).expand(-1, -1, VOCABULARY_BLOCK)).squeeze(1).cumsum(dim=-1)
    offset = torch.searchsorted(inside, _below(threshold - before, inside[:, -1:]), right=True)
    return block * VOCABULARY_BLOCK + offset, total


def _below(values: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Values clamped from 0 to just below a limit, which rounding may have brought them to."""
    return torch.minimum(values, torch.nextafter(limits, torch.zeros_like(limits))).clamp(min=0)
