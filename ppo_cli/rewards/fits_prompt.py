"""A reward term that scores what an answer says about its own prompt, up to a limit.

The judge is the start model as it was before any warm start, frozen. Stock phrases, answers to other prompts, echoes
and gibberish get about 0. Refusals get 0, and so does every answer to a prompt that should be refused.

Not here: the fit itself (`models.prompt_fit`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.behaviours import refusal
from ppo_cli.errors import ConfigError
from ppo_cli.experiment.term_types import FitsPrompt
from ppo_cli.models.prompt_fit import PromptFitJudge, other_prompts
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer


def fits_prompt(path: str, term: FitsPrompt, context: RewardContext) -> Scorer:
    """The term, ready to score.

    Raises:
        UsageError: the command has no model, or it cannot be read.
    """
    if context.instruct_model is None:
        raise ConfigError(f"{path}: this command loads no model.", "Use the command `train`, `sft-check` or `reward`.")
    start_model = context.instruct_model
    others = other_prompts(context.prompts, 0, term.others)

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _baseline: BaselineAnswers) -> list[float]:
        rows = [(prompt, answer.text) for prompt, answer in zip(prompts, answers, strict=True)]
        # Equal answers of one call share a score. None is kept for later calls: a resumed run would lack it, and the
        # rounding of bfloat16 depends on what stands in the same batch.
        judged = list(dict.fromkeys(row for row in rows if _is_judged(*row)))
        model = context.instruct_model or start_model
        fits = PromptFitJudge(model.open_model, model.tokenizer, others, context.token_ids).fits(judged)
        scores = {
            row: min(1.0, max(0.0, fit.information / term.max_information))
            for row, fit in zip(judged, fits, strict=True)
        }
        return [scores.get(row, 0.0) for row in rows]

    return Scorer(score)


def _is_judged(prompt: Prompt, text: str) -> bool:
    """Whether the text is an answer, and the prompt one that should be answered."""
    return prompt.expect != "refuse" and refusal.classify(text) in refusal.ANSWERS
