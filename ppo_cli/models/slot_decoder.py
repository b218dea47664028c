"""Decoding on a GPU: every answer has a slot of fixed shape, and one step of all slots is recorded and replayed.

A step of a small model takes less time than launching its hundreds of kernels, so the whole step, from the last token
to the next one drawn, is recorded once as a CUDA graph. Nothing in it waits for the processor. An answer that has ended
repeats its last pass, which changes nothing, until its slot gets another prompt.

Not here: which prompt gets which slot, and how many slots there are (`slot_sampling`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.decoding import last_hidden
from ppo_cli.models.grouped_attention import GROUPED_DECODING, attend_by_groups
from ppo_cli.models.kv_cache import SlotLayer
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.token_draw import draw_tokens

EAGER_STEPS = 3
"""Steps before one is recorded, so that libraries have set up what cannot be set up during a recording."""
MAX_TOKENS_PER_PREFILL = 16384
"""Padded tokens of prompts in one pass."""


@dataclass(frozen=True)
class SlotShape:
    """The fixed sizes of a decoder."""

    slots: int
    positions: int
    """Tokens of the longest prompt and the longest answer together."""
    max_new_tokens: int


@dataclass(frozen=True)
class SlotAnswer:
    """What a slot holds at its end."""

    token_ids: list[int]
    logprobs: list[float]
    activations: torch.Tensor | None
    """[prompt + answer, width] inputs of the recorded layer; a last token at the limit is left out."""


class SlotDecoder:
    """Answers in slots. Fill some, step all, read the state now and then, take what has ended."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - a transformers causal language model
        shape: SlotShape,
        temperature: float,
        stop_ids: Sequence[int],
        recorder: ActivationRecorder | None,
    ) -> None:
        """Allocates everything but keys and values, whose shape the first prompts give.

        Args:
            model: its backbone is called.
            shape: number and length of the slots.
            temperature: 0 takes the likeliest token.
            stop_ids: tokens that end an answer.
            recorder: inside its `recording()`; the inputs of its layer are returned with every answer.
        """
        device, slots, steps = model.device, shape.slots, shape.max_new_tokens
        self._model, self._head, self._shape = model, LMHead(model), shape
        self._temperature, self._recorder = temperature, recorder
        self._attention = _attention_for_decoding(model)
        self._cache: DynamicCache | None = None
        self._stops = torch.tensor(stop_ids, dtype=torch.long, device=device)
        self._hidden_place = torch.finfo(model.dtype).min
        self._mask = torch.full((slots, 1, 1, shape.positions), self._hidden_place, dtype=model.dtype, device=device)
        self._slots = torch.arange(slots, device=device)
        self._position, self._drawn, self._last = (
            torch.zeros(slots, dtype=torch.long, device=device) for _ in range(3)
        )
        """Of each slot: where its last token stands, how many tokens it has drawn, and its last token."""
        self._alive, self._settled = (torch.zeros(slots, dtype=torch.bool, device=device) for _ in range(2))
        """Whether a slot goes on, and whether its last token has been passed through the model after its end."""
        self._uniforms = torch.zeros((slots, steps), dtype=torch.float64, device=device)
        self._tokens = torch.zeros((slots, steps), dtype=torch.long, device=device)
        self._logprobs = torch.zeros((slots, steps), device=device)
        self._activations: torch.Tensor | None = None
        self._prompt_activations: dict[int, torch.Tensor] = {}
        self._steps_run = 0
        self._replay: Callable[[], None] | None = None
        self._can_record = self._mask.is_cuda

    def fill(
        self, slots: Sequence[int], prompts: Sequence[Sequence[int]], owners: Sequence[int], uniforms: NDArray[Any]
    ) -> None:
        """Runs prompts through the model and draws the first token of each answer.

        Args:
            slots: of the answers, [n]; they may have held others.
            prompts: token ids, each of which may start several answers.
            owners: of each answer, the index of its prompt, [n].
            uniforms: numbers in [0, 1) of each answer, [n, max_new_tokens or more].
        """
        device = self._model.device
        where = torch.tensor(slots, dtype=torch.long, device=device)
        lengths = torch.tensor([len(prompts[owner]) for owner in owners], device=device)
        numbers = np.ascontiguousarray(uniforms[:, : self._shape.max_new_tokens], dtype=np.float64)
        self._uniforms[where] = torch.from_numpy(numbers).to(device)
        places = torch.arange(self._shape.positions, device=device)
        is_prompt = (places[None, :] < lengths[:, None])[:, None, None, :]
        self._mask[where] = torch.where(is_prompt, 0.0, self._hidden_place).to(self._mask.dtype)
        hidden = self._prefill(where, prompts, owners)
        tokens, logprobs = draw_tokens(self._head, hidden, self._uniforms[where, 0], self._temperature)
        self._tokens[where, 0], self._logprobs[where, 0], self._last[where] = tokens, logprobs, tokens
        self._position[where], self._drawn[where] = lengths, torch.ones_like(lengths)
        self._alive[where], self._settled[where] = self._goes_on(tokens, self._drawn[where]), False

    def step(self) -> None:
        """One token more in every slot that goes on."""
        if self._can_record and self._steps_run == EAGER_STEPS:
            self._record()
        if self._replay is not None:
            self._replay()
        elif self._can_record:
            self._run_on_side_stream()
        else:
            self._run()
        self._steps_run += 1

    def state(self) -> tuple[list[int], list[bool]]:
        """Of each slot: how many tokens it has drawn, and whether it can be taken; waits for the GPU."""
        drawn, settled = torch.stack([self._drawn, self._settled.long()]).tolist()
        return drawn, [bool(each) for each in settled]

    def take(self, slots: Sequence[int]) -> list[SlotAnswer]:
        """The answers in some slots, which have ended."""
        where = torch.tensor(slots, dtype=torch.long, device=self._model.device)
        counts = self._drawn[where].tolist()
        rows = zip(slots, counts, self._tokens[where].tolist(), self._logprobs[where].tolist(), strict=True)
        return [
            SlotAnswer(tokens[:count], logprobs[:count], self._recorded(slot, count))
            for slot, count, tokens, logprobs in rows
        ]

    def _recorded(self, slot: int, count: int) -> torch.Tensor | None:
        if self._activations is None:
            return None
        passed = min(count, self._shape.max_new_tokens - 1)
        return torch.cat([self._prompt_activations[slot], self._activations[slot, :passed]])

    def _goes_on(self, tokens: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        return ~(tokens[:, None] == self._stops[None, :]).any(1) & (drawn < self._shape.max_new_tokens)

    def _prefill(self, where: torch.Tensor, prompts: Sequence[Sequence[int]], owners: Sequence[int]) -> torch.Tensor:
        """Writes keys and values of each answer's prompt into its slot.

        Returns:
            [n, width] hidden states that predict the first token of each answer.
        """
        hidden = self._head.weight.new_zeros((len(owners), self._head.weight.shape[1]))
        start = 0
        while start < len(prompts):  # longest prompts first
            size = max(1, MAX_TOKENS_PER_PREFILL // len(prompts[start]))
            group = prompts[start : start + size]
            lines = [line for line, owner in enumerate(owners) if start <= owner < start + size]
            own = torch.tensor([owners[line] - start for line in lines], dtype=torch.long, device=where.device)
            at = torch.tensor(lines, dtype=torch.long, device=where.device)
            hidden[at] = self._prefill_group(where[at], group, own)
            start += size
        return hidden

    def _prefill_group(self, where: torch.Tensor, group: Sequence[Sequence[int]], own: torch.Tensor) -> torch.Tensor:
        """Prompts padded on the right, which causal attention never reads and later tokens overwrite."""
        width = max(map(len, group))
        ids = torch.tensor([[*prompt, *[0] * (width - len(prompt))] for prompt in group], device=where.device)
        cache = DynamicCache(config=self._model.config)
        out = self._model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
        if self._cache is None:
            self._cache = self._empty_cache(cache)
        for slots, prompts in zip(self._cache.layers, cache.layers, strict=True):
            slots.write_prompts(where, prompts.keys[own], prompts.values[own])
        if self._recorder:
            lengths = [len(prompt) for prompt in group]
            for slot, owner in zip(where.tolist(), own.tolist(), strict=True):
                recorded = self._recorder.activations[owner, : lengths[owner]]
                self._prompt_activations[slot] = recorded
            if self._activations is None:
                size = (self._shape.slots, self._shape.max_new_tokens, self._recorder.activations.shape[2])
                self._activations = self._recorder.activations.new_zeros(size)
        last = torch.tensor([len(prompt) - 1 for prompt in group], device=where.device)[own]
        states: torch.Tensor = out.last_hidden_state[own, last]
        return states

    def _empty_cache(self, like: DynamicCache) -> DynamicCache:
        """Buffers of zeros for all slots, with the heads and widths of another cache."""
        cache = DynamicCache(config=self._model.config)
        cache.layers = []
        for layer in like.layers:
            keys, values = (
                part.new_zeros((self._shape.slots, part.shape[1], self._shape.positions, part.shape[3]))
                for part in (layer.keys, layer.values)
            )
            cache.layers.append(SlotLayer(keys, values, self._position))
        return cache

    def _run(self) -> None:
        """Every slot: pass its last token, draw the next one; what has ended stays as it is."""
        # 1. Pass the last token, which from now on is visible.
        self._settled.copy_(~self._alive)
        self._mask[self._slots, 0, 0, self._position] = 0.0
        with _attending_with(self._model, self._attention):
            hidden = last_hidden(self._model, self._last[:, None], self._mask, self._position[:, None], self._cache)
        if self._recorder and self._activations is not None:
            self._activations[self._slots, self._drawn - 1] = self._recorder.activations[:, 0]
        # 2. Draw the next one.
        place = self._drawn.clamp(max=self._shape.max_new_tokens - 1)[:, None]
        tokens, logprobs = draw_tokens(
            self._head, hidden, self._uniforms.gather(1, place).squeeze(1), self._temperature
        )
        # 3. Keep it where the answer goes on.
        tokens = torch.where(self._alive, tokens, self._last)
        for kept, drawn in ((self._tokens, tokens), (self._logprobs, logprobs)):
            kept.scatter_(1, place, torch.where(self._alive[:, None], drawn[:, None], kept.gather(1, place)))
        self._last.copy_(tokens)
        self._position += self._alive
        self._drawn += self._alive
        self._alive &= self._goes_on(tokens, self._drawn)

    def _run_on_side_stream(self) -> None:
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            self._run()
        torch.cuda.current_stream().wait_stream(side_stream)

    def _record(self) -> None:
        """Records a step without running it; where the family's code waits for the GPU, steps stay eager."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._run()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._can_record = False
            warnings.warn(f"A step of this model cannot be recorded, so sampling is slower: {error}", stacklevel=2)
        else:
            self._replay = graph.replay


def fits_slots(model: Any, positions: int) -> bool:  # noqa: ANN401
    """Whether every layer of the family keeps the keys and values of all its tokens, up to a number of positions."""
    layers = DynamicCache(config=model.config).layers
    return bool(layers) and all(
        type(layer) is DynamicLayer or (type(layer) is DynamicSlidingWindowLayer and layer.sliding_window > positions)
        for layer in layers
    )


def _attention_for_decoding(model: Any) -> str:  # noqa: ANN401
    """The name of the attention function for decoding: grouped if the family allows it, else the model's own."""
    before: str = model.config._attn_implementation  # noqa: SLF001 - transformers has no public reader
    chosen = GROUPED_DECODING if attend_by_groups(model, GROUPED_DECODING) else before
    model.set_attn_implementation(before)
    return chosen


@contextmanager
def _attending_with(model: Any, name: str) -> Iterator[None]:  # noqa: ANN401
    """Makes a model use another attention function inside the block."""
    before = model.config._attn_implementation  # noqa: SLF001 - as above
    if name == before:
        yield
        return
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
