"""What the gate sees of a start model: answers to some prompts, with their special tokens, and how long they took.

Not here: what is made of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppo_cli.records.answers import Answer, Prompt, PromptAnswers
from ppo_cli.records.events import EventHandler, Phase, Progress

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer

OpenModel = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, kw_only=True)
class StartModelSamples:
    """Sampled answers of a start model."""

    trial: PromptAnswers
    raw: tuple[tuple[str, ...], ...]
    """The same with special tokens written out, but for the one that ended an answer."""
    sequences: list[tuple[list[int], list[int]]]
    """Token ids of each prompt and of its first answer."""
    seconds: float
    """That sampling took."""

    @property
    def answers(self) -> int:
        return sum(map(len, self.trial.answers))


def sample_start_model(
    model: OpenModel,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Prompt],
    *,
    samples: int,
    limit: int,
    temperature: float,
    seed: int,
    on_event: EventHandler,
) -> StartModelSamples:
    """Samples K answers to each prompt with draws of their own."""
    import numpy as np

    from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers

    rendered = [tokenizer.render(prompt.text) for prompt in prompts]
    draws = [
        np.stack([keyed_uniforms(seed, "sft-check", p.id, k, count=limit) for k in range(samples)]) for p in prompts
    ]
    on_event(Phase(name="sampling the start model", total=len(prompts) * samples, unit="answers"))
    with model() as opened:
        begun = time.perf_counter()
        drawn = sample_answers(
            opened,
            rendered,
            draws,
            SamplingParams(limit, temperature, tokenizer.stop_ids, tokenizer.pad_id),
            lambda done: on_event(Progress(done=done)),
        )
        seconds = time.perf_counter() - begun
    stops = set(tokenizer.stop_ids)
    return StartModelSamples(
        trial=PromptAnswers(
            prompts=tuple(prompts),
            answers=tuple(
                tuple(
                    Answer(text=tokenizer.decode(row.token_ids), token_count=len(row.token_ids), finish=row.finish)
                    for row in rows
                )
                for rows in drawn
            ),
        ),
        raw=tuple(
            tuple(tokenizer.tokenizer.decode([token for token in row.token_ids if token not in stops]) for row in rows)
            for rows in drawn
        ),
        sequences=[(ids, rows[0].token_ids) for ids, rows in zip(rendered, drawn, strict=True)],
        seconds=seconds,
    )
