"""KL too small: the price of moving away from the reference is too low to hold the policy.

Not here: the price itself (`engine`).
"""

from __future__ import annotations

import numpy as np

from ppo_cli.alarms.run_history import RunHistory, format_change, format_measure
from ppo_cli.records.checks import Alarm
from ppo_cli.text.numbers import format_number

NAME = "KL too small"

BUDGET = 0.5
"""Nats a token. Six of seven finished runs of the shipped experiment stayed below 0.4; the one that reached 0.64, at
twice the learning rate, hardly refused anything any more."""
OVER_TARGET = 2.0
"""Times the config's kl.target, which is a budget that the user has set. Own choice; steering overshoots somewhat."""
SPEEDS_UP = 3.0
"""Growth of KL in the last third of a run over that in the middle third. A healthy run levels off, for the price grows
with the distance (Gao et al. 2022 see KL grow about as the square of the updates without a penalty: ratio 1.7)."""
SPEEDS_UP_FROM = 0.25
"""Nats a token below which speeding up is no matter: half the budget."""
SPEEDS_UP_UPDATES = 9
"""Three updates in each third, at the least."""
ENTROPY_LEFT = 1 / 3
"""Share of its first entropy below which a policy has collapsed. In the finished runs of the shipped experiment
half of it and more was left. Own choice."""
FLUENCY = {"form.repetition": 0.1, "repetition.loops": 0.1, "form.empty": 0.1, "language.switch": 0.1}
"""How much a share of broken answers must have grown: ten points, twice what the tables call the least that matters."""


def policy_drift(seen: RunHistory) -> Alarm | None:
    """Rings if KL passes its budget or speeds up, or if entropy or fluency collapses."""
    if seen.updates == 0:
        return None
    evidence = (*_over_budget(seen), *_speeding_up(seen), *_entropy(seen), *_fluency(seen))
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        evidence=evidence,
        why=(
            "Far from the reference the policy lives off errors of the reward, and fluency goes first. What was gained "
            "there seldom lasts."
        ),
        next_step=f"Raise the price: kl.coef={2 * seen.experiment.kl.coef or 0.05:g}. Or take an earlier checkpoint.",
    )


def _over_budget(seen: RunHistory) -> tuple[str, ...]:
    last = max(1, min(3, seen.updates))
    now = float(np.mean(seen.of_updates("kl_per_token")[-last:]))
    an_answer = float(np.mean(seen.of_updates("kl")[-last:]))
    settings, found = seen.experiment.kl, []
    if now > BUDGET:
        found.append(f"KL is {format_number(now, 3)} nats a token, over the budget of {BUDGET:g}")
    if settings.target is not None and an_answer > OVER_TARGET * settings.target:
        found.append(
            f"KL is {format_number(an_answer)} nats an answer, over {OVER_TARGET:g} times kl.target {settings.target:g}"
        )
    latest = float(seen.metrics[-1]["kl"])
    if settings.stop_at is not None and latest > settings.stop_at:
        found.append(
            f"KL passed the stop line: {format_number(latest)} nats an answer, kl.stop_at {settings.stop_at:g}"
        )
    return tuple(found)


def _speeding_up(seen: RunHistory) -> tuple[str, ...]:
    if seen.updates < SPEEDS_UP_UPDATES:
        return ()
    third = seen.updates // 3
    first, middle, last = (float(np.mean(part)) for part in _cut(seen.of_updates("kl_per_token"), third))
    if last < SPEEDS_UP_FROM or last - middle < SPEEDS_UP * max(middle - first, 0.0):
        return ()
    grew = " → ".join(format_number(value, 3) for value in (first, middle, last))
    return (f"KL a token speeds up: {grew} nats in the three thirds of the run",)


def _cut(values: np.ndarray, third: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return values[:third], values[third:-third], values[-third:]


def _entropy(seen: RunHistory) -> tuple[str, ...]:
    found = []
    values = seen.of_updates("entropy")
    if len(values) >= 3:
        before, now = float(values[0]), float(values[-3:].mean())
        if now < ENTROPY_LEFT * before:
            found.append(f"entropy collapsed from {format_number(before)} to {format_number(now)} nats a token")
    change = seen.change("entropy.per_token")
    if change is not None and (change.after or 0.0) < ENTROPY_LEFT * (change.before or 0.0):
        measure = seen.measures["entropy.per_token"]
        found.append(f"entropy on the evaluation set collapsed: {format_change(measure, change)}")
    return tuple(found)


def _fluency(seen: RunHistory) -> tuple[str, ...]:
    found = []
    for name, grown in FLUENCY.items():
        change = seen.change(name)
        if change is not None and (change.difference or 0.0) >= grown and change.verdict == "CHANGED":
            measure = seen.measures[name]
            before, now = format_measure(measure, change.before), format_measure(measure, change.after)
            found.append(f"{measure.title.strip()} rose from {before} to {now}")
    return tuple(found)
