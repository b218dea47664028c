"""Data too narrow: the policy learns its prompts by heart instead of the behaviour.

Not here: whether the evaluation set is apart (`eval_like_train`).
"""

from __future__ import annotations

import math

import numpy as np

from ppo_cli.alarms.run_history import RunHistory, format_measure, reward_rise
from ppo_cli.records.checks import Alarm
from ppo_cli.stats.intervals import PairedResult, paired_difference
from ppo_cli.text.numbers import format_number
from ppo_cli.text.similarity import count_topics, nearest_texts

NAME = "data too narrow"

TOPIC_SIMILARITY = 0.5
"""TF-IDF cosine from which two prompts count as one topic. The shipped training prompts: 330 fall into 328."""
MIN_TOPICS = 12
"""Fewer topics than this are a drill. Own choice."""
MIN_TOPIC_SHARE = 0.5
"""Of the prompts that a training set should have as many topics. Own choice: below it, most prompts are variations."""
MAX_PASSES = 20
"""Times that a prompt was answered in the run, on average. The shipped experiment takes 4 to 6; own choice."""
MIN_RISE_ERRORS = 3.0
"""Standard errors from which a rise of the reward is taken as real, and two gains as different."""
MIN_TRANSFER = 1 / 3
"""Share of a gain that must be found on other prompts too. Own choice."""
MIN_PROMPTS = 20
"""Evaluation prompts in each half, to compare the gains of both."""


def narrow_data(seen: RunHistory) -> Alarm | None:
    """Rings if gains stay on train-like prompts, if topics are few, or if each prompt came too often."""
    evidence = (*_train_like_only(seen), *_not_carried_over(seen), *_few_topics(seen), *_too_often(seen))
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        evidence=evidence,
        why="What a policy learns on few prompts it seldom does on others, and a narrow set is soon learnt by heart.",
        next_step="Widen the training prompts: other topics, other wording, both sides of the boundary (round 3).",
    )


def _train_like_only(seen: RunHistory) -> tuple[str, ...]:
    """The primary measure on the half of the evaluation prompts that is most like training, and on the other half."""
    measure = seen.primary
    if measure.better is None:
        return ()
    text = {prompt.id: prompt.text for prompt in seen.evaluation}
    ids = seen.after.prompt_ids
    likeness, _ = nearest_texts(tuple(text[id_] for id_ in ids), tuple(prompt.text for prompt in seen.train))
    order = np.argsort(likeness, kind="stable")
    half = len(ids) // 2
    if half < MIN_PROMPTS:
        return ()
    far, near = (_gain_on(seen, [ids[place] for place in part]) for part in (order[:half], order[len(ids) - half :]))
    if near is None or far is None:
        return ()
    sign = -1 if measure.better == "lower" else 1
    apart = sign * (near.difference - far.difference)
    only_near = sign * near.difference > 0 and sign * far.difference < MIN_TRANSFER * sign * near.difference
    certain = apart > MIN_RISE_ERRORS * math.hypot(near.error, far.error)
    if not (only_near and certain and (near.low_95 > 0 or near.high_95 < 0)):
        return ()
    return (
        (
            f"{measure.name} moved {_paired(seen, near)} on the {half} evaluation prompts most like the training "
            f"prompts, and {_paired(seen, far)} on the {half} least like them"
        ),
    )


def _gain_on(seen: RunHistory, ids: list[str]) -> PairedResult | None:
    found = paired_difference(seen.primary, seen.before.select(ids), seen.after.select(ids))
    return found if found is not None and math.isfinite(found.error) else None


def _paired(seen: RunHistory, found: PairedResult) -> str:
    values = (math.exp(value) if seen.primary.statistic == "geometric_mean" else value for value in _ends(found))
    return " → ".join(format_measure(seen.primary, value) for value in values)


def _ends(found: PairedResult) -> tuple[float, float]:
    return found.before, found.after


def _not_carried_over(seen: RunHistory) -> tuple[str, ...]:
    """The reward of training episodes against what the same reward says of the answers to evaluation prompts."""
    rose, change = reward_rise(seen), seen.change("reward.alone")
    if rose is None or change is None or change.high_95 is None or change.difference is None:
        return ()
    if rose.difference < max(MIN_RISE_ERRORS * rose.error, 1e-9) or change.high_95 > MIN_TRANSFER * rose.difference:
        return ()
    return (
        (
            f"on training prompts the reward rose by {format_number(rose.difference)}, on evaluation prompts by "
            f"{format_number(change.difference)} (at most {format_number(change.high_95)})"
        ),
    )


def _few_topics(seen: RunHistory) -> tuple[str, ...]:
    prompts = len(seen.train)
    found = count_topics(tuple(prompt.text for prompt in seen.train), TOPIC_SIMILARITY)
    if found >= MIN_TOPICS and found >= MIN_TOPIC_SHARE * prompts:
        return ()
    return (f"topics among the {prompts} training prompts, by their wording: {found}",)


def _too_often(seen: RunHistory) -> tuple[str, ...]:
    drawn = {episode.prompt_id for episode in seen.episodes}
    passes = len(seen.episodes) / len(drawn) if drawn else 0.0
    if passes <= MAX_PASSES:
        return ()
    return (f"{len(drawn)} prompts were answered {passes:.0f} times each",)
