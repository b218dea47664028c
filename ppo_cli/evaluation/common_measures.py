"""The measures that mean the same in two runs, and can be compared.

Not here: the comparison (`compare`), what else must agree (`stats.comparability`).
"""

from __future__ import annotations

from ppo_cli.behaviours.measures import measures_of
from ppo_cli.errors import NotComparableError
from ppo_cli.evaluation.compared_runs import ComparedRun
from ppo_cli.experiment.measure_types import OWN, own_name
from ppo_cli.experiment.schema_index import MEASURES
from ppo_cli.records.measures import Measure
from ppo_cli.stats.comparability import same_measure


def common_measures(a: ComparedRun, b: ComparedRun, primary: str) -> list[Measure]:
    """The measures of both runs: of the reward, and of a config, only those that both have in the same way.

    Args:
        a: the first run of arm A.
        b: the first run of arm B.
        primary: the measure that the comparison is judged by.

    Raises:
        NotComparableError: that one is not among them.
    """
    same_reward = a.experiment.reward == b.experiment.reward
    own = {
        own_name(name): same_measure(a.lock, b.lock, f"{MEASURES}.{name}") for name in a.experiment.evaluation.measures
    }
    measures = [
        measure
        for measure in measures_of(a.experiment)
        if (same_reward or measure.family != "reward")
        and (measure.family != OWN or own[".".join(measure.name.split(".")[:2])])
    ]
    if primary not in [measure.name for measure in measures]:
        raise NotComparableError(
            f"{a.name} and {b.name} do not have the same {primary}, which they are to be judged by.",
            "Compare runs whose configs give this measure in the same way.",
        )
    return measures
