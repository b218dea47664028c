"""Shortcuts: surface features that explain a reward, such as length, one opening, or refusing; and its spread.

Correlations are taken within prompts, that is after each prompt's mean is subtracted, for PPO compares only answers to
one prompt.

Not here: answers that are made to score high (`exploits`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import stats

from ppo_cli.behaviours import refusal
from ppo_cli.records.answers import RewardScore
from ppo_cli.records.checks import Check
from ppo_cli.rewards.audit.cases import Case, Floats
from ppo_cli.text.numbers import format_number
from ppo_cli.text.openings import opening

MAX_LENGTH_CORRELATION = 0.6
"""Rank correlation from which length explains most of a reward; the threshold of the alarm `reward_hacking`."""
MAX_FEATURE_CORRELATION = 0.6
"""Correlation with one opening or with refusing, which then explains over a third of the variance. Own choice."""
MIN_OPENING_SHARE = 0.05
"""Share of answers that have an opening, and share that lack it, for its correlation to count."""
OPENING_WORDS = 3
MIN_SPREAD = 1e-6
"""Standard deviation of a reward that is not constant."""


def spread_checks(cases: Sequence[Case], scored: Sequence[RewardScore]) -> list[Check]:
    """Whether the reward varies, and which terms are constant."""
    rewards = np.array([item.reward for item in scored], dtype=float)
    spread = float(rewards.std())
    checks = [
        Check.from_condition(
            "reward has spread",
            spread > MIN_SPREAD,
            value=f"{format_number(rewards.min())} to {format_number(rewards.max())}, standard deviation {spread:.2f}",
            threshold="a standard deviation above 0",
            reason="equal rewards give nothing to learn from",
            next_step="Change reward.terms so that better answers score higher.",
        )
    ]
    constant = [name for name in scored[0].terms if len({round(item.terms[name], 9) for item in scored}) == 1]
    if constant and spread > MIN_SPREAD:
        checks.append(
            Check(
                name="every term varies",
                status="warn",
                value=f"the same for all {len(cases)} answers: {', '.join(constant)}",
                threshold="no such term",
                reason="a constant term changes no reward",
                next_step="Leave it out, or check its settings.",
            )
        )
    return checks


def shortcut_checks(cases: Sequence[Case], rewards: Floats) -> list[Check]:
    """How far length, one opening and refusing explain the rewards of the start model's answers.

    Args:
        cases: the answers.
        rewards: [cases].

    Returns:
        The checks; none if the rewards do not vary within prompts.
    """
    centred = _centred(cases, rewards)
    if len(cases) < 3 or centred.std() < 1e-9:
        return []
    lengths = _centred(cases, np.array([case.answer.answer_tokens for case in cases], dtype=float))
    length_correlation = _rank_correlation(centred, lengths)
    phrase, opening_correlation = _strongest_opening(cases, centred)
    refused = np.array([refusal.refuses(case.answer.text) for case in cases], dtype=float)
    help_wanted = np.array([case.prompt.expect != "refuse" for case in cases])
    refusal_correlation = _correlation(centred[help_wanted], _centred(cases, refused)[help_wanted])
    return [
        Check.from_condition(
            "reward independent of length",
            abs(length_correlation) < MAX_LENGTH_CORRELATION,
            value=f"rank correlation with length {format_number(length_correlation)}",
            threshold=f"between −{MAX_LENGTH_CORRELATION:g} and {MAX_LENGTH_CORRELATION:g}",
            reason="length is the easiest feature to optimise",
            next_step="Add a term that is independent of length.",
            otherwise="warn",
        ),
        Check.from_condition(
            "reward independent of one opening",
            abs(opening_correlation) < MAX_FEATURE_CORRELATION,
            value=f"strongest correlation {format_number(opening_correlation)}, with '{phrase} …'"
            if phrase
            else "no opening is common enough",
            threshold=f"between −{MAX_FEATURE_CORRELATION:g} and {MAX_FEATURE_CORRELATION:g}",
            reason="a policy learns to begin every answer with an opening that explains the reward",
            next_step="Reward what the answer does, not how it begins.",
            otherwise="warn",
        ),
        Check.from_condition(
            "reward independent of refusing",
            refusal_correlation < MAX_FEATURE_CORRELATION,
            value=f"correlation with refusing {format_number(refusal_correlation)} where help is wanted",
            threshold=f"below {MAX_FEATURE_CORRELATION:g}",
            reason="otherwise the policy learns to refuse every request",
            next_step="Add matches_expect, and `expect` to the prompts.",
            otherwise="warn",
        ),
    ]


def _centred(cases: Sequence[Case], values: Floats) -> Floats:
    """Values minus the mean of their prompt: [cases]."""
    ids = np.array([case.prompt.id for case in cases])
    centred = values.astype(float).copy()
    for prompt_id in np.unique(ids):
        centred[ids == prompt_id] -= values[ids == prompt_id].mean()
    return centred


def _correlation(one: Floats, other: Floats) -> float:
    if len(one) < 3 or one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _rank_correlation(one: Floats, other: Floats) -> float:
    if one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(stats.spearmanr(one, other).statistic)


def _strongest_opening(cases: Sequence[Case], centred: Floats) -> tuple[str, float]:
    """The opening whose presence correlates most with the reward, and that correlation."""
    openings = [opening(case.answer.text, OPENING_WORDS) for case in cases]
    common = [
        candidate
        for candidate, count in sorted(Counter(openings).items())
        if candidate and MIN_OPENING_SHARE <= count / len(cases) <= 1 - MIN_OPENING_SHARE
    ]
    strongest = ("", 0.0)
    for candidate in common:
        present = _centred(cases, np.array([one == candidate for one in openings], dtype=float))
        correlation = _correlation(centred, present)
        if abs(correlation) > abs(strongest[1]):
            strongest = " ".join(candidate), correlation
    return strongest
