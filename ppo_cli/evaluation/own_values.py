"""The values of a config's own measures, computed once per evaluation and kept with its answers.

Not here: how a measure scores (`rewards.own_measures`), the labels that these values become (`behaviours`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import Sample
from ppo_cli.rewards.own_measures import OwnMeasures
from ppo_cli.store.evaluations import MEASURE_CACHE


def with_own_measures(
    measures: OwnMeasures, prompts: Sequence[Prompt], samples: Sequence[Sample], folder: Path
) -> list[Sample]:
    """The samples with the values of these measures, in place of any that they have.

    Args:
        measures: of the config.
        prompts: of the evaluation.
        samples: answers to them.
        folder: of the evaluation, where the replies of services are kept until it is complete.
    """
    if not measures.measures:
        return [replace(sample, own={}) if sample.own else sample for sample in samples]
    by_id = {prompt.id: prompt for prompt in prompts}
    measures.context.cache = folder / MEASURE_CACHE
    values = measures.values([by_id[sample.prompt_id] for sample in samples], [sample.answer for sample in samples])
    return [replace(sample, own=own) for sample, own in zip(samples, values, strict=True)]
