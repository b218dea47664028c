"""From the kind of a term and its parameters to what scores.

Not here: the kinds themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.builtin_terms import TERMS, Term
from ppo_cli.rewards.parametric_terms import PARAMETRIC_TERMS
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer

SHIPPED = frozenset({*TERMS, *PARAMETRIC_TERMS})
"""Kinds that need nothing but a prompt and an answer; all others run, load or ask something that a config names."""


def open_term(name: str, kind: str, parameters: Mapping[str, Any], surroundings: RewardContext) -> Scorer:
    """Makes a term ready to score.

    Raises:
        UsageError: what it names cannot be used.
    """
    path = f"reward.terms.{name}"
    match kind:
        case "python":
            from ppo_cli.rewards.python_function import python_function

            return python_function(path, parameters)
        case "http":
            from ppo_cli.rewards.http_service import http_service

            return http_service(path, parameters, surroundings)
        case "classifier":
            from ppo_cli.rewards.classifier import classifier

            return classifier(path, parameters, surroundings)
        case "preference":
            from ppo_cli.rewards.classifier import reward_model_term

            return reward_model_term(path, parameters, surroundings)
        case shaped if shaped in PARAMETRIC_TERMS:
            return _one_by_one(PARAMETRIC_TERMS[shaped](parameters))
    return _one_by_one(TERMS[kind])


def _one_by_one(term: Term) -> Scorer:
    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _others: BaselineAnswers) -> list[float]:
        return [float(term(prompt, answer)) for prompt, answer in zip(prompts, answers, strict=True)]

    return Scorer(score)
