"""Seeded sampling: every answer has its own random numbers.

A uniform number belongs to (seed, owner), never to a global generator. So sampling more, less or in another order
changes no other answer, an interrupted run continues with the same numbers, and two policies answer a prompt with the
same numbers, which makes their difference less noisy (common random numbers).

Not here: prompts as text (`loading.ChatTokenizer`), scoring (`rewards`).
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

from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.decoding import DynamicDecoder, GraphDecoder, make_decoder
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.prefill import prefill
from ppo_cli.records.answers import Finish

MAX_ROWS_PER_BATCH = 256
"""Answers decoded in one batch: the more, the less time is spent on the few longest ones alone."""
MAX_POSITIONS_PER_BATCH = 32768
"""Tokens of prompts and answers whose keys and values are held at one time; it limits the answers in a batch."""
COMPACT_AT_ONE_IN = 16
"""Ended rows leave the batch once one row in this many has ended."""
VOCABULARY_BLOCK = 512
"""Tokens whose probabilities are summed together before a uniform number is looked up."""


@dataclass(frozen=True)
class SamplingParams:
    """How answers are sampled."""

    max_new_tokens: int
    temperature: float
    """0 takes the likeliest token."""
    stop_ids: tuple[int, ...]
    pad_id: int


@dataclass(frozen=True)
class SampledTokens:
    """One sampled answer as tokens."""

    token_ids: list[int]
    """The stop token included, if there is one."""
    logprobs: list[float]
    """Log-probability of each token at the sampling temperature, nats."""
    finish: Finish
    activations: torch.Tensor | None = None
    """[prompt + answer, width] inputs of the recorded layer; a last token at the limit is left out."""


def keyed_uniforms(seed: int, *owner: str | int, count: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), [count], that belong to `owner` alone.

    Args:
        seed: of the run or of an evaluation.
        owner: purpose and indices; another owner gives independent numbers.
        count: how many.
    """
    label = "\x1f".join(str(part) for part in (seed, *owner))
    key = int.from_bytes(hashlib.sha256(label.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def sample_answers(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    prompts: Sequence[Sequence[int]],
    uniforms: Sequence[NDArray[np.float64]],
    params: SamplingParams,
    progress: Callable[[int], None] = lambda _done: None,
    recorder: ActivationRecorder | None = None,
) -> list[list[SampledTokens]]:
    """Samples K answers per prompt.

    Each prompt goes through the model once, whatever K is; a batch holds prompts of similar length.

    Args:
        model: its backbone is called with ids, mask, positions and a cache.
        prompts: token ids, ending where the answer begins.
        uniforms: for each prompt, numbers in [0, 1), [K, max_new_tokens].
        params: temperature, limit and stop tokens.
        progress: called at every token with the number of answers done so far, each of those begun counted in part.
        recorder: the inputs of its layer are returned with every answer.

    Returns:
        For each prompt, in the order given, its K answers.
    """
    samples = uniforms[0].shape[0] if prompts else 1
    order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
    answers: list[list[SampledTokens]] = [[] for _ in prompts]
    done = 0
    while waiting := order[done // samples :]:
        positions = len(prompts[waiting[0]]) + params.max_new_tokens
        batch = waiting[: max(1, min(MAX_ROWS_PER_BATCH, MAX_POSITIONS_PER_BATCH // positions) // samples)]
        inputs = [prompts[i] for i in batch], np.stack([uniforms[i] for i in batch])
        with recorder.recording() if recorder else nullcontext():
            rows = _sample_batch(model, *inputs, params, recorder, lambda ended, before=done: progress(before + ended))
        for row, index in enumerate(batch):
            answers[index] = rows[row * samples : (row + 1) * samples]
        done += len(batch) * samples
        progress(done)
    return answers


@torch.inference_mode()
def _sample_batch(
    model: Any,  # noqa: ANN401
    prompts: Sequence[Sequence[int]],
    uniforms: NDArray[np.float64],
    params: SamplingParams,
    recorder: ActivationRecorder | None,
    progress: Callable[[int], None],
) -> list[SampledTokens]:
    """Decodes [prompts x K] rows together; ended rows leave the batch, with a recorder one pass later."""
    samples = uniforms.shape[1]
    device = model.device
    head = LMHead(model)
    prefilled = prefill(model, prompts, params.pad_id, params.max_new_tokens, recorder)
    hidden, mask = prefilled.hidden, prefilled.mask
    position = torch.tensor([[len(prompt)] for prompt in prompts], device=device)
    if samples > 1:
        prefilled.cache.batch_repeat_interleave(samples)
        hidden, mask, position = (part.repeat_interleave(samples, 0) for part in (hidden, mask, position))
    decoder = make_decoder(model, prefilled.cache, mask, position, params.max_new_tokens)

    rows = len(prompts) * samples
    uniform = torch.from_numpy(uniforms.reshape(rows, -1)).to(device)
    tokens: list[list[int]] = [[] for _ in range(rows)]
    logprobs: list[list[float]] = [[] for _ in range(rows)]
    finish: list[Finish] = ["length"] * rows
    alive = list(range(rows))  # the row that each line of the batch belongs to
    ended = [False] * rows
    activations = [[part] for part in prefilled.activations for _ in range(samples)]
    stops = set(params.stop_ids)

    for step in range(params.max_new_tokens):
        drawn, drawn_logprobs = draw_tokens(head, hidden, uniform[alive, step], params.temperature)
        fresh = [(line, row) for line, row in enumerate(alive) if not ended[row]]
        for row, token, logprob in zip(alive, drawn.tolist(), drawn_logprobs.tolist(), strict=True):
            if not ended[row]:
                tokens[row].append(token)
                logprobs[row].append(logprob)
                if token in stops:
                    ended[row], finish[row] = True, "eos"
        progress(_answers_done(sum(ended), rows, step + 1, params.max_new_tokens))
        continuing = [line for line, row in fresh if recorder or not ended[row]]
        if not continuing or step + 1 == params.max_new_tokens:
            break
        if isinstance(decoder, DynamicDecoder) and len(alive) - len(continuing) >= max(
            1, len(alive) // COMPACT_AT_ONE_IN
        ):
            lines = torch.tensor(continuing, device=device)
            decoder.select(lines)
            drawn = drawn[lines]
            alive = [alive[line] for line in continuing]
            fresh = [(line, row) for line, row in enumerate(alive) if recorder or not ended[row]]
        hidden = decoder.step(drawn)
        if recorder:
            reused = isinstance(decoder, GraphDecoder)  # the next step writes into the same tensor
            recorded = recorder.activations.clone() if reused else recorder.activations
            for line, row in fresh:
                activations[row].append(recorded[line])
    return [
        SampledTokens(tokens[row], logprobs[row], finish[row], torch.cat(activations[row]) if recorder else None)
        for row in range(rows)
    ]


def _answers_done(ended: int, rows: int, step: int, limit: int) -> int:
    """Answers that ended, and of the others as many as the tokens that they have of the longest possible answer."""
    return ended + (rows - ended) * step // limit


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
    token, total = _invert_cumulative(weights, uniforms)
    return token.squeeze(1), (weights.gather(1, token) / total).squeeze(1).log()


def _invert_cumulative(weights: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
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
    before = torch.where(block > 0, ends.gather(1, (block - 1).clamp(min=0)), 0.0)
    inside = blocks.gather(1, block.unsqueeze(2).expand(-1, -1, VOCABULARY_BLOCK)).squeeze(1).cumsum(dim=-1)
    offset = torch.searchsorted(inside, _below(threshold - before, inside[:, -1:]), right=True)
    return block * VOCABULARY_BLOCK + offset, total


def _below(values: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Values clamped from 0 to just below a limit, which rounding may have brought them to."""
    return torch.minimum(values, torch.nextafter(limits, torch.zeros_like(limits))).clamp(min=0)
