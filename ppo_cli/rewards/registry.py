"""From a reward term or a measure of the config to what scores.

Not here: what a term may be given (`experiment.term_types`), how it scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.experiment.term_types import Classifier, FitsPrompt, Http, Judge, Preference, Python, RewardTerm
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.builtin_terms import TERMS, Term
from ppo_cli.rewards.parametric_terms import PARAMETRIC_TERMS
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer

SHIPPED = frozenset({*TERMS, *PARAMETRIC_TERMS})
"""Types of reward that need nothing but a prompt and an answer; the others run, load or ask what a config names."""


def open_term(path: str, term: RewardTerm, context: RewardContext) -> Scorer:
    """Makes a term or a measure ready to score.

    Args:
        path: of its key in the config, for messages.
        term: its settings.
        context: what they do not say.

    Raises:
        UsageError: what it names cannot be used.
    """
    match term:
        case Python():
            from ppo_cli.rewards.python_function import python_function

            return python_function(path, term)
        case Http():
            from ppo_cli.rewards.http_service import http_service

            return http_service(path, term, context)
        case Judge():
            from ppo_cli.rewards.judge import judge

            return judge(path, term, context)
        case FitsPrompt():
            from ppo_cli.rewards.fits_prompt import fits_prompt

            return fits_prompt(path, term, context)
        case Classifier():
            from ppo_cli.rewards.classifier import classifier

            return classifier(path, term, context)
        case Preference():
            from ppo_cli.rewards.classifier import reward_model_term

            return reward_model_term(path, term, context)
    parametric = PARAMETRIC_TERMS.get(term.type)
    return _one_by_one(TERMS[term.type] if parametric is None else parametric(term))


def _one_by_one(term: Term) -> Scorer:
    """A term that scores each answer by itself."""

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _baseline: BaselineAnswers) -> list[float]:
        return [float(term(prompt, answer)) for prompt, answer in zip(prompts, answers, strict=True)]

    return Scorer(score)
