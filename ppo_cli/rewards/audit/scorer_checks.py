"""Checks of a reward's scores: finite, deterministic, independent of the batch, fast enough.

Not here: what the reward prefers (`shortcuts`, `preference_accuracy`, `exploits`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from ppo_cli.errors import CheckFailedError
from ppo_cli.records.checks import Check
from ppo_cli.rewards.audit.cases import Case, Floats, rewards_of
from ppo_cli.rewards.reward_function import RewardFunction

MAX_CASES = 48
"""Cases that are scored again; each costs a request if the reward is a service."""
MAX_SINGLE_CASES = 6
"""Cases that are scored one by one."""
MAX_ROUNDING = 1e-5
"""Rewards that differ by less, in units of their standard deviation, are equal: a model in bfloat16 rounds differently
in batches of another size."""
MAX_NOISE_SHARE = 0.25
"""Difference between two scores of one answer, in units of the standard deviation, above which a check fails. Own
choice."""
MAX_SECONDS_PER_UPDATE = 30.0
"""Scoring time above which the reward is slow. Own choice."""


def scorer_checks(
    reward: RewardFunction,
    cases: Sequence[Case],
    *,
    episodes: int,
    deterministic: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Check]:
    """Scores some cases twice, in reverse order, and one by one.

    Args:
        reward: raises CheckFailedError for a missing or non-finite score.
        cases: answers that differ.
        episodes: per update.
        deterministic: whether every term is declared deterministic.
        clock: gives seconds.

    Returns:
        All checks of this file; only the first if a score is missing or not finite.
    """
    cases = list(cases[:MAX_CASES])
    try:
        started = clock()
        first = rewards_of(reward, cases)
        seconds = max(clock() - started, 1e-9)
        second = rewards_of(reward, cases)
        reversed_order = rewards_of(reward, cases[::-1])[::-1]
        single = np.concatenate([rewards_of(reward, [case]) for case in cases[:MAX_SINGLE_CASES]])
    except CheckFailedError as error:
        return [_finite_check(False, error.message, error.next_step)]
    spread = max(float(first.std()), 1e-12)
    noise = _max_difference(first, second) / spread
    batch_effect = (
        max(_max_difference(first, reversed_order), _max_difference(first[:MAX_SINGLE_CASES], single)) / spread
    )
    return [
        _finite_check(True, f"{len(first)} scores for {len(first)} answers, all finite"),
        _determinism_check(noise, deterministic),
        _batch_check(batch_effect, noise),
        _speed_check(len(cases) / seconds, episodes),
    ]


def _max_difference(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max(initial=0.0))


def _finite_check(finite: bool, value: str, next_step: str = "") -> Check:
    return Check.from_condition(
        "reward returns finite scores",
        finite,
        value=value,
        threshold="one finite score per answer",
        reason="one broken score destroys all weights in one update",
        next_step=next_step,
    )


def _determinism_check(noise: float, deterministic: bool) -> Check:
    return Check.from_condition(
        "reward is deterministic",
        noise <= MAX_ROUNDING,
        value="the same scores twice" if noise <= MAX_ROUNDING else f"differs by {noise:.0%} of its standard deviation",
        threshold=f"the same twice, fail above {MAX_NOISE_SHARE:.0%} of its standard deviation"
        if deterministic
        else "a term is declared not deterministic",
        reason="random rewards cannot be learnt, and a resumed run would differ",
        next_step="Fix the seed, the temperature or the cache of whatever computes the score.",
        otherwise="fail" if noise > MAX_NOISE_SHARE and deterministic else "warn",
    )


def _batch_check(difference: float, noise: float) -> Check:
    independent = difference <= max(MAX_ROUNDING, 2 * noise)
    return Check.from_condition(
        "reward independent of batch order",
        independent,
        value="the same one by one and in any order"
        if independent
        else f"differs by {difference:.0%} of its standard deviation",
        threshold=f"the same, fail above {MAX_NOISE_SHARE:.0%} of its standard deviation",
        reason="otherwise an answer's score depends on the other answers in the batch, or scores go to wrong answers",
        next_step="Score each answer by itself and return the scores in the order of the answers.",
        otherwise="fail" if difference > MAX_NOISE_SHARE else "warn",
    )


def _speed_check(speed: float, episodes: int) -> Check:
    seconds = episodes / speed
    return Check.from_condition(
        "reward fast enough",
        seconds <= MAX_SECONDS_PER_UPDATE,
        value=f"{speed:.0f} answers per second" if speed >= 10 else f"{speed:.2g} answers per second",
        threshold=f"{MAX_SECONDS_PER_UPDATE:.0f} s or less per update of {episodes} episodes",
        reason=f"it takes {seconds:.2g} s of every update",
        next_step="Score in batches, or use a smaller reward model.",
        otherwise="warn",
    )
