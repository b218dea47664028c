"""Reward too clever: the policy has found what scores, which is not what was meant.

Not here: what the reward consists of (`rewards`).
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ppo_cli.alarms.run_history import RunHistory, format_change, improvement, reward_rise, top_opening
from ppo_cli.records.checks import Alarm
from ppo_cli.text.numbers import format_number

NAME = "reward too clever"

MIN_RISE_ERRORS = 3.0
"""Standard errors from which a rise is taken as real. Own choice: a healthy run that is looked at three times shows
such a rise by chance about once in 250 runs."""
MIN_RISE_SPREAD = 0.25
"""A rise in units of the reward's spread in the first updates. Cohen (1988) calls 0.2 small."""
DOMINATES = 0.75
"""Share of answers with one opening. Where half of the prompts should be refused, a stock refusal may well take half;
in the seven finished runs of the shipped experiment it took up to 0.62. Own choice."""
OPENING_GREW = 0.2
"""How much that share must have grown in the run, for a start model may well have a stock phrase of its own. Own
choice; it grew by 0.23 at most in those runs."""
BY_LENGTH = 0.6
"""Rank correlation of reward and length in the last third. Singhal et al. (2023) find reward models whose gains length
explains in most part; 0.6 is where it explains over a third of the ranks' variance. In the seven finished runs
of the shipped experiment it stayed below 0.1 either way."""
LENGTH_MOVED = 0.1
"""Relative change of the mean length in the direction that is paid."""
WORSE = 2.0
"""Times the smallest change that matters, from which a measure that is not paid for got worse. Own choice."""
MIN_EPISODES = 30
"""Fewer say too little of a correlation."""


def reward_hacking(seen: RunHistory) -> Alarm | None:
    """Rings if reward rose and behaviour did not, if one opening took over, or if length explains the reward."""
    evidence = (*_behaviour_did_not_follow(seen), *_one_opening(seen), *_by_length(seen))
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        evidence=evidence,
        why="PPO amplifies what scores. What scores here is not, or no longer, what the run is judged by.",
        next_step=(
            "Read the best-paid episodes in rollouts.jsonl, then change one weight under reward.terms "
            "(round 2), or hold the policy closer with a larger kl.coef."
        ),
    )


def _behaviour_did_not_follow(seen: RunHistory) -> tuple[str, ...]:
    rose = reward_rise(seen)
    if rose is None or rose.difference < max(MIN_RISE_ERRORS * rose.error, MIN_RISE_SPREAD * rose.spread, 1e-9):
        return ()
    reward = f"the reward rose from {format_number(rose.before)} to {format_number(rose.after)}"
    found = []
    change = seen.change(seen.primary.name)
    if change is not None and seen.primary.better is not None:
        stayed = improvement(seen.primary, change) <= 0 or change.verdict == "EQUIVALENT"
        if stayed:
            found.append(f"{reward}, and {format_change(seen.primary, change)} did not follow")
    for measure in seen.measures.values():
        change = seen.change(measure.name)
        shown = not measure.eval_only or measure.family == seen.primary.family
        unpaid = measure.name not in seen.comparison.rewarded_measures and measure.name != seen.primary.name and shown
        worse = (
            change is not None
            and change.verdict == "CHANGED"
            and improvement(measure, change) < -WORSE * measure.equivalence_margin
        )
        if change is not None and unpaid and measure.better is not None and worse:
            found.append(f"{reward}, and what it does not pay for got worse: {format_change(measure, change)}")
    return tuple(found)


def _one_opening(seen: RunHistory) -> tuple[str, ...]:
    if seen.updates < 3:
        return ()
    early, late = seen.thirds()
    (_, before), (opening, now) = top_opening(early), top_opening(late)
    error = (before * (1 - before) / max(1, len(early)) + now * (1 - now) / max(1, len(late))) ** 0.5
    if now < DOMINATES or now - before < max(OPENING_GREW, MIN_RISE_ERRORS * error):
        return ()
    return (f"{now:.0%} of the last answers begin with '{opening}'; of the first, {before:.0%} shared an opening",)


def _by_length(seen: RunHistory) -> tuple[str, ...]:
    if seen.updates < 3:
        return ()
    early, late = seen.thirds()
    rewards, tokens = (np.array([getattr(episode, name) for episode in late]) for name in ("reward", "token_count"))
    if len(late) < MIN_EPISODES or rewards.std() < 1e-9 or tokens.std() < 1e-9:
        return ()
    correlation = float(stats.spearmanr(rewards, tokens).statistic)
    before, now = float(np.mean([episode.token_count for episode in early])), float(tokens.mean())
    if abs(correlation) < BY_LENGTH or np.sign(correlation) * (now / before - 1) < LENGTH_MOVED:
        return ()
    kind = "longer" if correlation > 0 else "shorter"
    return (
        (
            f"reward goes with length (rank correlation {format_number(correlation)} in the last third), and answers became "
            f"{kind}: {format_number(before, 1)} → {format_number(now, 1)} tokens"
        ),
    )
