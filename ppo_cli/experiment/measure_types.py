"""The measures that a config names: each is scored as a reward term of the same type is, and has no weight.

One type, `lm_eval`, scores no answer: it is a value of the policy itself.

    measures: {polite: {type: python, function: mine.py:score, better: higher, unit: "%"}}

Not here: what a term takes (`term_types`), measures of behaviour that every run has (`behaviours.measures`), scoring
(`rewards.own_measures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import new_class
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ppo_cli.experiment.schema_base import FROZEN, MODEL, contradiction
from ppo_cli.experiment.term_types import TERM_TYPES, FitsPrompt, RewardTerm
from ppo_cli.records.measures import Better, Unit

OWN = "own"
"""The family of these measures: one is called `own.NAME`."""

NOT_OF_A_MEASURE = ("weight", "normalise")
"""What a reward term has and a measure has not."""


class OwnMeasure(RewardTerm):
    """What every measure of a config has, whatever its type."""

    better: Annotated[Better | None, FROZEN] = None
    """Whether higher or lower values are better; null where neither is."""
    unit: Annotated[Unit, FROZEN] = ""
    """What the values count: % for shares from 0 to 1; "" has none."""
    title: Annotated[str | None, FROZEN] = None
    """Its name in tables; null takes the name that the config gives it."""
    smallest_effect: Annotated[float, FROZEN, Field(gt=0.0)] = 0.05
    """Smallest change that matters, on the scale of the values; of the primary measure, evaluation.smallest_effect."""

    @model_validator(mode="after")
    def _has_no_weight(self) -> OwnMeasure:
        for name in NOT_OF_A_MEASURE:
            if getattr(self, name) != RewardTerm.model_fields[name].default:
                raise contradiction(name, "has no effect on a measure; remove it")
        return self


class LmEval(OwnMeasure):
    """A task of lm-evaluation-harness that the policy answers: one value per evaluation, with its standard error."""

    type: Annotated[Literal["lm_eval"], FROZEN] = "lm_eval"
    task: Annotated[str, FROZEN]
    """Name of the task."""
    tasks_folder: Annotated[str | None, FROZEN, MODEL] = None
    """Folder with your own tasks, as YAML; null takes those of the harness, which fetch their data themselves."""
    metric: Annotated[str, FROZEN] = "acc"
    """Which of the task's metrics."""
    shots: Annotated[int, FROZEN, Field(ge=0, le=64)] = 0
    """Examples with their answer that stand before each question."""
    examples: Annotated[int | None, FROZEN, Field(ge=2)] = None
    """Questions that are answered, the first of the task; null takes all."""
    batch_size: Annotated[int, FROZEN, Field(ge=1, le=4096)] = 16
    """Answers or pairs per batch."""


def _measure_of(term: type[RewardTerm]) -> type[RewardTerm]:
    """The measure that is scored as this type of term is."""
    about = {"__doc__": term.__doc__, "__module__": __name__, "model_config": term.model_config}
    name, bases = f"{term.__name__}Measure", (term, OwnMeasure)  # in this order the term's own fields count
    made: type[RewardTerm] = new_class(name, bases, {}, lambda body: body.update(about))
    return made


MEASURE_TYPES: Mapping[str, type[RewardTerm]] = {
    **{name: _measure_of(term) for name, term in TERM_TYPES.items() if term is not FitsPrompt},
    "lm_eval": LmEval,
}
"""Every type of measure by its name; `fits_prompt.information` is a measure of every run."""

if TYPE_CHECKING:
    AnyMeasure = OwnMeasure
else:
    AnyMeasure = Annotated[reduce(or_, MEASURE_TYPES.values()), Field(discriminator="type")]

DECLARED: dict[str, OwnMeasure] = {}
"""The measures of every experiment that this process has made or read, by their name in the config.

Tables, charts and verdicts know a measure by its name alone. Of two configs that give one name to different measures,
the one that was read last decides the unit and the direction that are shown.
"""


def own_name(name: str) -> str:
    """What a measure of a config is called outside it."""
    return f"{OWN}.{name}"
