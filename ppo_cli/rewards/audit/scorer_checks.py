"""Whether a reward keeps its contract: finite, the same twice, blind to its neighbours in a batch, quick enough.

Not here: what it rewards (`leanings`, `pairs`, `tricks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from ppo_cli.errors import GateError
from ppo_cli.records.checks import Check
from ppo_cli.rewards.audit.cases import Case, Floats, rewards_of
from ppo_cli.rewards.reward_function import RewardFunction

CASES_SCORED = 48
"""Cases that are scored again; each costs a call where a reward is a service."""
CASES_SCORED_ALONE = 6
"""Cases that are scored one by one."""
MAX_DIFFERENCE = 1e-5
"""Rewards that differ by less, in units of their spread, are the same: a model in bfloat16 rounds by batch size."""
MAX_NOISE_SHARE = 0.25
"""Noise in units of the spread, from which it drowns what PPO should learn from. Own choice."""
MAX_SECONDS = 30.0
"""Seconds an update that a reward may take before it is worth a word. Own choice."""


def scorer_checks(
    reward: RewardFunction,
    cases: Sequence[Case],
    *,
    episodes: int,
    deterministic: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Check]:
    """Scores some cases again and again, in other company.

    Args:
        reward: guarded, so that a missing or non-finite score is an error.
        cases: answers that differ.
        episodes: of an update.
        deterministic: whether every term claims to be.
        clock: seconds.
    """
    cases = list(cases[:CASES_SCORED])
    try:
        begun = clock()
        first = rewards_of(reward, cases)
        seconds = max(clock() - begun, 1e-9)
        again = rewards_of(reward, cases)
        turned = rewards_of(reward, cases[::-1])[::-1]
        alone = np.concatenate([rewards_of(reward, [case]) for case in cases[:CASES_SCORED_ALONE]])
    except GateError as error:
        return [
            Check(
                name="reward keeps its contract",
                status="stop",
                value=error.message,
                threshold="one finite score for every answer",
                reason="one broken score destroys all weights in one update",
                next_step=error.next_step,
            )
        ]
    spread = max(float(first.std()), 1e-12)
    noise = _largest_difference(first, again) / spread
    in_company = (
        max(_largest_difference(first, turned), _largest_difference(first[:CASES_SCORED_ALONE], alone)) / spread
    )
    return [
        _finite(first),
        _deterministic(noise, deterministic),
        _independent_of_batch(in_company, noise),
        _fast_enough(len(cases) / seconds, episodes),
    ]


def _largest_difference(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max(initial=0.0))


def _finite(rewards: Floats) -> Check:
    return Check(
        name="reward keeps its contract",
        status="pass",
        value=f"{len(rewards)} scores for {len(rewards)} answers, all finite",
        threshold="one finite score for every answer",
        reason="one broken score destroys all weights in one update",
    )


def _deterministic(noise: float, deterministic: bool) -> Check:
    return Check(
        name="reward repeats itself",
        status="pass" if noise <= MAX_DIFFERENCE else "stop" if noise > MAX_NOISE_SHARE and deterministic else "warn",
        value="the same twice" if noise <= MAX_DIFFERENCE else f"off by {noise:.0%} of its spread",
        threshold=f"the same, stop above {MAX_NOISE_SHARE:.0%} of its spread"
        if deterministic
        else "a term says that it is not",
        reason="what is paid by chance cannot be learnt, and a resumed run would differ",
        next_step="" if noise <= MAX_DIFFERENCE else "Fix the seed, the temperature or the cache of whatever scores.",
    )


def _independent_of_batch(difference: float, noise: float) -> Check:
    fine = difference <= max(MAX_DIFFERENCE, 2 * noise)
    return Check(
        name="reward is blind to the batch",
        status="pass" if fine else "stop" if difference > MAX_NOISE_SHARE else "warn",
        value="the same alone and in any order" if fine else f"off by {difference:.0%} of its spread",
        threshold=f"the same, stop above {MAX_NOISE_SHARE:.0%} of its spread",
        reason="else an answer is paid for its neighbours, or scores are handed to the wrong answers",
        next_step="" if fine else "Score each answer by itself and give the scores back in the order of the answers.",
    )


def _fast_enough(speed: float, episodes: int) -> Check:
    seconds = episodes / speed
    return Check(
        name="reward is quick",
        status="pass" if seconds <= MAX_SECONDS else "warn",
        value=f"{speed:.0f} answers a second" if speed >= 10 else f"{speed:.2g} answers a second",
        threshold=f"{MAX_SECONDS:.0f} s or less an update of {episodes}",
        reason=f"it takes {seconds:.2g} s of every update",
        next_step="" if seconds <= MAX_SECONDS else "Score in batches, or use a smaller reward model.",
    )
