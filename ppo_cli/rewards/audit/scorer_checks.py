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

TRIED = 48
"""Cases that are scored again; each costs a call where a reward is a service."""
ALONE = 6
"""Cases that are scored one by one."""
SAME = 1e-5
"""Rewards that differ by less, in units of their spread, are the same: a model in bfloat16 rounds by batch size."""
NOISY = 0.25
"""Noise in units of the spread, from which it drowns what PPO should learn from. Own choice."""
SLOW = 30.0
"""Seconds an update that a reward may take before it is worth a word. Own choice."""


def contract_checks(
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
    cases = list(cases[:TRIED])
    try:
        begun = clock()
        first = rewards_of(reward, cases)
        seconds = max(clock() - begun, 1e-9)
        again = rewards_of(reward, cases)
        turned = rewards_of(reward, cases[::-1])[::-1]
        alone = np.concatenate([rewards_of(reward, [case]) for case in cases[:ALONE]])
    except GateError as error:
        return [
            Check(
                name="reward keeps its contract",
                outcome="stop",
                value=error.message,
                threshold="one finite score for every answer",
                reason="one broken score destroys all weights in one update",
                next_step=error.next_step,
            )
        ]
    spread = max(float(first.std()), 1e-12)
    noise = _furthest(first, again) / spread
    in_company = max(_furthest(first, turned), _furthest(first[:ALONE], alone)) / spread
    return [
        _finite(first),
        _repeats(noise, deterministic),
        _blind(in_company, noise),
        _quick(len(cases) / seconds, episodes),
    ]


def _furthest(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max(initial=0.0))


def _finite(rewards: Floats) -> Check:
    return Check(
        name="reward keeps its contract",
        outcome="pass",
        value=f"{len(rewards)} scores for {len(rewards)} answers, all finite",
        threshold="one finite score for every answer",
        reason="one broken score destroys all weights in one update",
    )


def _repeats(noise: float, deterministic: bool) -> Check:
    return Check(
        name="reward repeats itself",
        outcome="pass" if noise <= SAME else "stop" if noise > NOISY and deterministic else "warn",
        value="the same twice" if noise <= SAME else f"off by {noise:.0%} of its spread",
        threshold=f"the same, stop above {NOISY:.0%} of its spread" if deterministic else "a term says that it is not",
        reason="what is paid by chance cannot be learnt, and a resumed run would differ",
        next_step="" if noise <= SAME else "Fix the seed, the temperature or the cache of whatever scores.",
    )


def _blind(difference: float, noise: float) -> Check:
    fine = difference <= max(SAME, 2 * noise)
    return Check(
        name="reward is blind to the batch",
        outcome="pass" if fine else "stop" if difference > NOISY else "warn",
        value="the same alone and in any order" if fine else f"off by {difference:.0%} of its spread",
        threshold=f"the same, stop above {NOISY:.0%} of its spread",
        reason="else an answer is paid for its neighbours, or scores are handed to the wrong answers",
        next_step="" if fine else "Score each answer by itself and give the scores back in the order of the answers.",
    )


def _quick(speed: float, episodes: int) -> Check:
    seconds = episodes / speed
    return Check(
        name="reward is quick",
        outcome="pass" if seconds <= SLOW else "warn",
        value=f"{speed:.0f} answers a second" if speed >= 10 else f"{speed:.2g} answers a second",
        threshold=f"{SLOW:.0f} s or less an update of {episodes}",
        reason=f"it takes {seconds:.2g} s of every update",
        next_step="" if seconds <= SLOW else "Score in batches, or use a smaller reward model.",
    )
