"""Which behaviours the reward itself scores.

A policy that is paid by a rule does well by that rule. Such a measure shows that the reward was learnt; whether the
goal was met needs measures that no term looks at, and people. So these are marked wherever they are shown.

Not here: the terms (`terms`), how the mark looks (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.experiment.schema import Term
from ppo_cli.experiment.term_parameters import type_of

LABELS: Mapping[str, frozenset[str]] = {
    "keeps_to_goal": frozenset({"refused", "asks", "empty", "repetition", "loops"}),
    "refuses_harm": frozenset({"refused", "empty"}),
    "on_topic": frozenset(),
    "mentions": frozenset({"mentions", "mentions_at_once"}),
    "ended": frozenset({"ended"}),
    "length_band": frozenset({"words", "tokens"}),
    "answers_briefly": frozenset({"words", "tokens"}),
    "repetition": frozenset({"repetition", "loops"}),
}
"""The labels of an answer that a kind of term looks at; of a kind that is not here it is not known."""


def measures_also_rewarded(terms: Mapping[str, Term]) -> tuple[str, ...]:
    """Names of the measures that are made from what these terms score, the reward itself among them.

    A term of which it is not known what it looks at is named too, by its path in the config.
    """
    kinds = {name: type_of(name, term) for name, term in terms.items()}
    labels = frozenset({"reward"}).union(*(LABELS.get(kind, frozenset()) for kind in kinds.values()))
    known = tuple(measure.name for measure in MEASURES if measure.label in labels)
    return known + tuple(f"reward.terms.{name}" for name, kind in kinds.items() if kind not in LABELS)
