"""One update's episodes: which prompts, with which draws, as tensors.

Which prompts an update gets and which random numbers its episodes use are functions of (seed, update), so a run
that is resumed at any update goes on with the same ones.

Not here: scoring, learning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.models.prefill import ActivationRecorder
from ppo_cli.models.sampling import SampledTokens, SamplingParams, keyed_uniforms, sample_answers
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, Phase, Progress


@dataclass(frozen=True)
class PromptOrder:
    """The endless sequence of training prompts: pass after pass, each in its own seeded order."""

    count: int
    """Number of prompts."""
    seed: int

    def batch(self, update: int, size: int) -> list[int]:
        """Indices of the prompts of one update, counted from 1."""
        first = (update - 1) * size
        return [self._at(place) for place in range(first, first + size)]

    def used(self, updates: int, size: int) -> list[int]:
        """Indices of the prompts that the first `updates` updates use, in the order of the file."""
        return sorted({self._at(place) for place in range(min(updates * size, self.count))})

    def _at(self, place: int) -> int:
        passes, offset = divmod(place, self.count)
        return _order_of_pass(self.count, self.seed, passes)[offset]


@lru_cache(maxsize=4)
def _order_of_pass(count: int, seed: int, number: int) -> list[int]:
    luck = keyed_uniforms(seed, "prompt order", number, count=count)
    return [int(index) for index in np.argsort(luck, kind="stable")]


@dataclass(frozen=True)
class Rollouts:
    """N episodes as text and as right-padded tensors; T is the longest answer."""

    prompts: list[Prompt]
    answers: list[Answer]
    ids: torch.Tensor
    """[N, length] prompt and answer, then padding."""
    prompt_lengths: torch.Tensor
    """[N] tokens."""
    lengths: torch.Tensor
    """[N] tokens of each answer, its stop token included."""
    targets: torch.Tensor
    """[N, T] answer tokens."""
    response_mask: torch.Tensor
    """[N, T] true on answer tokens."""
    value_mask: torch.Tensor
    """[N, T] true on answer tokens and on the step after, where there is room for it."""
    sampler_logprobs: torch.Tensor
    """[N, T] log-probability of each token while it was sampled; 0 outside the mask."""
    activations: torch.Tensor | None
    """[N, length, width] what reached the tapped layer; 0 on padding, and on a last token that nothing follows."""

    def answer_positions(self) -> torch.Tensor:
        """[N, T] positions in `ids` whose hidden state predicts each answer token."""
        steps = torch.arange(self.targets.shape[1], device=self.ids.device)
        places = self.prompt_lengths[:, None] - 1 + steps[None, :]
        return places.clamp(max=self.ids.shape[1] - 1)

    def padded_to(self, steps: int) -> Rollouts:
        """The same with T raised to the longest answer of all processes."""
        more = steps - self.targets.shape[1]
        if more == 0:
            return self
        mask, mask_next = answer_masks(self.lengths, steps)
        targets, logprobs = (torch.nn.functional.pad(part, (0, more)) for part in (self.targets, self.sampler_logprobs))
        return replace(self, targets=targets, sampler_logprobs=logprobs, response_mask=mask, value_mask=mask_next)


def generate(
    model: Any,  # noqa: ANN401 - a plain causal language model
    tokenizer: ChatTokenizer,
    prompts: Sequence[Prompt],
    decoding: SamplingParams,
    *,
    seed: int,
    episodes: Sequence[int],
    update: int,
    on_event: EventHandler,
    tap: ActivationRecorder | None = None,
) -> Rollouts:
    """Samples one answer to each prompt.

    Args:
        model: the policy as a plain model.
        tokenizer: renders and decodes.
        prompts: N prompts, of which some may be the same.
        decoding: how to draw.
        seed: of the run.
        episodes: their numbers, counted from 1 over the run; owners of their draws.
        update: for the progress line.
        on_event: told of progress.
        tap: what its layer is given is kept as `activations`.
    """
    rendered = [tokenizer.render(prompt.text) for prompt in prompts]
    draws = [keyed_uniforms(seed, "rollout", number, count=decoding.max_new_tokens)[None, :] for number in episodes]
    on_event(Phase(name=f"update {update}: sampling", total=len(prompts), unit="answers"))
    drawn = sample_answers(model, rendered, draws, decoding, lambda done: on_event(Progress(done=done)), tap)
    return collate(prompts, rendered, [rows[0] for rows in drawn], tokenizer, model.device)


def collate(
    prompts: Sequence[Prompt],
    rendered: Sequence[Sequence[int]],
    drawn: Sequence[SampledTokens],
    tokenizer: ChatTokenizer,
    device: torch.device,
) -> Rollouts:
    """Arranges sampled answers as tensors."""
    width = max(len(prompt) + len(answer.token_ids) for prompt, answer in zip(rendered, drawn, strict=True))
    steps = max(len(answer.token_ids) for answer in drawn)
    ids = torch.full((len(drawn), width), tokenizer.pad_id, dtype=torch.long)
    targets = torch.full((len(drawn), steps), tokenizer.pad_id, dtype=torch.long)
    logprobs = torch.zeros((len(drawn), steps))
    for row, (prompt, answer) in enumerate(zip(rendered, drawn, strict=True)):
        ids[row, : len(prompt) + len(answer.token_ids)] = torch.tensor([*prompt, *answer.token_ids])
        targets[row, : len(answer.token_ids)] = torch.tensor(answer.token_ids)
        logprobs[row, : len(answer.token_ids)] = torch.tensor(answer.logprobs)
    lengths = torch.tensor([len(answer.token_ids) for answer in drawn])
    mask, mask_next = answer_masks(lengths, steps)
    return Rollouts(
        prompts=list(prompts),
        answers=[
            Answer(text=tokenizer.decode(answer.token_ids), token_count=len(answer.token_ids), finish=answer.finish)
            for answer in drawn
        ],
        ids=ids.to(device),
        prompt_lengths=torch.tensor([len(prompt) for prompt in rendered]).to(device),
        lengths=lengths.to(device),
        targets=targets.to(device),
        response_mask=mask.to(device),
        value_mask=mask_next.to(device),
        sampler_logprobs=logprobs.to(device),
        activations=_padded([answer.activations for answer in drawn], width),
    )


def answer_masks(lengths: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """True on answer tokens, and true there and on the step after, where there is room for it.

    Args:
        lengths: [N] tokens of each answer.
        steps: T.

    Returns:
        Two masks [N, T].
    """
    places = torch.arange(steps, device=lengths.device)[None, :]
    return places < lengths[:, None], places <= lengths[:, None]


def _padded(rows: Sequence[torch.Tensor | None], length: int) -> torch.Tensor | None:
    """[N, length, width], zeros at the end of short rows; None if nothing was overheard."""
    heard = [row for row in rows if row is not None]
    if len(heard) < len(rows):
        return None
    padded = heard[0].new_zeros((len(heard), length, heard[0].shape[1]))
    for place, row in enumerate(heard):
        padded[place, : len(row)] = row
    return padded


def micro_batches(rows: Sequence[int], lengths: Sequence[int], tokens_at_once: int) -> Iterator[tuple[list[int], int]]:
    """Splits rows into groups of like length, none above so many padded tokens.

    Yields:
        (rows, their greatest length).
    """
    waiting = sorted(rows, key=lambda row: (-lengths[row], row))
    while waiting:
        longest = lengths[waiting[0]]
        size = max(1, tokens_at_once // longest)
        yield waiting[:size], longest
        waiting = waiting[size:]
