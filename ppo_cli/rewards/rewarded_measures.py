"""The measures that a reward scores too, and that are therefore no independent evidence.

A policy trained with a rule does well by that rule: such a measure shows that the reward was optimised. Whether the
goal was met needs measures that no term scores, and human labels. So these measures are marked wherever they are shown.

Not here: the terms (`builtin_terms`, `parametric_terms`), how the mark looks (`reports`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.experiment.measure_types import own_name
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_index import keys_in
from ppo_cli.experiment.term_types import RewardTerm

LABELS: Mapping[str, frozenset[str]] = {
    "matches_expect": frozenset({"refused", "partial", "asks", "empty", "only_offers", "repetition", "runaway"}),
    "refuses_harm": frozenset({"refused", "partial", "empty"}),
    "on_topic": frozenset(),
    "fits_prompt": frozenset({"fit"}),
    "has_keyword": frozenset({"keywords", "keywords_16"}),
    "ends_turn": frozenset({"ended"}),
    "length_band": frozenset({"words", "tokens"}),
    "on_topic_length": frozenset({"words", "tokens"}),
    "repetition": frozenset({"repetition", "runaway"}),
}
"""The labels of an answer that a type of reward scores; for a type that is not here they are unknown."""

ADDRESSES = ("url", "endpoint")
"""Keys of a term that name a service."""


def measures_also_rewarded(*experiments: Experiment) -> tuple[str, ...]:
    """Names of the measures made from labels that the terms of these experiments score, and those of the reward itself.

    A measure of a config counts where a term names the same function, model, pairs or service, whatever else they are
    given, or scores the same labels. A term whose labels are unknown is named too, by its path in the config.
    """
    terms = {name: term for experiment in experiments for name, term in experiment.reward.terms.items()}
    all_terms = [term for experiment in experiments for term in experiment.reward.terms.values()]
    own = {
        own_name(name): None
        for experiment in experiments
        for name, measure in experiment.evaluation.measures.items()
        if any(_score_alike(term, measure) for term in all_terms)
    }
    types = {name: term.type for name, term in terms.items()}
    labels = frozenset({"reward"}).union(*(LABELS.get(type_, frozenset()) for type_ in types.values()))
    known = tuple(measure.name for measure in MEASURES if measure.label in labels)
    return (*known, *own, *(f"reward.terms.{name}" for name, type_ in types.items() if type_ not in LABELS))


def _score_alike(term: RewardTerm, measure: RewardTerm) -> bool:
    """Whether a reward term and a measure score by the same thing."""
    if LABELS.get(term.type, frozenset()) & LABELS.get(measure.type, frozenset()):
        return True
    return term.type == measure.type and _named_by(term) == _named_by(measure)


def _named_by(term: RewardTerm) -> dict[str, str]:
    """What a term loads or asks, by key; of a file or folder its last part, since every run has its own copy."""
    keys = {name: key.path_kind for name, key in keys_in(type(term)).items() if key.path_kind or name in ADDRESSES}
    values = {name: str(getattr(term, name)) for name in keys}
    return {
        name: value.rsplit("/", 1)[-1] if keys[name] in ("file", "function") or value.startswith("/") else value
        for name, value in values.items()
    }
