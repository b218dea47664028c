"""Which answer gets which slot on a GPU: as many slots as memory allows, refilled as answers end.

Answers whose prompt and limit together fall between the same powers of two share one recorded step, so that short ones
do not attend to the empty places of long ones. Nothing is recorded anew when a slot is refilled.

Not here: the recorded step (`slot_decoder`), random numbers (`sampling`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.slot_decoder import SlotAnswer, SlotDecoder, SlotShape

MAX_SLOTS = 512
"""Not measured: beyond some hundred rows each step should be limited by arithmetic, and more rows should not help."""
FREE_MEMORY_SHARE = 0.5
"""Of the free memory, for keys, values and recorded activations; the rest is for passes and logits."""
STEPS_BETWEEN_LOOKS = 8
"""Steps that a GPU runs before the processor reads which answers have ended; each look waits for the GPU."""
MIN_BUCKET_POSITIONS = 64
"""Shorter answers share one recorded step."""
REFILL_AT_ONE_IN = 16
"""Slots are refilled once one in this many is free, so that a pass holds more than one prompt."""


@dataclass(frozen=True)
class WaitingAnswer:
    """An answer to be sampled."""

    prompt: int
    """Index among the prompts."""
    uniforms: NDArray[np.float64]
    """[max_new_tokens], in [0, 1)."""


@dataclass(frozen=True)
class SlotSettings:
    """How answers are drawn."""

    max_new_tokens: int
    temperature: float
    stop_ids: Sequence[int]


@torch.inference_mode()
def sample_in_slots(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    prompts: Sequence[Sequence[int]],
    waiting: Sequence[WaitingAnswer],
    settings: SlotSettings,
    recorder: ActivationRecorder | None,
    progress: Callable[[int], None],
) -> list[SlotAnswer]:
    """Samples all answers.

    Args:
        model: its backbone is called.
        prompts: token ids.
        waiting: the answers.
        settings: limit, temperature and stop tokens.
        recorder: inside its `recording()`, or None.
        progress: called with the number of answers done, each of those begun counted in part.

    Returns:
        The answers in the order of `waiting`.
    """
    results: dict[int, SlotAnswer] = {}
    done = 0
    order = sorted(range(len(waiting)), key=lambda index: (-len(prompts[waiting[index].prompt]), index))

    def positions(index: int) -> int:
        return len(prompts[waiting[index].prompt]) + settings.max_new_tokens

    def more(begun: int) -> None:
        progress(done + begun)

    for _, bucket in groupby(order, key=lambda index: (max(positions(index), MIN_BUCKET_POSITIONS) - 1).bit_length()):
        indices = list(bucket)
        longest = positions(indices[0])
        slots = min(len(indices), slot_limit(model, longest, settings.max_new_tokens, recorder, _free_bytes(model)))
        shape = SlotShape(slots, longest, settings.max_new_tokens)
        decoder = SlotDecoder(model, shape, settings.temperature, settings.stop_ids, recorder)
        results |= _run_bucket(decoder, shape, indices, prompts, waiting, more)
        done = len(results)
        progress(done)
        del decoder  # its memory is free for the next bucket
    return [results[index] for index in range(len(waiting))]


def _run_bucket(
    decoder: SlotDecoder,
    shape: SlotShape,
    indices: Sequence[int],
    prompts: Sequence[Sequence[int]],
    waiting: Sequence[WaitingAnswer],
    progress: Callable[[int], None],
) -> Iterator[tuple[int, SlotAnswer]]:
    """Decodes the answers of one bucket, longest prompt first; yields each as it ends."""
    held: dict[int, int] = {}  # slot: the answer in it
    begun = done = 0
    while done < len(indices):
        free = [slot for slot in range(shape.slots) if slot not in held]
        left = len(indices) - begun
        if left and (not held or len(free) >= max(1, shape.slots // REFILL_AT_ONE_IN)):
            chosen = indices[begun : begun + min(left, len(free))]
            slots = free[: len(chosen)]
            own = list(dict.fromkeys(waiting[index].prompt for index in chosen))
            owners = [own.index(waiting[index].prompt) for index in chosen]
            uniforms = np.stack([waiting[index].uniforms for index in chosen])
            decoder.fill(slots, [prompts[prompt] for prompt in own], owners, uniforms)
            held |= dict(zip(slots, chosen, strict=True))
            begun += len(chosen)
        for _ in range(STEPS_BETWEEN_LOOKS):
            decoder.step()
        drawn, settled = decoder.state()
        ended = [slot for slot in held if settled[slot]]
        for slot, answer in zip(ended, decoder.take(ended), strict=True):
            yield held.pop(slot), answer
        done += len(ended)
        progress(done + sum(drawn[slot] for slot in held) // shape.max_new_tokens)


def slot_limit(
    model: Any,  # noqa: ANN401
    positions: int,
    max_new_tokens: int,
    recorder: ActivationRecorder | None,
    free_bytes: int | None,
) -> int:
    """How many slots fit into memory.

    Args:
        model: gives layers, heads and dtype.
        positions: tokens of a slot.
        max_new_tokens: of an answer.
        recorder: whether activations are kept too.
        free_bytes: of the device; None where it is not known.
    """
    if free_bytes is None:
        return MAX_SLOTS
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    values = 2 * config.num_hidden_layers * heads * width * positions
    if recorder:
        values += config.hidden_size * (positions + max_new_tokens)
    bytes_per_slot: int = values * model.dtype.itemsize
    return max(1, min(MAX_SLOTS, int(FREE_MEMORY_SHARE * free_bytes) // bytes_per_slot))


def _free_bytes(model: Any) -> int | None:  # noqa: ANN401
    """Memory of the GPU that nothing uses, with what torch holds in reserve."""
    device = model.device
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
