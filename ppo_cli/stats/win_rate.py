"""The win rate of one model over another from votes: its interval, and how many more votes would settle it.

The interval is Clopper and Pearson's, on an effective number of votes (Korn and Graubard 1998): it is exact where each
vote is on another conversation, and longer where several votes are on one. A win rate is settled where its 95 %
interval leaves out one half.

Not here: the file of votes (`store.votes`), collecting them (`chat`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy import stats

from ppo_cli.records.chat import Ties, Vote, WinRate
from ppo_cli.stats.intervals import LEVEL, POWER
from ppo_cli.stats.score_intervals import effective_size

SCORES = {"after": 1.0, "tie": 0.5, "before": 0.0}
"""What a vote counts for the second model."""
EVEN = 0.5
"""The win rate of two models of which none is better."""
MAX_VOTES = 10_000
"""More votes than these are not counted out."""


def win_rate(votes: Sequence[Vote], ties: Ties = "half") -> WinRate:
    """The win rate of the second model over the first, with its 95 % interval over conversations.

    Votes on conversations with the same opening prompt count as alike, whoever gave them (`effective_size`).

    Args:
        votes: of one pair of models.
        ties: `half` counts a tie as half a win; `ignore` leaves ties out.
    """
    counted = [vote for vote in votes if ties == "half" or vote.vote != "tie"]
    count = {choice: sum(vote.vote == choice for vote in votes) for choice in SCORES}
    rate = low = high = more = None
    settled = False
    if counted:
        by_opening = defaultdict[str, list[float]](list)
        for vote in counted:
            by_opening[vote.opening].append(SCORES[vote.vote])
        shares = np.array([np.mean(scores) for scores in by_opening.values()])
        size = effective_size([shares], np.array([len(scores) for scores in by_opening.values()], dtype=float))
        rate = sum(SCORES[vote.vote] for vote in counted) / len(counted)
        low, high = exact_interval(rate, size)
        settled = not low <= EVEN <= high
        needed = None if settled else votes_needed(rate)
        if needed is not None:
            more = max(1, math.ceil(needed * len(votes) / size) - len(votes))
    return WinRate(
        wins=count["after"],
        losses=count["before"],
        ties=count["tie"],
        ties_count=ties,
        rate=rate,
        low_95=low,
        high_95=high,
        settled=settled,
        more_votes=more,
        voters=len({vote.voter for vote in votes}),
    )


def exact_interval(rate: float, size: float, level: float = LEVEL) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share in `size` independent votes, which need not be whole."""
    successes, tail = rate * size, (1 - level) / 2
    low = float(stats.beta.ppf(tail, successes, size - successes + 1)) if successes > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, successes + 1, size - successes)) if successes < size else 1.0
    return low, high


def votes_needed(rate: float, power: float = POWER, level: float = LEVEL) -> int | None:
    """The fewest independent votes that settle a true win rate with this chance; None where `MAX_VOTES` do not.

    A number of votes settles it where the exact interval leaves out one half, which is the two-sided sign test.

    Args:
        rate: the true win rate.
        power: chance of being settled.
        level: of the interval.
    """
    sizes = np.arange(1, MAX_VOTES + 1)
    # The most wins that are still in the lower tail of even odds: at most so many, or at least size - so many, settle.
    most = stats.binom.ppf((1 - level) / 2, sizes, EVEN) - 1
    most += stats.binom.cdf(most + 1, sizes, EVEN) <= (1 - level) / 2
    chance = stats.binom.cdf(most, sizes, rate) + stats.binom.sf(sizes - most - 1, sizes, rate)
    enough = np.flatnonzero(chance >= power)
    return int(sizes[enough[0]]) if len(enough) else None
