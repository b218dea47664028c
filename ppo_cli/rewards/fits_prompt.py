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
    """The term, ready to score; an answer that it has scored before is not scored again.

    Raises:
        UsageError: the command has no model, or it cannot be read.
    """
    if context.instruct_model is None:
        raise ConfigError(f"{path}: this command loads no model.", "Use the command `train`, `sft-check` or `reward`.")
    start_model = context.instruct_model
    others = other_prompts(context.prompts, 0, term.others)
    known: dict[tuple[str, str], float] = {}

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _baseline: BaselineAnswers) -> list[float]:
        rows = list(zip(prompts, answers, strict=True))
        new = {_key(*row): row for row in rows if _key(*row) not in known and _answers(*row)}
        model = context.instruct_model or start_model
        judge = PromptFitJudge(model.open_model, model.tokenizer, others, context.token_ids)
        fits = judge.fits([(prompt, answer.text) for prompt, answer in new.values()])
        known.update(
            {key: min(1.0, max(0.0, fit.information / term.enough)) for key, fit in zip(new, fits, strict=True)}
        )
        return [known.get(_key(*row), 0.0) for row in rows]

    return Scorer(score)


def _key(prompt: Prompt, answer: Answer) -> tuple[str, str]:
    return prompt.id, answer.text


def _answers(prompt: Prompt, answer: Answer) -> bool:
    """Whether there is an answer to a prompt that should have one."""
    return prompt.expect != "refuse" and refusal.classify(answer.text) not in ("refusal", "empty")
