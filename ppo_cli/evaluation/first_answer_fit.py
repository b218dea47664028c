"""How well the first answer to each prompt of an evaluation fits it, and how close in meaning it is.

Not here: the fit (`models.prompt_fit`), the closeness (`behaviours.closeness`), the measures made from them
(`behaviours.measures.headlines`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ppo_cli.behaviours import refusal
from ppo_cli.behaviours.closeness import closeness
from ppo_cli.behaviours.embedding_judge import is_installed, load_encoder
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, Phase, Progress
from ppo_cli.records.measures import Sample
from ppo_cli.rewards.scorer import InstructModel

if TYPE_CHECKING:
    from ppo_cli.models.open_model import OpenModel
    from ppo_cli.models.prompt_fit import PromptFitJudge
    from ppo_cli.setup.resolve import ResolvedExperiment

OTHER_PROMPTS = 8
"""Prompts of the evaluation set that each answer's own prompt is compared with."""


def fit_judge(resolved: ResolvedExperiment, reference: OpenModel | None = None) -> PromptFitJudge | None:
    """The start model before any warm start, with the other prompts; None for a set of one prompt.

    Args:
        resolved: whose evaluation prompts and start model.
        reference: stands for the start model where it has the same weights, so that no second one is loaded.
    """
    from ppo_cli.models.prompt_fit import PromptFitJudge, other_prompts

    model, prompts = resolved.inputs.reward.context.instruct_model, resolved.evaluation.prompts
    if reference is not None and not resolved.inputs.sft:
        model = InstructModel(reference, resolved.tokenizer)
    if model is None or len(prompts) == 1:
        return None
    others = other_prompts(prompts, resolved.experiment.evaluation.seed, OTHER_PROMPTS)
    return PromptFitJudge(model.open_model, model.tokenizer, others, dict(resolved.evaluation))


def with_fit(
    judge: PromptFitJudge, prompts: Sequence[Prompt], answered: Sequence[Sequence[Sample]], on_event: EventHandler
) -> list[list[Sample]]:
    """The samples with the fit of those first answers that answer; a refusal or an empty answer has none.

    Args:
        judge: measures the fit.
        prompts: of the evaluation.
        answered: [prompts][samples].
        on_event: called with progress.
    """
    from ppo_cli.models.prompt_fit import NO_FIT

    rows = [
        row
        for row, (prompt, samples) in enumerate(zip(prompts, answered, strict=True))
        if prompt.expect != "refuse" and refusal.classify(samples[0].answer.text) in refusal.ANSWERS
    ]
    on_event(Phase(name="fit of answers to prompts", total=len(rows), unit="answers"))
    pairs = [(prompts[row], answered[row][0].answer.text) for row in rows]
    fits = judge.fits(pairs, lambda done: on_event(Progress(done=done)))
    near = closeness(load_encoder(), pairs, judge.others) if is_installed() else [None] * len(pairs)
    result = [list(samples) for samples in answered]
    for row, fit, value in zip(rows, fits, near, strict=True):
        is_no_answer = fit == NO_FIT  # an echo has its prompt's own words
        result[row][0] = replace(
            result[row][0],
            fit=fit.information,
            fit_rank=fit.rank,
            closeness=0.0 if is_no_answer and value is not None else value,
        )
    return result
