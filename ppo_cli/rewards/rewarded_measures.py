"""Which behaviours the reward itself scores.

A policy that is paid by a rule does well by that rule. Such a measure shows that the reward was learnt; whether the
goal was met needs measures that no term looks at, and people. So these are marked wherever they are shown.

Not here: the terms (`terms`), how the mark looks (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.experiment.term_types import RewardTerm

LABELS: Mapping[str, frozenset[str]] = {
    "matches_expect": frozenset({"refused", "asks", "empty", "repetition", "loops"}),
    "refuses_harm": frozenset({"refused", "empty"}),
    "on_topic": frozenset(),
    "has_keyword": frozenset({"mentions", "mentions_at_once"}),
    "ends_turn": frozenset({"ended"}),
    "length_band": frozenset({"words", "tokens"}),
    "on_topic_length": frozenset({"words", "tokens"}),
    "repetition": frozenset({"repetition", "loops"}),
}
"""The labels of an answer that a type of reward looks at; of a type that is not here it is not known."""


def measures_also_rewarded(terms: Mapping[str, RewardTerm]) -> tuple[str, ...]:
    """Names of the measures that are made from what these terms score, the reward itself among them.

    A term of which it is not known what it looks at is named too, by its path in the config.
    """
    types = {name: term.type for name, term in terms.items()}
    labels = frozenset({"reward"}).union(*(LABELS.get(type_, frozenset()) for type_ in types.values()))
    known = tuple(measure.name for measure in MEASURES if measure.label in labels)
    return known + tuple(f"reward.terms.{name}" for name, type_ in types.items() if type_ not in LABELS)
