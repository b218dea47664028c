"""The measures that a reward scores too, and that are therefore no independent evidence.

A policy trained with a rule does well by that rule: such a measure shows that the reward was optimised. Whether the
goal was met needs measures that no term scores, and human labels. So these measures are marked wherever they are shown.

Not here: the terms (`builtin_terms`, `parametric_terms`), how the mark looks (`reports`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.experiment.schema import Term
from ppo_cli.experiment.term_parameters import type_of

LABELS: Mapping[str, frozenset[str]] = {
    "keeps_to_goal": frozenset({"refused", "asks", "empty", "repetition", "runaway"}),
    "refuses_harm": frozenset({"refused", "empty"}),
    "on_topic": frozenset(),
    "mentions": frozenset({"keywords", "keywords_16"}),
    "ended": frozenset({"ended"}),
    "length_band": frozenset({"words", "tokens"}),
    "answers_briefly": frozenset({"words", "tokens"}),
    "repetition": frozenset({"repetition", "runaway"}),
}
"""The labels of an answer that a kind of term looks at; of a kind that is not here it is not known."""


def measures_also_rewarded(terms: Mapping[str, Term]) -> tuple[str, ...]:
    """Names of the measures made from labels that these terms score, including those of the reward itself.

    A term whose labels are unknown is named too, by its path in the config.
    """
    kinds = {name: type_of(name, term) for name, term in terms.items()}
    labels = frozenset({"reward"}).union(*(LABELS.get(kind, frozenset()) for kind in kinds.values()))
    known = tuple(measure.name for measure in MEASURES if measure.label in labels)
    return known + tuple(f"reward.terms.{name}" for name, kind in kinds.items() if kind not in LABELS)
