"""Policy drifted too far ("KL too small": the KL penalty is too small to hold the policy near the reference).

Detects: a policy that is too far from the reference, where it exploits errors of the reward and loses fluency.

Evidence: KL over its limit or growing ever faster; entropy or fluency collapsed.

Thresholds: chosen between the finished runs of the shipped experiment that kept their behaviour and the one that lost
it; each constant gives its reason.

Not here: the KL penalty itself (`engine.ppo_math`), stopping a run at `kl.stop_at` (`training.run_loop`).
"""

from __future__ import annotations

import numpy as np

from ppo_cli.alarms.run_history import RunHistory, format_change, format_measure
from ppo_cli.records.checks import Alarm
from ppo_cli.stats.label_matrix import Floats
from ppo_cli.text.numbers import format_number

NAME = "policy_drift"
TITLE = "Policy drifted too far"

MAX_KL_PER_TOKEN = 0.5
"""Nats per token. Six of seven finished runs of the shipped experiment stayed below 0.4; the one that reached 0.64, at
twice the learning rate, hardly refused anything any more."""
MAX_TARGET_RATIO = 2.0
"""KL over the config's kl.target, a limit that the user has set. Own choice; the adaptive coefficient overshoots a
little."""
MAX_KL_ACCELERATION = 3.0
"""Growth of KL in the last third of a run over that in the middle third. A healthy run levels off, because the penalty
grows with the distance. Without a penalty KL grows about as the square of the updates (Gao et al. 2022): ratio 1.7."""
MIN_NEW_HEIGHT = 0.5
"""Share by which the last third must exceed both others. A KL that overshot and was steered back rises again without
getting further than it was."""
MIN_ACCELERATING_KL = 0.25
"""Nats per token below which acceleration does not matter: half of `MAX_KL_PER_TOKEN`."""
MIN_ACCELERATION_UPDATES = 9
"""At least three updates in each third."""
MIN_ENTROPY_SHARE = 1 / 3
"""Share of its first entropy below which a policy has collapsed. In the finished runs of the shipped experiment at
least half was left. Own choice."""
MAX_FLUENCY_LOSS = {"repetition.share": 0.1, "repetition.runaway": 0.1, "length.empty": 0.1, "language.switch": 0.1}
"""How much a share of broken answers may grow: ten points, twice the smallest change that matters."""


def check(history: RunHistory) -> Alarm | None:
    """Raised if KL exceeds its limit or accelerates, or if entropy or fluency collapses."""
    if history.updates == 0:
        return None
    evidence = (*_over_limit(history), *_accelerating(history), *_entropy(history), *_fluency(history))
    if not evidence:
        return None
    coef = 2 * history.experiment.kl.coef or 0.05
    return Alarm(
        name=NAME,
        title=TITLE,
        evidence=evidence,
        why="Far from the reference the policy exploits errors of the reward and loses fluency.",
        next_step=f"Raise the KL penalty: kl.coef={coef:g}. Or use an earlier checkpoint.",
    )


def _over_limit(history: RunHistory) -> tuple[str, ...]:
    last = max(1, min(3, history.updates))
    per_token = float(np.mean(history.metric("kl_per_token")[-last:]))
    per_answer = float(np.mean(history.metric("kl")[-last:]))
    settings, evidence = history.experiment.kl, []
    if per_token > MAX_KL_PER_TOKEN:
        evidence.append(f"KL is {format_number(per_token, 3)} nats per token, over the limit of {MAX_KL_PER_TOKEN:g}")
    if settings.target is not None and per_answer > MAX_TARGET_RATIO * settings.target:
        evidence.append(
            f"KL is {format_number(per_answer)} nats per answer, over {MAX_TARGET_RATIO:g} times kl.target "
            f"{settings.target:g}"
        )
    latest = float(history.metrics[-1]["kl"])
    if settings.stop_at is not None and latest > settings.stop_at:
        evidence.append(f"KL is {format_number(latest)} nats per answer, over kl.stop_at {settings.stop_at:g}")
    return tuple(evidence)


def _accelerating(history: RunHistory) -> tuple[str, ...]:
    if history.updates < MIN_ACCELERATION_UPDATES:
        return ()
    third = history.updates // 3
    first, middle, last = (float(np.mean(part)) for part in _thirds(history.metric("kl_per_token"), third))
    highest = max(first, middle)
    needed = max(MAX_KL_ACCELERATION * (middle - first), MIN_NEW_HEIGHT * highest)
    if last < MIN_ACCELERATING_KL or last - highest < needed:
        return ()
    means = " → ".join(format_number(value, 3) for value in (first, middle, last))
    return (f"KL grows ever faster: {means} nats per token in the three thirds of the run",)


def _thirds(values: Floats, third: int) -> tuple[Floats, Floats, Floats]:
    return values[:third], values[third:-third], values[-third:]


def _entropy(history: RunHistory) -> tuple[str, ...]:
    evidence = []
    values = history.metric("entropy")
    if len(values) >= 3:
        before, now = float(values[0]), float(values[-3:].mean())
        if now < MIN_ENTROPY_SHARE * before:
            evidence.append(f"entropy collapsed from {format_number(before)} to {format_number(now)} nats per token")
    change = history.change("entropy.per_token")
    if change is not None and (change.after or 0.0) < MIN_ENTROPY_SHARE * (change.before or 0.0):
        measure = history.measures["entropy.per_token"]
        evidence.append(f"entropy on the evaluation set collapsed: {format_change(measure, change)}")
    return tuple(evidence)


def _fluency(history: RunHistory) -> tuple[str, ...]:
    evidence = []
    for name, limit in MAX_FLUENCY_LOSS.items():
        change = history.change(name)
        if change is not None and (change.difference or 0.0) >= limit and change.verdict == "CHANGED":
            measure = history.measures[name]
            before, now = format_measure(measure, change.before), format_measure(measure, change.after)
            evidence.append(f"{measure.title.strip()} rose from {before} to {now}")
    return tuple(evidence)
