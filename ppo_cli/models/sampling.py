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
from ppo_cli.models.decoding import DynamicDecoder
from ppo_cli.models.device import moved
from ppo_cli.models.free_memory import return_free_memory
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.prefill import prefill
from ppo_cli.models.slot_decoder import SlotAnswer, fits_slots
from ppo_cli.models.slot_sampling import SlotSettings, WaitingAnswer, sample_in_slots
from ppo_cli.models.token_draw import draw_tokens
from ppo_cli.records.answers import Finish

MAX_ROWS_PER_BATCH = 256
"""Answers decoded in one batch: the more, the less time is spent on the few longest ones alone."""
MAX_POSITIONS_PER_BATCH = 32768
"""Tokens of prompts and answers whose keys and values are held at one time; it limits the answers in a batch."""
COMPACT_AT_ONE_IN = 16
"""Ended rows leave the batch once one row in this many has ended."""


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

    Each prompt goes through the model once, whatever K is; a batch holds prompts of similar length. On a GPU answers
    have slots instead, unless the family's attention window is shorter than the longest answer with its prompt.

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
    longest = max(map(len, prompts), default=0) + params.max_new_tokens
    if prompts and model.device.type == "cuda" and fits_slots(model, longest):
        return sample_on_gpu(model, prompts, uniforms, params, progress, recorder)
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
        return_free_memory()
        progress(done)
    return answers


def sample_on_gpu(
    model: Any,  # noqa: ANN401
    prompts: Sequence[Sequence[int]],
    uniforms: Sequence[NDArray[np.float64]],
    params: SamplingParams,
    progress: Callable[[int], None],
    recorder: ActivationRecorder | None,
) -> list[list[SampledTokens]]:
    """The same in slots; arguments and result as of `sample_answers`."""
    waiting = [WaitingAnswer(index, row) for index, rows in enumerate(uniforms) for row in rows]
    settings = SlotSettings(params.max_new_tokens, params.temperature, params.stop_ids)
    with recorder.recording() if recorder else nullcontext():
        answers = iter(sample_in_slots(model, prompts, waiting, settings, recorder, progress))
    return [[_sampled(next(answers), params.stop_ids) for _ in rows] for rows in uniforms]


def _sampled(answer: SlotAnswer, stop_ids: Sequence[int]) -> SampledTokens:
    finish: Finish = "eos" if answer.token_ids[-1] in stop_ids else "length"
    return SampledTokens(answer.token_ids, answer.logprobs, finish, answer.activations)


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
    decoder = DynamicDecoder(model, prefilled.cache, mask, position)

    rows = len(prompts) * samples
    uniform = moved(torch.from_numpy(uniforms.reshape(rows, -1)), device)
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
        if len(alive) - len(continuing) >= max(1, len(alive) // COMPACT_AT_ONE_IN):
            lines = torch.tensor(continuing, device=device)
            decoder.select(lines)
            drawn = drawn[lines]
            alive = [alive[line] for line in continuing]
            fresh = [(line, row) for line, row in enumerate(alive) if recorder or not ended[row]]
        hidden = decoder.step(drawn)
        if recorder:
            for line, row in fresh:
                activations[row].append(recorder.activations[line])
    return [
        SampledTokens(tokens[row], logprobs[row], finish[row], torch.cat(activations[row]) if recorder else None)
        for row in range(rows)
    ]


def _answers_done(ended: int, rows: int, step: int, limit: int) -> int:
    """Answers that ended, and of the others as many as the tokens that they have of the longest possible answer."""
    return ended + (rows - ended) * step // limit
