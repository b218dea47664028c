"""Which checkpoint did best at the interim evaluations.

The rule is plain: the best value of the primary measure on the interim prompts, the earlier of two equals. The last
policy counts too, on the same prompts. The best of several looks at few prompts is partly luck, so nothing is
concluded from it here: it is kept and named, and `ppo eval` judges it.

Not here: keeping it (`engine.checkpoints`), finding it by name (`evaluate`), how it is said (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.evaluation.evaluate import EvaluationData
from ppo_cli.records.answers import Prompt
from ppo_cli.records.training import BestCheckpoint
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix


def primary_value(evaluated: EvaluationData, prompts: Sequence[Prompt], primary: str) -> float | None:
    """The primary measure over these prompts alone.

    Args:
        evaluated: answers to these prompts, and maybe to more.
        prompts: those that every evaluation of the run answered.
        primary: name of the measure.
    """
    chosen = {prompt.id for prompt in prompts}
    rows = [row for row in evaluated.labelled if row.prompt_id in chosen]
    return estimate(measure_named(primary), label_matrix(rows)).value


def best_of(values: Mapping[int, float | None], primary: str, prompts: int) -> BestCheckpoint | None:
    """The best of the looks so far; None where no direction is better, or no look found a value.

    Args:
        values: the primary measure by update.
        primary: name of the measure.
        prompts: number of prompts in each look.
    """
    better = measure_named(primary).better
    known = {step: value for step, value in values.items() if value is not None}
    if better is None or not known:
        return None
    sign = 1 if better == "higher" else -1
    step = max(sorted(known), key=lambda step: sign * known[step])
    return BestCheckpoint(step=step, value=known[step], last=values[max(values)], prompts=prompts)
