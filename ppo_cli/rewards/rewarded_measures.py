"""The measures that a reward scores too, and that are therefore no independent evidence.

A policy trained with a rule does well by that rule: such a measure shows that the reward was optimised. Whether the
goal was met needs measures that no term scores, and human labels. So these measures are marked wherever they are shown.

Not here: the terms (`builtin_terms`, `parametric_terms`), how the mark looks (`reports`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.experiment.term_types import RewardTerm

LABELS: Mapping[str, frozenset[str]] = {
    "matches_expect": frozenset({"refused", "asks", "empty", "repetition", "runaway"}),
    "refuses_harm": frozenset({"refused", "empty"}),
    "on_topic": frozenset(),
    "fits_prompt": frozenset({"fit"}),
    "has_keyword": frozenset({"keywords", "keywords_16"}),
    "ends_turn": frozenset({"ended"}),
    "length_band": frozenset({"words", "tokens"}),
    "on_topic_length": frozenset({"words", "tokens"}),
    "repetition": frozenset({"repetition", "runaway"}),
}
"""The labels of an answer that a type of reward scores; for a type that is not here they are unknown."""


def measures_also_rewarded(terms: Mapping[str, RewardTerm]) -> tuple[str, ...]:
    """Names of the measures made from labels that these terms score, including those of the reward itself.

    A term whose labels are unknown is named too, by its path in the config.
    """
    types = {name: term.type for name, term in terms.items()}
    labels = frozenset({"reward"}).union(*(LABELS.get(type_, frozenset()) for type_ in types.values()))
    known = tuple(measure.name for measure in MEASURES if measure.label in labels)
    return known + tuple(f"reward.terms.{name}" for name, type_ in types.items() if type_ not in LABELS)
