"""Whether the critic does anything: its explained variance in words, for the live view, the closing screen, the page.

Not here: the number itself (`engine.ppo_math`), the alarm for a critic that is worse than a constant
(`alarms.unstable_updates`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.reports import formatting

IDLE_BELOW = 0.1
"""Explained variance under which the critic counts as idle: it takes less than a tenth off the variance of advantages.
In the shipped recipes it is between −0.04 and 0.06."""


def later_explained_variance(values: Sequence[float | None]) -> float | None:
    """Mean over the later half of the updates, since a critic has to learn first; None where no return varied.

    Args:
        values: explained variance of each update, in their order; None of one whose returns did not vary.
    """
    known = [value for value in values[len(values) // 2 :] if value is not None]
    return sum(known) / len(known) if known else None


def critic_words(explained_variance: float | None) -> str:
    """The same in a few words, for the end of a line."""
    if explained_variance is None:
        return "nothing to explain for the critic"
    measured = f"explained variance {formatting.plain(explained_variance, 2)}"
    return f"critic idle, {measured}" if explained_variance < IDLE_BELOW else f"critic's {measured}"


def critic_line(explained_variance: float | None) -> str:
    """One line that says what the critic explains of the returns, and that it is idle where that is next to nothing."""
    if explained_variance is None:
        return "critic: nothing to explain, the returns do not vary"
    measured = f"critic: explained variance {formatting.plain(explained_variance, 2)} in the later updates"
    if explained_variance >= IDLE_BELOW:
        return measured
    return f"{measured}; idle, so PPO learns from the rewards alone"
