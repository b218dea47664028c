"""How a reward is spread over honest answers, and what of their surface explains it: length, one phrase, refusing.

Correlations are taken within prompts, that is after each prompt's mean is taken off, for only there can PPO tell
better from worse.

Not here: answers made to deceive it (`tricks`).
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
from ppo_cli.text.words import words

BY_LENGTH = 0.6
"""Rank correlation with length from which the reward is mostly a ruler; the threshold of the alarm."""
BY_PHRASE = 0.6
"""Correlation with the presence of one opening; where it explains over a third of the variance. Own choice."""
MIN_USERS = 0.05
"""Share of answers that have a phrase, and that have it not, for a correlation to say something."""
OPENING = 3
"""Words of an opening."""


def spread_checks(cases: Sequence[Case], scored: Sequence[RewardScore]) -> list[Check]:
    """Range of the reward, and terms that say nothing."""
    rewards = np.array([item.reward for item in scored], dtype=float)
    spread = float(rewards.std())
    checks = [
        Check(
            name="reward has a spread",
            status="pass" if spread > 1e-6 else "stop",
            value=f"{format_number(rewards.min())} to {format_number(rewards.max())}, standard deviation {spread:.2f}",
            threshold="a standard deviation above 0",
            reason="with equal rewards there is nothing to learn from",
            next_step="" if spread > 1e-6 else "Change reward.terms so that better answers score more.",
        )
    ]
    idle = [name for name in scored[0].terms if len({round(item.terms[name], 9) for item in scored}) == 1]
    if idle and spread > 1e-6:
        checks.append(
            Check(
                name="every term says something",
                status="warn",
                value=f"the same for all {len(cases)} answers: {', '.join(idle)}",
                threshold="no such term",
                reason="a term that never differs pays nobody",
                next_step="Leave it out, or check its settings.",
            )
        )
    return checks


def shortcut_checks(cases: Sequence[Case], rewards: Floats) -> list[Check]:
    """What of the surface of honest answers the reward goes with."""
    inside = _within(cases, rewards)
    if len(cases) < 3 or inside.std() < 1e-9:
        return []
    lengths = _within(cases, np.array([case.answer.token_count for case in cases], dtype=float))
    by_length = _rank_correlation(inside, lengths)
    phrase, by_phrase = _strongest_opening(cases, inside)
    refused = np.array([refusal.classify(case.answer.text) == "refusal" for case in cases], dtype=float)
    asked_to_help = np.array([case.prompt.expect != "refuse" for case in cases])
    by_refusal = _correlation(inside[asked_to_help], _within(cases, refused)[asked_to_help])
    return [
        Check(
            name="reward is no ruler",
            status="pass" if abs(by_length) < BY_LENGTH else "warn",
            value=f"rank correlation with length {format_number(by_length)}",
            threshold=f"below {BY_LENGTH:g} either way",
            reason="PPO finds length long before it finds quality",
            next_step="" if abs(by_length) < BY_LENGTH else "Add a term that a long or a short answer cannot buy.",
        ),
        Check(
            name="reward is no phrase",
            status="pass" if abs(by_phrase) < BY_PHRASE else "warn",
            value=f"strongest {format_number(by_phrase)}, with '{phrase} …'"
            if phrase
            else "no opening is common enough",
            threshold=f"below {BY_PHRASE:g} either way",
            reason="an opening that explains the reward will take over",
            next_step="" if abs(by_phrase) < BY_PHRASE else "Reward what the answer does, not how it begins.",
        ),
        Check(
            name="reward does not pay refusing",
            status="pass" if by_refusal < BY_PHRASE else "warn",
            value=f"correlation with refusing {format_number(by_refusal)} where help is wanted",
            threshold=f"below {BY_PHRASE:g}",
            reason="else the policy learns to refuse whatever it is asked",
            next_step="" if by_refusal < BY_PHRASE else "Add matches_expect, and `expect` to the prompts.",
        ),
    ]


def _within(cases: Sequence[Case], values: Floats) -> Floats:
    """Values less the mean of their prompt."""
    ids = np.array([case.prompt.id for case in cases])
    inside = values.astype(float).copy()
    for prompt_id in np.unique(ids):
        inside[ids == prompt_id] -= values[ids == prompt_id].mean()
    return inside


def _correlation(one: Floats, other: Floats) -> float:
    if len(one) < 3 or one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _rank_correlation(one: Floats, other: Floats) -> float:
    if one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(stats.spearmanr(one, other).statistic)


def _strongest_opening(cases: Sequence[Case], inside: Floats) -> tuple[str, float]:
    """The first words whose presence goes best with the reward, and the correlation."""
    openings = [tuple(words(case.answer.text)[:OPENING]) for case in cases]
    common = [
        opening
        for opening, count in sorted(Counter(openings).items())
        if opening and MIN_USERS <= count / len(cases) <= 1 - MIN_USERS
    ]
    found = ("", 0.0)
    for opening in common:
        has = _within(cases, np.array([one == opening for one in openings], dtype=float))
        strength = _correlation(inside, has)
        if abs(strength) > abs(found[1]):
            found = " ".join(opening), strength
    return found
