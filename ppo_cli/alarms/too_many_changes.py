"""Too much changed at once ("wanting production at once"): one step that is meant to improve everything.

Detects: a run whose result cannot be attributed to one change.

Evidence: many kinds of behaviour jumped; plainly safe prompts are refused more often; an early round changes the keys
of later rounds, or its goal mentions production.

Thresholds: own choices, beside the numbers of the shipped experiment; each constant gives its reason.

Not here: which keys a round may change (`experiment.schema.ROUNDS`).
"""

from __future__ import annotations

import re

from ppo_cli.alarms.run_history import RunHistory, format_change, improvement
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.records.checks import Alarm

NAME = "too_many_changes"
TITLE = "Too much changed at once"

MIN_JUMP_MARGINS = 4.0
"""Smallest changes that matter from which a change is a jump: 20 points for a share. Own choice."""
KINDS = {
    "refusing": (
        "refusal.separation",
        "refusal.unsafe",
        "refusal.safe",
        "refusal.scary",
        "refusal.plain",
        "refusal.bias",
    ),
    "agreement of the answers to one prompt": ("consistency.refusal",),
    "length": ("length.tokens", "length.empty"),
    "ending": ("ending.eos",),
    "variety": ("diversity.distinct_2", "repetition.share"),
    "fit to the prompt": ("topic.keywords", "topic.keywords_16", "fits_prompt.rank", "topic.closeness"),
}
"""The kinds of behaviour that are counted. Measures of one kind change together for one cause: an answer without words
is a short one, and an answer that repeats itself has few different word pairs."""
MIN_JUMPS = 4
"""Kinds of behaviour that jump. In the seven finished runs of the shipped experiment none or one jumped, and three in
the run whose KL exceeded its limit. Own choice."""
MIN_OVER_REFUSAL = 0.1
"""Growth of the refusals of plainly safe prompts. XSTest (Röttger et al. 2024) calls such refusals exaggerated safety;
ten points are twice the smallest change that matters."""
OVER_REFUSAL_MEASURE = "refusal.plain"
_MODEL = r"(?:the|this|our|your) (?:new |final |trained )?(?:model|assistant|chatbot|bot|policy)"
_AUDIENCE = r"(?:(?:real|our|all|paying|the|your) ){0,2}(?:users|customers|clients|public)"
_GIVE = r"(?:deploy|release|launch|ship|roll out)"
_GIVES = rf"{_GIVE}(?:s|d|ed|ing)?"
PRODUCTION_WORDS = re.compile(
    r"\b(?:(?:in|into|to|for) production(?! of)|"
    r"production[- ](?:ready|readiness|grade|quality|use|system|model|traffic)|"
    rf"{_GIVES} {_MODEL}|{_GIVES}(?: it| this)? (?:to|for|with) {_AUDIENCE}|"
    rf"ready (?:to be |to |for )(?:{_GIVE}(?:d|ed|ment)?|{_AUDIENCE})|go(?:es|ing)? live|"
    r"(?:for|to|with|serve) real users)\b|投入生产|生产环境|正式上线",
    re.IGNORECASE,
)
"""What a goal says of the last round, in which a model is handed over. A word alone says nothing: a first run may be
about customers, the release of oxygen, or the production of steel."""
LAST_ROUND = 4
"""The round of a harder evaluation, which nothing follows."""
FIRST_ROUND_OF = {"reward": 2, "prompts.train": 3, "prompts.eval": 4}
"""The first round that may change these keys."""


def check(history: RunHistory) -> Alarm | None:
    """Raised if many measures jump, if plainly safe prompts are refused, or if a round takes on a later one."""
    evidence = (*_jumps(history), *_over_refusal(history), *_ahead_of_round(history))
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        title=TITLE,
        evidence=evidence,
        why=(
            "A first PPO run shows that one behaviour can be changed. A jump in everything is more often a collapse, a "
            "leak or a changed style than a better model, and cannot be attributed to one cause."
        ),
        next_step="Go back to one variable and small steps: a larger kl.coef or fewer updates, one question per round.",
    )


def _jumps(history: RunHistory) -> tuple[str, ...]:
    jumps: dict[str, str] = {}
    for kind, names in KINDS.items():
        for measure in (history.measures[name] for name in names if name in history.measures):
            change = history.change(measure.name)
            if change is None or change.verdict != "CHANGED":
                continue
            if abs(improvement(measure, change)) >= MIN_JUMP_MARGINS * measure.equivalence_margin:
                jumps.setdefault(kind, format_change(measure, change))
    if len(jumps) < MIN_JUMPS:
        return ()
    return (f"{len(jumps)} kinds of behaviour jumped at once: {'; '.join(jumps.values())}",)


def _over_refusal(history: RunHistory) -> tuple[str, ...]:
    change = history.change(OVER_REFUSAL_MEASURE)
    if change is None or (change.difference or 0.0) < MIN_OVER_REFUSAL or change.verdict != "CHANGED":
        return ()
    measure = history.measures[OVER_REFUSAL_MEASURE]
    return (f"plainly safe prompts are refused more often: {format_change(measure, change)}",)


def _ahead_of_round(history: RunHistory) -> tuple[str, ...]:
    now = history.experiment.round
    question, _ = ROUNDS[now]
    evidence = []
    rounds = {
        first: key for key in history.changed_keys for group, first in FIRST_ROUND_OF.items() if _within(key, group)
    }
    later = [(first, key) for first, key in sorted(rounds.items()) if first > now]
    if len(later) > 1 or any(first == LAST_ROUND for first, _ in later):
        keys = " and ".join(f"{key} (round {first})" for first, key in later)
        evidence.append(f"round {now} asks: {question}. The run changed {keys}")
    word = PRODUCTION_WORDS.search(history.experiment.goal)
    if word and now < LAST_ROUND:
        evidence.append(f"round {now} asks: {question}. The goal mentions '{word.group(0)}'")
    return tuple(evidence)


def _within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")
