"""Grouped-query attention as two batched matrix products: for short sequences on a CPU, for decoding on a GPU.

torch's fused attention for CPUs is made for long sequences. At the lengths of a chat turn its backward pass takes
several times as long as the plain products, and with a mask it copies keys and values once for each query head that
shares them (grouped-query attention: Ainslie et al. 2023, arXiv:2305.13245). transformers makes the same copies on a
GPU wherever a mask is given, as in decoding.

Not here: masks, rotary positions, caches; they stay those of the model family.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask

GROUPED = "grouped"
"""Its name in transformers' registry of attention functions."""
GROUPED_DECODING = "grouped_decoding"
"""The same for any number of keys."""
MAX_TOKENS = 512
"""Keys; with more of them torch's fused attention is faster."""
TOLERANCE = 0.03
"""Largest relative difference between logits that counts as rounding in bfloat16."""


def grouped_attention(
    module: Any,  # noqa: ANN401 - a transformers attention module
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **others: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, None]:
    """Attention with the signature that transformers calls.

    Args:
        module: passed on to torch's attention where that is used.
        query: [rows, heads, queries, width].
        key: [rows, groups, keys, width]; each serves heads / groups heads.
        value: [rows, groups, keys, width], as `key`.
        attention_mask: added to the scores, [rows or 1, heads or 1, queries, keys].
        scaling: multiplies the scores; by default 1 / sqrt(width).
        softcap: bounds the scores by softcap * tanh(scores / softcap).
        others: passed on to torch's attention.

    Returns:
        [rows, queries, heads, width], and None in place of the weights.
    """
    if key.shape[2] > MAX_TOKENS and softcap is None:
        mixed, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
        return mixed, None
    return grouped_decoding(module, query, key, value, attention_mask, scaling=scaling, softcap=softcap)


def grouped_decoding(
    _module: Any,  # noqa: ANN401
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **_others: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, None]:
    """The two products, whatever the number of keys; arguments and result as of `grouped_attention`."""
    rows, heads, queries, width = query.shape
    groups, keys = key.shape[1:3]
    if query.is_cuda and query.dtype != torch.float32:  # scores in float32, as in torch's fused attention
        flat = query.reshape(rows * groups, -1, width), key.reshape(rows * groups, keys, width).transpose(1, 2)
        scores = torch.bmm(*flat, out_dtype=torch.float32)
    else:
        scores = torch.matmul(query.reshape(rows, groups, -1, width), key.transpose(2, 3))
    scores = scores.view(rows, heads, queries, keys) * (width**-0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if attention_mask is not None:
        scores = scores + attention_mask[..., :keys]
    weights = torch.softmax(scores, dim=-1).to(value.dtype)
    mixed = torch.matmul(weights.view(rows, groups, -1, keys), value)
    return mixed.view(rows, heads, queries, -1).transpose(1, 2).contiguous(), None


@torch.inference_mode()
def attend_by_groups(model: Any, function: str = GROUPED) -> bool:  # noqa: ANN401 - a transformers language model
    """Makes a model use grouped attention, unless its family cannot or its logits would change by more than rounding.

    Args:
        model: a transformers causal language model.
        function: GROUPED or GROUPED_DECODING.

    Returns:
        Whether the model uses it now.
    """
    before = model.config._attn_implementation  # noqa: SLF001 - transformers has no public reader
    if before not in ("sdpa", "eager") or not getattr(model, "_supports_attention_backend", False):
        return False
    ids = torch.arange(1, 9, device=model.device).view(2, 4)
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]], device=model.device)
    logits = {}
    for kind in ("eager", function):  # eager is the family's own plain form, with the same roundings
        model.set_attn_implementation(kind)
        logits[kind] = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[mask.bool()].float()
    if bool((logits[function] - logits["eager"]).abs().max() <= TOLERANCE * logits["eager"].abs().max()):
        return True
    model.set_attn_implementation(before)
    return False


AttentionInterface.register(GROUPED, grouped_attention)
AttentionInterface.register(GROUPED_DECODING, grouped_decoding)
for name in (GROUPED, GROUPED_DECODING):
    AttentionMaskInterface.register(name, eager_mask)
