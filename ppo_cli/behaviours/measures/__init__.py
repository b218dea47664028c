"""The table of all behaviour measures, and how to find one by its name.

Not here: the measures' definitions (`headlines`, `eval_only`), those of a config (`own`), the rules that label an
answer (one module per family), the labels (`label_answers`), the statistics (`stats`).
"""

from __future__ import annotations

import difflib
from dataclasses import replace

from ppo_cli.behaviours.measures.eval_only import EVAL_ONLY
from ppo_cli.behaviours.measures.headlines import HEADLINES as HEADLINES
from ppo_cli.behaviours.measures.own import declared_measure, own_measures
from ppo_cli.errors import ConfigError
from ppo_cli.experiment.measure_types import DECLARED, own_name
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.measures import Measure

MEASURES: tuple[Measure, ...] = (*HEADLINES, *EVAL_ONLY)
"""Those of every run, in the order in which screens show them."""


def measures_of(experiment: Experiment) -> tuple[Measure, ...]:
    """The measures of every run, and those that a config names, in the order in which screens show them."""
    return (*HEADLINES, *own_measures(experiment.evaluation.measures), *EVAL_ONLY)


def measure_named(name: str) -> Measure:
    """Finds a measure by its name, of every run or of a config that was read.

    Raises:
        ConfigError: no measure has this name; the message proposes the nearest.
    """
    for measure in MEASURES:
        if measure.name == name:
            return measure
    if (own := declared_measure(name)) is not None:
        return own
    names = [*(measure.name for measure in MEASURES), *map(own_name, DECLARED)]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}."
    raise ConfigError(f"evaluation.primary: no measure '{name}'.", hint)


def is_headline(measure: Measure, primary: str) -> bool:
    """Whether every result screen shows a measure: a headline, or one of the primary measure's family."""
    return not measure.eval_only or measure.family == measure_named(primary).family


def require_primary(experiment: Experiment) -> None:
    """Checks that a run can be judged by the measure that its config names.

    Raises:
        ConfigError: there is no such measure, or it is a distance from the reference or from the answers' length.
    """
    name, own = experiment.evaluation.primary, own_measures(experiment.evaluation.measures)
    if name.startswith(own_name("")) and name not in [measure.name for measure in own]:
        if name in map(own_name, experiment.evaluation.measures):
            raise ConfigError(
                f"evaluation.primary: {name} is one value per evaluation, so no change of it is tested over prompts.",
                "Name a measure of answers; this one is shown before and after.",
            )
        names = ", ".join(measure.name for measure in own) or "none"
        raise ConfigError(
            f"evaluation.primary: evaluation.measures has no {name}.", f"It has {names}; name one, or add it."
        )
    measure = measure_named(name)
    if measure.family in ("kl", "entropy") or name == "reward.length_correlation":
        raise ConfigError(
            f"evaluation.primary: {name} is shown, but a run is never judged by it.",
            "Name a behaviour, such as refusal.separation.",
        )


BY_CATEGORY: tuple[Measure, ...] = tuple(
    replace(measure_named(source), name=name, title=title, expect=None)
    for source, name, title in (
        ("refusal.unsafe", "refusal.rate", "refuses"),
        ("clarification.wanted", "clarification.rate", "asks back"),
        ("length.words", "length.words", "words"),
    )
)
"""What `ppo eval` shows for each category of prompts, whatever the prompts expect."""
