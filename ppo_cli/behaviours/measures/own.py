"""The measures that a config names, as behaviours: their label, unit and direction.

Not here: what a config may say of one (`experiment.measure_types`), its values (`rewards.own_measures`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ppo_cli.experiment.measure_types import DECLARED, LmEval, OwnMeasure, own_name
from ppo_cli.experiment.term_types import Classifier, Http, Judge, Preference, Python
from ppo_cli.records.measures import Measure

ORDERS_DIFFER, CHOICE = "orders_differ", "choice"
"""What a judge finds of an answer beside its score: whether it chose differently in the other order, and what."""


def own_measures(measures: Mapping[str, OwnMeasure]) -> tuple[Measure, ...]:
    """These measures of a config as behaviours; of a judge also how often its two orders disagree.

    One that scores no answer is none of them.
    """
    scored = {name: measure for name, measure in measures.items() if not isinstance(measure, LmEval)}
    return tuple(one for name, measure in scored.items() for one in _behaviours(name, measure))


def declared_measure(name: str) -> Measure | None:
    """The measure that a config which was read calls so; None where none does."""
    own = DECLARED.get(name.split(".")[1]) if name.startswith(own_name("")) else None
    if isinstance(own, LmEval):
        return None
    return next((one for one in _behaviours(name.split(".")[1], own) if one.name == name), None) if own else None


def _behaviours(name: str, measure: OwnMeasure) -> list[Measure]:
    title = measure.title or name
    behaviours = [
        Measure(
            name=own_name(name),
            title=title,
            statistic="mean",
            label=own_name(name),
            expect=None,
            unit=measure.unit,
            better=measure.better,
            definition=f"mean over answers of {_scored_by(measure)}",
            source="the run's own config",
            equivalence_margin=measure.smallest_effect,
            error="not known: the measure is the user's own",
        )
    ]
    if isinstance(measure, Judge):
        differ = own_name(f"{name}.{ORDERS_DIFFER}")
        behaviours.append(
            Measure(
                name=differ,
                title=f"  {title}: orders disagree",
                statistic="mean",
                label=differ,
                expect=None,
                unit="%",
                better=None,
                definition=f"share of answers for which the judge of {own_name(name)} chooses otherwise when the "
                "choices are listed in the other order",
                source="after Zheng et al. 2023, position bias",
                eval_only=True,
            )
        )
    return behaviours


def _scored_by(measure: OwnMeasure) -> str:
    """What gives an answer its value, in words."""
    match measure:
        case Python():
            return f"the function {measure.function.rsplit('/', 1)[-1]}"
        case Classifier() | Judge():
            kind = "judge" if isinstance(measure, Judge) else "classifier"
            return f"the score of the {kind} {measure.model.rsplit('/', 1)[-1]}"
        case Preference():
            return f"the score of a model trained from {measure.pairs.rsplit('/', 1)[-1]}"
        case Http():
            return "the score of a service"
    return f"the score by {measure.type}, a type of reward term"
