"""Nothing moves: there is nothing to learn from, or the policy is not let go.

Not here: whether the start model could be moved at all, which `ppo sft-check` asks before a run.
"""

from __future__ import annotations

import numpy as np

from ppo_cli.alarms.run_history import RunHistory, format_change
from ppo_cli.records.checks import Alarm
from ppo_cli.text.numbers import format_number

NAME = "nothing moves"

MIN_UPDATES = 5
"""With fewer nothing can be expected."""
MIN_REWARD_STD = 1e-6
"""Standard deviation of the reward that is none."""
MIN_SIGNAL_SHARE = 0.5
"""Share of updates without a spread: from half of them on, most of the work was for nothing. Own choice."""
KL_STILL_NATS = 0.05
"""Nats an answer. In eleven runs of the shipped experiment KL was past 0.1 by the tenth update, also where the learning
rate was a tenth of today's."""
MAX_KL_COST_SHARE = 0.5
"""A kl.coef from which the price is the likelier cause: ten times what the shipped experiment takes."""


def no_learning(seen: RunHistory) -> Alarm | None:
    """Rings if rewards do not differ, or if the policy stays where it was and so does the behaviour."""
    if seen.updates < MIN_UPDATES:
        return None
    spread = seen.of_updates("reward_std")
    without = float(np.mean(spread < MIN_REWARD_STD))
    if without >= MIN_SIGNAL_SHARE:
        return Alarm(
            name=NAME,
            evidence=(f"in {without:.0%} of the updates all rewards were equal",),
            why="PPO learns from differences between answers. With equal rewards only the KL penalty is left.",
            next_step="Try `ppo sft-check` and look at the terms of the reward: some must tell two answers apart.",
        )
    kl = float(np.mean(seen.of_updates("kl")[-max(3, seen.updates // 3) :]))
    change = seen.change(seen.primary.name)
    if kl >= KL_STILL_NATS or (change is not None and change.verdict == "CHANGED"):
        return None
    behaviour = f", {format_change(seen.primary, change)}" if change is not None else ""
    coef = float(seen.metrics[-1]["kl_coef"])
    held = coef >= MAX_KL_COST_SHARE
    cause = f"kl.coef is {coef:g}" if held else f"ppo.learning_rate is {seen.experiment.ppo.learning_rate:g}"
    remedy = (
        f"kl.coef={seen.experiment.kl.coef / 4:g}"
        if held
        else f"ppo.learning_rate={min(1.0, 3 * seen.experiment.ppo.learning_rate):g}"
    )
    return Alarm(
        name=NAME,
        evidence=(f"after {seen.updates} updates KL is {format_number(kl, 3)} nats an answer{behaviour}; {cause}",),
        why="A policy that stays at the reference cannot behave otherwise, so the run says nothing about its question.",
        next_step=f"Let it move, one step at a time: {remedy}.",
    )
