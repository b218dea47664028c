"""Sampling the answers of an evaluation batch by batch, so that a killed evaluation continues where it was.

Not here: sampling tokens (`models.sampling`), the file of answers so far (`store.evaluations`), measuring (`evaluate`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppo_cli.evaluation.answering_models import AnsweringModels
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.models import sampling
from ppo_cli.records.events import EventHandler, Phase, Progress
from ppo_cli.setup.tokenized_prompts import TokenizedPrompts
from ppo_cli.store.evaluations import AskedPrompt, PartialSamples

OpenPartialSamples = Callable[[Mapping[str, Any]], PartialSamples]


def sample_resumable(
    models: AnsweringModels,
    prompts: TokenizedPrompts,
    settings: Evaluation,
    on_event: EventHandler,
    open_partial_samples: OpenPartialSamples | None,
) -> list[list[sampling.SampledTokens]]:
    """K answers to each prompt, batch by batch in an order that the prompts alone decide.

    A batch whose answers were kept is not sampled again; an answer is known by its prompt's id and tokens and by its
    sample number, never by its place in the file. The others hold the same prompts as they would have without the kill,
    so that even the rounding of bfloat16, which depends on a batch's shape, is the same.

    Args:
        models: the policy of which answers.
        prompts: to answer.
        settings: how to sample.
        on_event: called with progress.
        open_partial_samples: opens the file of answers so far, given what the answers depend on; None keeps none.

    Returns:
        [prompts][samples], in the order of the prompts.
    """
    tokenizer, token_ids = models.tokenizer, prompts.token_ids
    parameters = sampling.SamplingParams(
        settings.max_new_tokens, settings.temperature, tokenizer.stop_ids, tokenizer.pad_id
    )
    samples = settings.samples_per_prompt
    order = sorted(range(len(prompts)), key=lambda index: (-len(token_ids[index]), index))
    size = max(1, sampling.MAX_ROWS_PER_BATCH // samples)
    answers: list[list[sampling.SampledTokens]] = [[] for _ in order]
    on_event(Phase(name="answering", total=len(prompts) * samples, unit="answers"))
    with models.policy() as model:
        depends_on = {
            "settings": settings.model_dump(),
            "prompts": sha256_of([[prompt.id, list(ids)] for prompt, ids in prompts]),
            "batch": size,
            "device": str(model.device),
            "dtype": str(model.dtype),
        }
        partial = open_partial_samples(depends_on) if open_partial_samples else None
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            asked = [AskedPrompt(prompts.prompts[index].id, _digest(prompts, index)) for index in batch]
            sampled = _taken_up(partial.answers(asked, samples)) if partial else None
            if sampled is None:
                sampled = sampling.sample_answers(
                    model,
                    [token_ids[index] for index in batch],
                    [_draws(settings, prompts.prompts[index].id) for index in batch],
                    parameters,
                    _progress_after(on_event, start * samples),
                )
                if partial:
                    partial.add(asked, [[_to_row(answer) for answer in of_prompt] for of_prompt in sampled])
            for index, of_prompt in zip(batch, sampled, strict=True):
                answers[index] = of_prompt
            on_event(Progress(done=(start + len(batch)) * samples))
    return answers


def _digest(prompts: TokenizedPrompts, index: int) -> str:
    return sha256_of([prompts.prompts[index].id, list(prompts.token_ids[index])])


def _taken_up(rows: list[list[dict[str, Any]]] | None) -> list[list[sampling.SampledTokens]] | None:
    """The answers of a batch that was kept; None where there are none, or a row is damaged."""
    if rows is None:
        return None
    try:
        return [[sampling.SampledTokens(**row) for row in of_prompt] for of_prompt in rows]
    except TypeError:
        return None


def _to_row(answer: sampling.SampledTokens) -> dict[str, Any]:
    return {"token_ids": answer.token_ids, "logprobs": answer.logprobs, "finish": answer.finish}


def _draws(settings: Evaluation, prompt_id: str) -> NDArray[np.float64]:
    """The random numbers of a prompt's answers: [samples, tokens]."""
    return np.stack(
        [
            sampling.keyed_uniforms(settings.seed, "evaluation", prompt_id, number, count=settings.max_new_tokens)
            for number in range(settings.samples_per_prompt)
        ]
    )


def _progress_after(on_event: EventHandler, before: int) -> Callable[[int], None]:
    """Reports progress on top of answers that are done already."""
    return lambda done: on_event(Progress(done=before + done))
