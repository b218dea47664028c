"""Data too narrow ("data too narrow"): the policy memorises its prompts instead of learning the behaviour.

Detects: gains that stay on training prompts or prompts like them, and training sets that are likely to cause it.

Evidence: the primary measure improved only on evaluation prompts similar to training; the reward rose in training and
not on the evaluation prompts; few topics; prompts that were answered very often.

Thresholds: own choices, beside the numbers of the shipped experiment; each constant gives its reason.

Not here: whether the evaluation set contains training prompts (`eval_contamination`).
"""

from __future__ import annotations

import math

import numpy as np

from ppo_cli.alarms.run_history import RunHistory, format_measure, reward_rise
from ppo_cli.prompts.leakage import comparable_texts
from ppo_cli.records.checks import Alarm
from ppo_cli.stats.intervals import PairedResult, paired_difference
from ppo_cli.text.numbers import format_number
from ppo_cli.text.similarity import count_topics, nearest_texts

NAME = "narrow_data"
TITLE = "Data too narrow"

TOPIC_SIMILARITY = 0.5
"""TF-IDF cosine from which two prompts count as one topic. The 330 shipped training prompts have 328 topics."""
MIN_TOPICS = 12
"""With fewer topics training is a drill. Own choice."""
MIN_TOPIC_SHARE = 0.5
"""Topics per prompt below which most prompts are variations of others. Own choice."""
MAX_PASSES = 20
"""How often a prompt may be answered in the run, on average. The shipped experiment has 4 to 6. Own choice."""
MIN_RISE_ERRORS = 3.0
"""Standard errors from which a rise of the reward is real, and two gains differ."""
MIN_TRANSFER = 1 / 3
"""Share of a gain that other prompts must show too. Own choice."""
MIN_PROMPTS = 20
"""Evaluation prompts in each half, to compare the gains of both."""


def check(history: RunHistory) -> Alarm | None:
    """Raised if gains stay on prompts like those of training, if topics are few, or if each prompt came too often."""
    evidence = (
        *_gain_near_training_only(history),
        *_reward_gain_in_training_only(history),
        *_few_topics(history),
        *_many_passes(history),
    )
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        title=TITLE,
        evidence=evidence,
        why="What a policy learns on few prompts seldom carries over to others, and a narrow set is soon memorised.",
        next_step="Widen the training prompts: other topics, other wording, both sides of the boundary (round 3).",
    )


def _gain_near_training_only(history: RunHistory) -> tuple[str, ...]:
    """The primary measure on the half of the evaluation prompts that is most like training, and on the other half."""
    measure = history.primary
    if measure.better is None:
        return ()
    comparable = comparable_texts([*history.evaluation, *history.train])
    evaluated = len(history.evaluation)
    text = {prompt.id: own for prompt, own in zip(history.evaluation, comparable[:evaluated], strict=True)}
    ids = history.after.prompt_ids
    cosine, _ = nearest_texts(tuple(text[id_] for id_ in ids), tuple(comparable[evaluated:]))
    order = np.argsort(cosine, kind="stable")
    half = len(ids) // 2
    if half < MIN_PROMPTS:
        return ()
    far, near = (
        _gain_on(history, [ids[index] for index in indices]) for indices in (order[:half], order[len(ids) - half :])
    )
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
            f"{measure.name} changed {_format_gain(history, near)} on the {half} evaluation prompts most like the "
            f"training prompts, and {_format_gain(history, far)} on the {half} least like them"
        ),
    )


def _gain_on(history: RunHistory, ids: list[str]) -> PairedResult | None:
    result = paired_difference(history.primary, history.before.select(ids), history.after.select(ids))
    return result if result is not None and math.isfinite(result.error) else None


def _format_gain(history: RunHistory, result: PairedResult) -> str:
    values = [result.before, result.after]
    if history.primary.statistic == "geometric_mean":
        values = [math.exp(value) for value in values]
    return " → ".join(format_measure(history.primary, value) for value in values)


def _reward_gain_in_training_only(history: RunHistory) -> tuple[str, ...]:
    """The reward of training episodes against the same reward of the answers to evaluation prompts."""
    rise, change = reward_rise(history), history.change("reward.absolute")
    if rise is None or change is None or change.high_95 is None or change.difference is None:
        return ()
    if rise.difference < max(MIN_RISE_ERRORS * rise.error, 1e-9) or change.high_95 > MIN_TRANSFER * rise.difference:
        return ()
    return (
        (
            f"on training prompts the reward rose by {format_number(rise.difference)}, on evaluation prompts by "
            f"{format_number(change.difference)} (at most {format_number(change.high_95)})"
        ),
    )


def _few_topics(history: RunHistory) -> tuple[str, ...]:
    prompts = len(history.train)
    topics = count_topics(tuple(comparable_texts(history.train)), TOPIC_SIMILARITY)
    if topics >= MIN_TOPICS and topics >= MIN_TOPIC_SHARE * prompts:
        return ()
    return (f"topics among the {prompts} training prompts, by their wording: {topics}",)


def _many_passes(history: RunHistory) -> tuple[str, ...]:
    prompts = {episode.prompt_id for episode in history.episodes}
    passes = len(history.episodes) / len(prompts) if prompts else 0.0
    if passes <= MAX_PASSES:
        return ()
    return (f"{len(prompts)} prompts were answered {passes:.0f} times each",)
