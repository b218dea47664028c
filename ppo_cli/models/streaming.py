"""One answer token by token, for a reader who watches it: the same tokens that `sampling.sample_answers` draws.

Not here: many answers at a time (`sampling`), conversations (`chat`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ppo_cli.models.decoding import DynamicDecoder
from ppo_cli.models.device import moved
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.prefill import prefill
from ppo_cli.models.sampling import SamplingParams
from ppo_cli.models.token_draw import draw_tokens


@torch.inference_mode()
def stream_tokens(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    prompt: Sequence[int],
    uniforms: NDArray[np.float64],
    params: SamplingParams,
) -> Iterator[int]:
    """Yields the tokens of one answer as they are drawn, the stop token included.

    Args:
        model: its backbone is called.
        prompt: token ids, ending where the answer begins.
        uniforms: numbers in [0, 1), one per token [max_new_tokens or more].
        params: temperature, limit and stop tokens.
    """
    head = LMHead(model)
    prefilled = prefill(model, [prompt], params.pad_id, params.max_new_tokens, None)
    position = torch.tensor([[len(prompt)]], device=model.device)
    decoder = DynamicDecoder(model, prefilled.cache, prefilled.mask, position)
    draws = moved(torch.from_numpy(np.asarray(uniforms)), model.device)
    hidden = prefilled.hidden
    for step in range(params.max_new_tokens):
        drawn, _ = draw_tokens(head, hidden, draws[step : step + 1], params.temperature)
        token = int(drawn[0])
        yield token
        if token in params.stop_ids or step + 1 == params.max_new_tokens:
            return
        hidden = decoder.step(drawn)
