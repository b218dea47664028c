"""Samples of the start model for the preflight checks: answers, the same with special tokens, and the time they took.

Not here: what the samples are checked for (`instruct_checks`, `reward_signal`, `prompt_checks`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ppo_cli.models.open_model import OpenModel
from ppo_cli.records.answers import PromptAnswers
from ppo_cli.records.events import EventHandler, Phase, Progress
from ppo_cli.setup.tokenized_prompts import TokenizedPrompts

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """How the start model is sampled."""

    per_prompt: int
    """Answers to each prompt."""
    max_new_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class StartModelSamples:
    """Sampled answers of a start model."""

    samples: PromptAnswers
    raw_answers: tuple[tuple[str, ...], ...]
    """[prompts][samples]: the same answers with special tokens written out, except those that end an answer."""
    sequences: list[tuple[list[int], list[int]]]
    """Token ids of each prompt and of the first answer to it."""
    max_new_tokens: int
    """Longest possible answer, in tokens."""
    seconds: float
    """Time that sampling took."""

    @property
    def answer_count(self) -> int:
        """Number of answers to all prompts."""
        return sum(map(len, self.samples.answers))


def sample_start_model(
    open_model: OpenModel,
    tokenizer: ChatTokenizer,
    prompts: TokenizedPrompts,
    settings: SampleSettings,
    on_event: EventHandler,
) -> StartModelSamples:
    """Samples several answers to each prompt; the draws of each answer depend on the seed and the prompt's id alone."""
    import numpy as np

    from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers

    limit, count = settings.max_new_tokens, settings.per_prompt
    draws = [
        np.stack([keyed_uniforms(settings.seed, "sft-check", prompt.id, k, count=limit) for k in range(count)])
        for prompt in prompts.prompts
    ]
    on_event(Phase(name="sampling the start model", total=len(prompts) * count, unit="answers"))
    with open_model() as model:
        started = time.perf_counter()
        sampled = sample_answers(
            model,
            prompts.token_ids,
            draws,
            SamplingParams(limit, settings.temperature, tokenizer.stop_ids, tokenizer.pad_id),
            lambda done: on_event(Progress(done=done)),
        )
        seconds = time.perf_counter() - started
    stop_ids = set(tokenizer.stop_ids)
    return StartModelSamples(
        samples=PromptAnswers(
            prompts=tuple(prompts.prompts),
            answers=tuple(tuple(tokenizer.to_answer(row) for row in rows) for rows in sampled),
        ),
        raw_answers=tuple(
            tuple(
                tokenizer.tokenizer.decode([token for token in row.token_ids if token not in stop_ids]) for row in rows
            )
            for rows in sampled
        ),
        sequences=[(ids, rows[0].token_ids) for ids, rows in zip(prompts.token_ids, sampled, strict=True)],
        max_new_tokens=limit,
        seconds=seconds,
    )
