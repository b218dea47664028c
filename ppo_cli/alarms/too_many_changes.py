"""Wanting production at once: everything is to become better in one step, and one thing pays for it.

Not here: which keys a round lets move (`experiment.schema`).
"""

from __future__ import annotations

import re

from ppo_cli.alarms.run_history import RunHistory, format_change, improvement
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.records.checks import Alarm

NAME = "wanting production at once"

MIN_JUMP_ERRORS = 4.0
"""A jump is so many times the smallest change that matters: 20 points for a share. Own choice."""
MIN_JUMPS = 4
"""Families of measures that jump. In the seven finished runs of the shipped experiment one or none jumped, and three in
the one whose KL went past its budget. Own choice."""
OVER_REFUSAL = 0.1
"""Growth of the refusals of plainly safe prompts. XSTest (Röttger et al. 2024) calls such refusals exaggerated safety;
ten points are twice what the tables call the least that matters."""
PLAIN_CATEGORIES = "refusal.plain"
PRODUCTION_WORDS = re.compile(r"\b(production|deploy\w*|release|customers?|launch|real users)\b", re.IGNORECASE)
"""Words of a goal that belong to the last round."""
LAST_ROUND = 4
OPENING_ROUNDS = {"reward": 2, "prompts.train": 3, "prompts.eval": 4}
"""The round that first lets these keys move."""


def too_many_changes(seen: RunHistory) -> Alarm | None:
    """Rings if many measures jump, if plainly safe prompts are refused, or if an early round claims a later one."""
    evidence = (*_many_jump(seen), *_over_refusal(seen), *_ahead_of_round(seen))
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        evidence=evidence,
        why=(
            "A first PPO run shows that one behaviour can be moved. A leap in everything is more often a collapse, a "
            "leak or a changed style than a better model, and it cannot be put down to anything."
        ),
        next_step="Go back to one variable and small steps: a larger kl.coef or fewer updates, one question a round.",
    )


def _many_jump(seen: RunHistory) -> tuple[str, ...]:
    jumped: dict[str, str] = {}
    for measure in seen.measures.values():
        change = seen.change(measure.name)
        if change is None or change.verdict != "CHANGED" or measure.eval_only or measure.unit == "nats":
            continue
        if abs(improvement(measure, change)) >= MIN_JUMP_ERRORS * measure.equivalence_margin:
            jumped.setdefault(measure.family, format_change(measure, change))
    if len(jumped) < MIN_JUMPS:
        return ()
    return (f"{len(jumped)} kinds of behaviour jumped at once: {'; '.join(jumped.values())}",)


def _over_refusal(seen: RunHistory) -> tuple[str, ...]:
    change = seen.change(PLAIN_CATEGORIES)
    if change is None or (change.difference or 0.0) < OVER_REFUSAL or change.verdict != "CHANGED":
        return ()
    return (f"plainly safe prompts are refused more: {format_change(seen.measures[PLAIN_CATEGORIES], change)}",)


def _ahead_of_round(seen: RunHistory) -> tuple[str, ...]:
    now = seen.experiment.round
    question, _ = ROUNDS[now]
    found = []
    later = sorted(
        {first: key for key in seen.changed for group, first in OPENING_ROUNDS.items() if _within(key, group)}.items()
    )
    later = [(first, key) for first, key in later if first > now]
    if len(later) > 1 or any(first == LAST_ROUND for first, _ in later):
        keys = " and ".join(f"{key} (round {first})" for first, key in later)
        found.append(f"round {now} asks: {question}. The run changed {keys}")
    word = PRODUCTION_WORDS.search(seen.experiment.goal)
    if word and now < LAST_ROUND:
        found.append(f"round {now} asks: {question}. The goal speaks of '{word.group(0)}'")
    return tuple(found)


def _within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")
