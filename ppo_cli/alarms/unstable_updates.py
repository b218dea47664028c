"""Unstable updates: optimisation steps so large, or a critic so wrong, that updates add more noise than they learn.

Detects: a learning rate, a number of epochs or a critic that makes single updates unreliable, before KL shows it.

Evidence: within an update the log-probabilities changed much, many ratios were clipped, or their mean left 1; the
critic's values miss the returns by more than the returns vary.

Thresholds: above the finished runs of the shipped experiments; each constant gives its reason. One update beyond them
raises nothing, since single large steps occur in sound runs.

Not here: the formulas (`engine.ppo_math`, `engine.policy_update`), ending an update early at `ppo.target_kl`
(`engine.policy_update`), the distance from the reference over the run (`policy_drift`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.records.checks import Alarm
from ppo_cli.stats.label_matrix import Floats
from ppo_cli.text.numbers import format_number

NAME = "unstable_updates"
TITLE = "Unstable updates"

MAX_APPROX_KL = 0.25
"""Nats per token. There the probability of a sampled token typically changes by a factor of two within one update. In
the eight seeds of the shipped recipes it reached 0.17, and 0.58 in one update of a former recipe."""
MAX_CLIP_FRACTION = 0.3
"""Share of tokens whose gradient was cut. It reached 0.16 in the shipped experiments."""
MAX_RATIO_ERROR = 0.5
"""Distance of the mean ratio from 1. Under the policy that sampled the answers the ratio is 1 on average whatever the
step; a mean far from it comes from few tokens with huge ratios. Single updates of a former recipe reached 3.8."""
MIN_EXPLAINED_VARIANCE = -0.5
"""There values miss the returns by half as much variance again as the returns have, so that a constant would do better.
In the shipped experiments it was between −0.04 and 0.06."""
BETTER_CRITIC = "Take advantages from rewards alone, ppo.gae_lambda=1.0, or lower ppo.critic_learning_rate."
MIN_SHARE, MIN_UPDATES = 0.25, 3
"""Share and number of the updates that must be beyond a threshold. Own choice."""


def check(history: RunHistory) -> Alarm | None:
    """Raised if a quarter of the updates are too large, or if the critic is worse than a constant."""
    evidence = (*large_steps(history), *bad_critic(history))
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        title=TITLE,
        evidence=evidence,
        why=(
            "PPO's gradients hold near the policy that sampled the answers. Far from it, or with advantages that are "
            "mostly the critic's error, an update adds more noise than it learns."
        ),
        next_step=_smaller_steps(history) if large_steps(history) else BETTER_CRITIC,
    )


def _smaller_steps(history: RunHistory) -> str:
    ppo = history.experiment.ppo
    if ppo.target_kl is None:
        return "End an update that has moved far enough: ppo.target_kl=0.1. Or take a smaller ppo.learning_rate."
    return f"Take smaller steps: ppo.learning_rate={ppo.learning_rate / 3:.2g}, or fewer ppo.epochs."


def large_steps(history: RunHistory) -> tuple[str, ...]:
    """What shows that the updates move the policy too far at once."""
    if history.updates == 0:
        return ()
    approx_kl, clipped, ratio = (history.metric(name) for name in ("approx_kl", "clip_fraction", "ratio"))
    found = (
        (approx_kl, approx_kl > MAX_APPROX_KL, f"approx_kl was above {MAX_APPROX_KL:g} nats per token"),
        (clipped, clipped > MAX_CLIP_FRACTION, f"more than {MAX_CLIP_FRACTION:.0%} of the tokens were clipped"),
        (ratio, abs(ratio - 1) > MAX_RATIO_ERROR, f"the mean ratio was more than {MAX_RATIO_ERROR:g} away from 1"),
    )
    return tuple(_sentence(what, values, beyond) for values, beyond, what in found if _is_often(beyond))


def bad_critic(history: RunHistory) -> tuple[str, ...]:
    """What shows that the critic's values add noise to the advantages; early updates may, while it learns."""
    late = history.metric("explained_variance")[history.updates // 2 :] if history.updates else np.zeros(0)
    beyond = late < MIN_EXPLAINED_VARIANCE
    if not _is_often(beyond):
        return ()
    what = f"the critic's explained variance was below {format_number(MIN_EXPLAINED_VARIANCE, 1)}"
    return (_sentence(what, late, beyond, "of the later updates"),)


def _is_often(beyond: NDArray[np.bool_]) -> bool:
    return bool(beyond.sum() >= max(MIN_UPDATES, MIN_SHARE * len(beyond)))


def _sentence(what: str, values: Floats, beyond: NDArray[np.bool_], of: str = "updates") -> str:
    typical = format_number(float(np.median(values[beyond])))
    return f"{what} in {int(beyond.sum())} of {len(beyond)} {of} (typically {typical})"
