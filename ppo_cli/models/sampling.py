"""Seeded sampling: every answer has its own random numbers.

A draw belongs to (seed, who it is for), never to a global generator. So sampling more, less or in another order
moves no other answer, an interrupted run continues with the same draws, and two policies answer the same prompt
with the same luck, which makes their difference less noisy (common random numbers).

Not here: prompts as text, scoring.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ppo_cli.models.decoding import DynamicDecoder, GraphDecoder, make_decoder
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.prefill import ActivationRecorder, prefill
from ppo_cli.records.answers import Finish

MAX_ROWS_PER_BATCH = 256
"""Answers decoded side by side: the more, the less time is spent on the few that take longest."""
MAX_POSITIONS_PER_BATCH = 32768
"""Tokens of prompts and answers whose keys and values are kept at one time; fewer answers are decoded if need be."""
COMPACT_AT = 16
"""Finished rows leave the batch once they are one in so many of it."""
BLOCK = 512
"""Tokens of the vocabulary whose probabilities are summed together before a draw is looked up."""


@dataclass(frozen=True)
class SamplingParams:
    """How answers are drawn."""

    max_new_tokens: int
    temperature: float
    """0 takes the likeliest token."""
    stop_ids: tuple[int, ...]
    pad_id: int


@dataclass(frozen=True)
class SampledTokens:
    """One sampled answer."""

    token_ids: list[int]
    """The stop token included, if there is one."""
    logprobs: list[float]
    """Log-probability of each token at the sampling temperature, nats."""
    finish: Finish
    activations: torch.Tensor | None = None
    """[prompt + answer, width] what reached the tapped module; the last token is left out if it came at the limit."""


def keyed_uniforms(seed: int, *owner: str | int, count: int) -> NDArray[np.float64]:
    """`count` uniform draws in [0, 1) that belong to `owner` alone."""
    label = "\x1f".join(str(part) for part in (seed, *owner))
    key = int.from_bytes(hashlib.sha256(label.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def sample_answers(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    prompts: Sequence[Sequence[int]],
    draws: Sequence[NDArray[np.float64]],
    decoding: SamplingParams,
    progress: Callable[[int], None] = lambda _done: None,
    tap: ActivationRecorder | None = None,
) -> list[list[SampledTokens]]:
    """Samples K answers to each prompt.

    Prompts go through the model once each, whatever K is; batches are of like length.

    Args:
        model: its backbone is called with ids, mask, positions and a cache.
        prompts: token ids, ending where the answer begins.
        draws: for each prompt, uniform numbers [K, max_new_tokens].
        decoding: how to draw.
        progress: called at every token with the number of answers done so far.
        tap: its layer's inputs are kept for every prompt and answer.

    Returns:
        For each prompt, in the order given, its K answers.
    """
    samples = draws[0].shape[0] if prompts else 1
    order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
    answers: list[list[SampledTokens]] = [[] for _ in prompts]
    done = 0
    while waiting := order[done // samples :]:
        places = len(prompts[waiting[0]]) + decoding.max_new_tokens
        chosen = waiting[: max(1, min(MAX_ROWS_PER_BATCH, MAX_POSITIONS_PER_BATCH // places) // samples)]
        given = [prompts[i] for i in chosen], np.stack([draws[i] for i in chosen])
        with tap.recording() if tap else nullcontext():
            drawn = _sample_batch(model, *given, decoding, tap, lambda ended, before=done: progress(before + ended))
        for position, index in enumerate(chosen):
            answers[index] = drawn[position * samples : (position + 1) * samples]
        done += len(chosen) * samples
        progress(done)
    return answers


@torch.inference_mode()
def _sample_batch(
    model: Any,  # noqa: ANN401
    prompts: Sequence[Sequence[int]],
    draws: NDArray[np.float64],
    decoding: SamplingParams,
    tap: ActivationRecorder | None,
    progress: Callable[[int], None],
) -> list[SampledTokens]:
    """Decodes [prompts x K] rows together; rows that ended leave the batch, if tapped one pass later."""
    samples = draws.shape[1]
    device = model.device
    head = LMHead(model)
    read = prefill(model, prompts, decoding.pad_id, decoding.max_new_tokens, tap)
    hidden, mask = read.hidden, read.mask
    position = torch.tensor([[len(prompt)] for prompt in prompts], device=device)
    if samples > 1:
        read.cache.batch_repeat_interleave(samples)
        hidden, mask, position = (part.repeat_interleave(samples, 0) for part in (hidden, mask, position))
    steps = make_decoder(model, read.cache, mask, position, decoding.max_new_tokens)

    rows = len(prompts) * samples
    luck = torch.from_numpy(draws.reshape(rows, -1)).to(device)
    tokens: list[list[int]] = [[] for _ in range(rows)]
    logprobs: list[list[float]] = [[] for _ in range(rows)]
    finish: list[Finish] = ["length"] * rows
    alive = list(range(rows))  # the row that each line of the batch belongs to
    ended = [False] * rows
    heard = [[part] for part in read.activations for _ in range(samples)]
    stops = set(decoding.stop_ids)

    for step in range(decoding.max_new_tokens):
        chosen, chosen_logprobs = _draw(head, hidden, luck[alive, step], decoding.temperature)
        fresh = [(line, row) for line, row in enumerate(alive) if not ended[row]]
        for row, token, logprob in zip(alive, chosen.tolist(), chosen_logprobs.tolist(), strict=True):
            if not ended[row]:
                tokens[row].append(token)
                logprobs[row].append(logprob)
                if token in stops:
                    ended[row], finish[row] = True, "eos"
        progress(sum(ended))
        going = [line for line, row in fresh if tap or not ended[row]]
        if not going or step + 1 == decoding.max_new_tokens:
            break
        if isinstance(steps, DynamicDecoder) and len(alive) - len(going) >= max(1, len(alive) // COMPACT_AT):
            keep = torch.tensor(going, device=device)
            steps.keep(keep)
            chosen = chosen[keep]
            alive = [alive[line] for line in going]
            fresh = [(line, row) for line, row in enumerate(alive) if tap or not ended[row]]
        hidden = steps.next(chosen)
        if tap:
            now = tap.activations.clone() if isinstance(steps, GraphDecoder) else tap.activations
            for line, row in fresh:
                heard[row].append(now[line])
    return [
        SampledTokens(tokens[row], logprobs[row], finish[row], torch.cat(heard[row]) if tap else None)
        for row in range(rows)
    ]


def _draw(
    head: LMHead, hidden: torch.Tensor, luck: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token a row by inverting the cumulative distribution at that row's uniform number.

    Args:
        head: maps hidden states to logits.
        hidden: [rows, width].
        luck: [rows], in [0, 1).
        temperature: 0 takes the likeliest token.

    Returns:
        Token ids [rows] and their log-probabilities [rows], float32.
    """
    drawn = [_draw_from(logits, luck[rows], temperature) for rows, logits in head.chunks(hidden)]
    tokens, logprobs = zip(*drawn, strict=True)
    return torch.cat(tokens), torch.cat(logprobs)


def _draw_from(logits: torch.Tensor, luck: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The same from logits [rows, vocabulary], float32, which are used up."""
    if temperature == 0:
        best, chosen = torch.log_softmax(logits, dim=-1).max(dim=-1)
        return chosen, best
    logits /= temperature
    logits -= logits.amax(dim=-1, keepdim=True)
    weights = logits.exp_()
    chosen, total = _look_up(weights, luck)
    return chosen.squeeze(1), (weights.gather(1, chosen) / total).squeeze(1).log()


def _look_up(weights: torch.Tensor, luck: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first place whose cumulative weight passes luck times the total: its block first, then inside the block.

    Args:
        weights: [rows, vocabulary], not negative.
        luck: [rows], in [0, 1).

    Returns:
        Places [rows, 1], each with a weight above 0, and the totals [rows, 1].
    """
    missing = -weights.shape[1] % BLOCK
    blocks = torch.nn.functional.pad(weights, (0, missing)) if missing else weights
    blocks = blocks.view(len(weights), -1, BLOCK)
    ends = blocks.sum(dim=-1).cumsum(dim=-1)
    total = ends[:, -1:]
    threshold = _below(luck.to(ends.dtype).unsqueeze(1) * total, total)
    block = torch.searchsorted(ends, threshold, right=True)
    before = torch.where(block > 0, ends.gather(1, (block - 1).clamp(min=0)), 0.0)
    inside = blocks.gather(1, block.unsqueeze(2).expand(-1, -1, BLOCK)).squeeze(1).cumsum(dim=-1)
    place = torch.searchsorted(inside, _below(threshold - before, inside[:, -1:]), right=True)
    return block * BLOCK + place, total


def _below(values: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Values kept from 0 up to just below a limit, which rounding may have brought them to."""
    return torch.minimum(values, torch.nextafter(limits, torch.zeros_like(limits))).clamp(min=0)
