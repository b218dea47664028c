"""The language-model head: hidden states to next-token logits, a few rows at a time.

A [batch, length, vocabulary] buffer takes more time than all layers together on a CPU. Only the rows of answer tokens
are needed, and only until they are reduced.

Not here: the layers below (`engine.split_decoder`), log-probabilities and their gradients (`engine.logprobs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

MAX_ROWS_PER_PASS = 128
"""Rows of logits that exist at one time."""
TOLERANCE = 0.02
"""Largest relative difference that counts as rounding in bfloat16."""


class LMHead:
    """Logits of hidden states, as the model's own forward would give them."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - a transformers causal language model
        head = model.get_output_embeddings()
        config = model.config.get_text_config()
        self.weight: torch.Tensor = head.weight
        self.bias: torch.Tensor | None = getattr(head, "bias", None)
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        self.scale: float = float(getattr(config, "logit_scale", None) or 1.0)
        self.scale /= float(getattr(config, "logits_scaling", None) or 1.0)

    @torch.inference_mode()
    def matches_forward(self, model: Any) -> bool:  # noqa: ANN401
        """Whether the model's own forward gives the same logits, up to rounding."""
        ids = torch.arange(1, 5, device=model.device).unsqueeze(0)
        own = model(input_ids=ids, use_cache=False).logits[0].float()
        ours = self.logits(model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0])
        return bool((own - ours).abs().max() <= TOLERANCE * own.abs().max())

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[rows, width] to [rows, vocabulary], float32; on CUDA without gradient.

        On CUDA the product of 16-bit numbers stays in the float32 that it is summed in. Rounded to bfloat16, it would
        change a token's log-probability by 0.017 nats on average.
        """
        if hidden.is_cuda and hidden.dtype != torch.float32:
            raw = torch.mm(hidden, self.weight.t(), out_dtype=torch.float32)
            raw = raw if self.bias is None else raw + self.bias
        else:
            raw = torch.nn.functional.linear(hidden, self.weight, self.bias).float()
        if self.scale != 1.0:
            raw = raw * self.scale
        if self.softcap is not None:
            raw = torch.tanh(raw / self.softcap) * self.softcap
        return raw

    def hidden_gradient(self, gradient: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """The gradient at the hidden states from the gradient at the logits.

        Args:
            gradient: [rows, vocabulary], float32; is overwritten.
            logits: [rows, vocabulary], as `logits` returned them.

        Returns:
            [rows, width], in the dtype of the weights.
        """
        if self.softcap is not None:
            gradient *= 1 - (logits / self.softcap) ** 2
        if self.scale != 1.0:
            gradient *= self.scale
        return gradient.to(self.weight.dtype) @ self.weight

    def chunks(self, hidden: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yields (rows, logits of those rows) over [rows, width]."""
        for start in range(0, hidden.shape[0], MAX_ROWS_PER_PASS):
            rows = slice(start, start + MAX_ROWS_PER_PASS)
            yield rows, self.logits(hidden[rows])
