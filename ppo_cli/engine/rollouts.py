"""One update's episodes: which prompts, with which random numbers, and the sampled answers as tensors.

The prompts of an update and the random numbers of its episodes are functions of (seed, update), so a run that is
resumed at any update continues with the same ones.

Not here: scoring (`rewards`), passes through the models (`forward_passes`), learning (`policy_update`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.models.sampling import SampledTokens, SamplingParams, keyed_uniforms, sample_answers
from ppo_cli.records.answers import Answer, Prompt


@dataclass(frozen=True)
class PromptOrder:
    """The endless sequence of training prompts: pass after pass, each pass in its own seeded order.

    Each kind of prompt is spread evenly over a pass, so every update has nearly the same share of prompts that should
    be refused. With shares that vary, one update would teach refusing and the next one helping.
    """

    kinds: tuple[str, ...]
    """Of each prompt."""
    seed: int
    answers_per_prompt: int = 1

    @classmethod
    def of(cls, prompts: Sequence[Prompt], seed: int, answers_per_prompt: int) -> PromptOrder:
        """The order of some prompts; their kind is the expected behaviour with the stratum, as `comply scary`."""
        kinds = tuple(f"{prompt.expect} {prompt.category.partition('.')[0]}" for prompt in prompts)
        return cls(kinds, seed, answers_per_prompt)

    def batch(self, update: int, size: int) -> list[int]:
        """Index of the prompt of each episode of one update: all of the update's prompts, then all of them again.

        Args:
            update: counted from 1.
            size: episodes per update, a multiple of the answers per prompt.
        """
        count = size // self.answers_per_prompt
        first = (update - 1) * count
        return [self._at(step) for step in range(first, first + count)] * self.answers_per_prompt

    def used(self, updates: int, size: int) -> list[int]:
        """Indices of the prompts that the first `updates` updates use, in the order of the file."""
        steps = updates * (size // self.answers_per_prompt)
        return sorted({self._at(step) for step in range(min(steps, len(self.kinds)))})

    def _at(self, step: int) -> int:
        passes, offset = divmod(step, len(self.kinds))
        return _order_of_pass(self.kinds, self.seed, passes)[offset]


@lru_cache(maxsize=4)
def _order_of_pass(kinds: tuple[str, ...], seed: int, number: int) -> list[int]:
    """Prompt i of n of a kind, in a random order, stands at (i + u) / n of the pass, where u is drawn per kind."""
    shuffled = np.argsort(keyed_uniforms(seed, "prompt order", number, count=len(kinds)), kind="stable").tolist()
    places: dict[int, float] = {}
    for kind in dict.fromkeys(kinds):
        of_kind = [index for index in shuffled if kinds[index] == kind]
        (start,) = keyed_uniforms(seed, "prompt order", number, kind, count=1)
        places |= {index: (place + start) / len(of_kind) for place, index in enumerate(of_kind)}
    return sorted(shuffled, key=places.__getitem__)


@dataclass(frozen=True)
class EpisodePrompts:
    """What the episodes of one update start from, or one process's shard of them: n prompts, some perhaps the same."""

    numbers: Sequence[int]
    """Of each episode over the run, counted from 1; keys the episode's random numbers."""
    prompts: Sequence[Prompt]
    token_ids: Sequence[Sequence[int]]
    """Of each prompt, chat template applied, ending where the answer begins."""


@dataclass(frozen=True)
class Rollouts:
    """n episodes as text and as right-padded tensors; T is the number of tokens of the longest answer."""

    prompts: list[Prompt]
    answers: list[Answer]
    ids: torch.Tensor
    """[n, length] token ids of prompt and answer, then padding."""
    prompt_lengths: torch.Tensor
    """[n] tokens of each prompt."""
    lengths: torch.Tensor
    """[n] tokens of each answer, its stop token included."""
    targets: torch.Tensor
    """[n, T] token ids of the answers, then padding."""
    response_mask: torch.Tensor
    """[n, T] true on answer tokens."""
    value_mask: torch.Tensor
    """[n, T] true on answer tokens and on the step after, where T leaves one."""
    sampler_logprobs: torch.Tensor
    """[n, T] log-probability of each token while it was sampled, nats; 0 outside the response mask."""
    activations: torch.Tensor | None
    """[n, length, width] inputs of the recorded layer, or None without a recorder; 0 on padding, and on a last token
    that nothing follows."""

    def answer_positions(self) -> torch.Tensor:
        """[n, T] positions in `ids` whose hidden state predicts each answer token."""
        steps = torch.arange(self.targets.shape[1], device=self.ids.device)
        positions = self.prompt_lengths[:, None] - 1 + steps[None, :]
        return positions.clamp(max=self.ids.shape[1] - 1)

    def padded_to(self, steps: int) -> Rollouts:
        """The same rollouts with T raised to `steps`, the longest answer of all processes."""
        missing = steps - self.targets.shape[1]
        if missing == 0:
            return self
        response_mask, value_mask = answer_masks(self.lengths, steps)
        targets, logprobs = (
            torch.nn.functional.pad(part, (0, missing)) for part in (self.targets, self.sampler_logprobs)
        )
        return replace(
            self, targets=targets, sampler_logprobs=logprobs, response_mask=response_mask, value_mask=value_mask
        )


def generate(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    tokenizer: ChatTokenizer,
    episodes: EpisodePrompts,
    params: SamplingParams,
    seed: int,
    progress: Callable[[int], None] = lambda _done: None,
    recorder: ActivationRecorder | None = None,
) -> Rollouts:
    """Samples one answer per episode.

    Args:
        model: the policy with its adapters merged.
        tokenizer: decodes the answers.
        episodes: prompts, their token ids and the episodes' numbers.
        params: temperature, limit and stop tokens.
        seed: of the run.
        progress: called with the number of answers done.
        recorder: records the inputs of its layer as `activations`.
    """
    uniforms = [keyed_uniforms(seed, "rollout", number, count=params.max_new_tokens) for number in episodes.numbers]
    groups = _rows_by_prompt(episodes)
    sampled = sample_answers(
        model,
        [episodes.token_ids[rows[0]] for rows in groups],
        [np.stack([uniforms[row] for row in rows]) for rows in groups],
        params,
        progress,
        recorder,
    )
    by_row = {
        row: answer
        for rows, answers in zip(groups, sampled, strict=True)
        for row, answer in zip(rows, answers, strict=True)
    }
    return collate(episodes, [by_row[row] for row in range(len(by_row))], tokenizer, model.device)


def _rows_by_prompt(episodes: EpisodePrompts) -> list[list[int]]:
    """The episodes of each prompt, which are sampled together; each by itself if prompts have unequal numbers."""
    groups: dict[str, list[int]] = {}
    for row, prompt in enumerate(episodes.prompts):
        groups.setdefault(prompt.id, []).append(row)
    if len({len(rows) for rows in groups.values()}) > 1:
        return [[row] for row in range(len(episodes.prompts))]
    return list(groups.values())


def collate(
    episodes: EpisodePrompts, sampled: Sequence[SampledTokens], tokenizer: ChatTokenizer, device: torch.device
) -> Rollouts:
    """Arranges prompts and sampled answers, one per prompt, as tensors on a device."""
    length = max(
        len(prompt) + len(answer.token_ids) for prompt, answer in zip(episodes.token_ids, sampled, strict=True)
    )
    steps = max(len(answer.token_ids) for answer in sampled)
    ids = torch.full((len(sampled), length), tokenizer.pad_id, dtype=torch.long)
    targets = torch.full((len(sampled), steps), tokenizer.pad_id, dtype=torch.long)
    logprobs = torch.zeros((len(sampled), steps))
    for row, (prompt, answer) in enumerate(zip(episodes.token_ids, sampled, strict=True)):
        ids[row, : len(prompt) + len(answer.token_ids)] = torch.tensor([*prompt, *answer.token_ids])
        targets[row, : len(answer.token_ids)] = torch.tensor(answer.token_ids)
        logprobs[row, : len(answer.token_ids)] = torch.tensor(answer.logprobs)
    lengths = torch.tensor([len(answer.token_ids) for answer in sampled])
    response_mask, value_mask = answer_masks(lengths, steps)
    return Rollouts(
        prompts=list(episodes.prompts),
        answers=[tokenizer.answer_of(answer.token_ids, answer.finish) for answer in sampled],
        ids=ids.to(device),
        prompt_lengths=torch.tensor([len(prompt) for prompt in episodes.token_ids]).to(device),
        lengths=lengths.to(device),
        targets=targets.to(device),
        response_mask=response_mask.to(device),
        value_mask=value_mask.to(device),
        sampler_logprobs=logprobs.to(device),
        activations=_padded([answer.activations for answer in sampled], length),
    )


def answer_masks(lengths: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The response mask and the value mask.

    Args:
        lengths: [n] tokens of each answer.
        steps: T.

    Returns:
        Two masks [n, T]: true on answer tokens, and true there and on the step after, where T leaves one.
    """
    step = torch.arange(steps, device=lengths.device)[None, :]
    return step < lengths[:, None], step <= lengths[:, None]


def _padded(rows: Sequence[torch.Tensor | None], length: int) -> torch.Tensor | None:
    """[n, length, width], zeros at the end of short rows; None without recorded activations."""
    recorded = [row for row in rows if row is not None]
    if len(recorded) < len(rows):
        return None
    padded = recorded[0].new_zeros((len(recorded), length, recorded[0].shape[1]))
    for index, row in enumerate(recorded):
        padded[index, : len(row)] = row
    return padded


def micro_batches(rows: Sequence[int], lengths: Sequence[int], max_tokens: int) -> Iterator[tuple[list[int], int]]:
    """Splits rows into groups of similar length, each of at most `max_tokens` padded tokens or of one row.

    Yields:
        (rows, tokens of the longest of them).
    """
    waiting = sorted(rows, key=lambda row: (-lengths[row], row))
    while waiting:
        longest = lengths[waiting[0]]
        size = max(1, max_tokens // longest)
        yield waiting[:size], longest
        waiting = waiting[size:]
