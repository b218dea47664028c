"""The sampling of an evaluation, kept batch by batch, so that a killed one goes on where it was.

Not here: what is made of the answers (`evaluate`), drawing them (`models.sampling`), the draft's file (`store`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.models import sampling
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, Phase, Progress
from ppo_cli.store.evaluations import PartialSamples, TokensAndFinish

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer

OpenPartialSamples = Callable[[Mapping[str, Any]], PartialSamples]


def sample_resumable(
    policy: Callable[[], AbstractContextManager[Any]],
    tokenizer: ChatTokenizer,
    prompts: Sequence[Prompt],
    rendered: Sequence[Sequence[int]],
    settings: Evaluation,
    on_event: EventHandler,
    begin: OpenPartialSamples | None,
) -> list[list[TokensAndFinish]]:
    """K answers to each prompt as tokens, batch by batch in an order that the prompts alone decide.

    A batch that the draft holds is not sampled again. The others are made of the same prompts as they would have
    been, so that even the roundings of bfloat16, which depend on a batch's shape, are the same.

    Args:
        policy: opens the model that answers.
        tokenizer: of that model.
        prompts: what is asked.
        rendered: the same as token ids.
        settings: how to draw.
        on_event: told of progress.
        begin: opens the draft, given what decides about the answers; None keeps none.
    """
    decoding = sampling.SamplingParams(
        settings.max_new_tokens, settings.temperature, tokenizer.stop_ids, tokenizer.pad_id
    )
    each = settings.samples_per_prompt
    order = sorted(range(len(prompts)), key=lambda index: (-len(rendered[index]), index))
    size = max(1, sampling.MAX_ROWS_PER_BATCH // each)
    drawn: list[list[TokensAndFinish]] = [[] for _ in prompts]
    on_event(Phase(name="answering", total=len(prompts) * each, unit="answers"))
    with policy() as model:
        how = {
            "settings": settings.model_dump(),
            "prompts": sha256_of([[prompt.id, list(ids)] for prompt, ids in zip(prompts, rendered, strict=True)]),
            "batch": size,
            "device": str(model.device),
            "dtype": str(model.dtype),
        }
        draft = begin(how) if begin else None
        for number, start in enumerate(range(0, len(order), size)):
            batch = order[start : start + size]
            answers = draft.batch(number) if draft else None
            if answers is None:
                asked, draws = [rendered[index] for index in batch], [_draws(settings, prompts[i].id) for i in batch]
                rows = sampling.sample_answers(model, asked, draws, decoding, _remaining(on_event, start * each))
                answers = [[(row.token_ids, row.finish) for row in of_one] for of_one in rows]
                if draft:
                    draft.add(answers)
            for index, given in zip(batch, answers, strict=True):
                drawn[index] = given
            on_event(Progress(done=(start + len(batch)) * each))
    return drawn


def _draws(settings: Evaluation, prompt_id: str) -> NDArray[np.float64]:
    """The random numbers of a prompt's answers: [samples, tokens]."""
    return np.stack(
        [
            sampling.keyed_uniforms(settings.seed, "evaluation", prompt_id, number, count=settings.max_new_tokens)
            for number in range(settings.samples_per_prompt)
        ]
    )


def _remaining(on_event: EventHandler, before: int) -> Callable[[int], None]:
    """Tells of progress after so many answers that are done already."""
    return lambda done: on_event(Progress(done=before + done))
