"""Which checkpoint did best at the interim evaluations.

The rule: the best value of the primary measure on the interim prompts, the earlier of two equals. The last policy
counts too, on the same prompts. The best of several evaluations on few prompts is partly chance, so nothing is
concluded from it here: the checkpoint is kept and named, and `ppo eval` measures it on the whole set.

Not here: keeping it (`engine.checkpoints`), finding it by name (`evaluation`), how it is shown (`reports`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.evaluation.evaluation_data import EvaluationData
from ppo_cli.records.training import BestCheckpoint
from ppo_cli.stats.intervals import point_estimate


def primary_value(evaluated: EvaluationData, prompt_ids: Collection[str], primary: str) -> float | None:
    """The primary measure over these prompts alone.

    Args:
        evaluated: answers to these prompts, and perhaps to more.
        prompt_ids: of the prompts that every evaluation of the run answered.
        primary: name of the measure.
    """
    return point_estimate(measure_named(primary), evaluated.matrix.only(prompt_ids))


def best_of(values: Mapping[int, float | None], primary: str, prompts: int) -> BestCheckpoint | None:
    """The best of the evaluations so far; None if no direction is better, or no evaluation gave a value.

    Args:
        values: the primary measure by update.
        primary: name of the measure.
        prompts: number of prompts in each evaluation.
    """
    better = measure_named(primary).better
    known = {step: value for step, value in values.items() if value is not None}
    if better is None or not known:
        return None
    sign = 1 if better == "higher" else -1
    step = max(sorted(known), key=lambda step: sign * known[step])
    return BestCheckpoint(step=step, value=known[step], last=values[max(values)], prompts=prompts)
