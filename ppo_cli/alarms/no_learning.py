"""Nothing learnt ("nothing moves"): the reward gives no signal, or step size or KL penalty are too restrictive.

Detects: a policy that stays at the reference.

Evidence: updates in which all rewards are equal; or a small KL together with an unchanged primary measure.

Thresholds: `MIN_SIGNAL_SHARE` of the updates without a spread of rewards, because then most of the work was for
nothing; KL below `MIN_MOVED_NATS`, because the runs of the shipped experiment exceed twice that by their tenth update.

Not here: whether the start model can learn at all, which `ppo sft-check` measures before a run (`preflight`).
"""

from __future__ import annotations

import numpy as np

from ppo_cli.alarms.run_history import RunHistory, format_change
from ppo_cli.records.checks import Alarm
from ppo_cli.text.numbers import format_number

NAME = "no_learning"
TITLE = "Nothing learnt"

MIN_UPDATES = 5
"""In fewer updates nothing can be expected."""
MIN_REWARD_STD = 1e-6
"""A smaller standard deviation of the reward is rounding."""
MIN_SIGNAL_SHARE = 0.5
"""Share of updates without a spread from which most of the work was for nothing. Own choice."""
MIN_MOVED_NATS = 0.05
"""Nats per answer. In eleven runs of the shipped experiment KL exceeded 0.1 by the tenth update, also where the
learning rate was a tenth of today's."""
MIN_STRONG_KL_COEF = 0.5
"""kl.coef from which the KL penalty is the likelier cause: ten times that of the shipped experiment."""


def check(history: RunHistory) -> Alarm | None:
    """Raised if rewards do not differ, or if the policy stays at the reference and the behaviour does not change."""
    if history.updates < MIN_UPDATES:
        return None
    without_spread = float(np.mean(history.metric("reward_std") < MIN_REWARD_STD))
    if without_spread >= MIN_SIGNAL_SHARE:
        return Alarm(
            name=NAME,
            title=TITLE,
            evidence=(f"in {without_spread:.0%} of the updates all rewards were equal",),
            why="PPO learns from differences between answers. With equal rewards only the KL penalty is left.",
            next_step="Run `ppo sft-check` and read its checks of the reward: some term must tell two answers apart.",
        )
    kl = float(np.mean(history.metric("kl")[-max(3, history.updates // 3) :]))
    change = history.change(history.primary.name)
    if kl >= MIN_MOVED_NATS or (change is not None and change.verdict == "CHANGED"):
        return None
    behaviour = f", {format_change(history.primary, change)}" if change is not None else ""
    experiment, coef = history.experiment, float(history.metrics[-1]["kl_coef"])
    if coef >= MIN_STRONG_KL_COEF:
        cause, remedy = f"kl.coef is {coef:g}", f"kl.coef={experiment.kl.coef / 4:g}"
    else:
        rate = experiment.ppo.learning_rate
        cause, remedy = f"ppo.learning_rate is {rate:g}", f"ppo.learning_rate={min(1.0, 3 * rate):g}"
    return Alarm(
        name=NAME,
        title=TITLE,
        evidence=(f"after {history.updates} updates KL is {format_number(kl, 3)} nats per answer{behaviour}; {cause}",),
        why="A policy that stays at the reference behaves like it, so the run says nothing about its question.",
        next_step=f"Let the policy move further, one change at a time: {remedy}.",
    )
