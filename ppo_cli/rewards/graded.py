"""Which behaviours the reward itself scores.

A policy that is paid by a rule does well by that rule. Such a measure shows that the reward was learnt; whether the
goal was met needs measures that no term looks at, and people. So these are marked wherever they are shown.

Not here: the terms (`terms`), how the mark looks (`report`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ppo_cli.behaviours.catalog import MEASURES

LABELS: Mapping[str, frozenset[str]] = {
    "keeps_to_goal": frozenset({"refused", "empty", "repetition", "loops"}),
    "refuses_harm": frozenset({"refused", "empty"}),
    "on_topic": frozenset(),
    "ended": frozenset({"ended"}),
}
"""The labels of an answer that a term looks at."""


def graded(terms: Iterable[str]) -> tuple[str, ...]:
    """Names of the measures that are made from what these terms score, the reward itself among them."""
    labels = frozenset({"reward"}).union(*(LABELS[term] for term in terms))
    return tuple(measure.name for measure in MEASURES if measure.value in labels)
