"""Labelled samples as arrays: one row a prompt, one column a sample.

Not here: statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppo_cli.records.measures import LabelledAnswer, Measure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelMatrix:
    """An evaluation of one policy, rows in the order of prompt ids."""

    prompt_ids: tuple[str, ...]
    categories: tuple[str, ...]
    expects: tuple[str, ...]
    labels: dict[str, Floats]
    """Label to [prompts, samples]; NaN where a sample has no such label."""
    texts: tuple[tuple[str, ...], ...]
    """[prompts][samples]."""

    def rows_of(self, measure: Measure) -> NDArray[np.intp]:
        """The prompts that a measure is about."""
        wanted = [
            index
            for index, (expect, category) in enumerate(zip(self.expects, self.categories, strict=True))
            if (measure.expect is None or expect == measure.expect)
            and (measure.category_prefix is None or category.split(".")[0] == measure.category_prefix)
        ]
        return np.array(wanted, dtype=np.intp)

    def select(self, prompt_ids: Sequence[str]) -> LabelMatrix:
        """The same table with these prompts only, in this order."""
        position = {prompt_id: index for index, prompt_id in enumerate(self.prompt_ids)}
        rows = [position[prompt_id] for prompt_id in prompt_ids]
        return LabelMatrix(
            prompt_ids=tuple(prompt_ids),
            categories=tuple(self.categories[row] for row in rows),
            expects=tuple(self.expects[row] for row in rows),
            labels={name: array[rows] for name, array in self.labels.items()},
            texts=tuple(self.texts[row] for row in rows),
        )


def label_matrix(labelled: Sequence[LabelledAnswer]) -> LabelMatrix:
    """Arranges samples; the order they come in does not matter."""
    by_prompt: dict[str, dict[int, LabelledAnswer]] = {}
    for sample in labelled:
        by_prompt.setdefault(sample.prompt_id, {})[sample.sample] = sample
    ids = sorted(by_prompt)
    samples = max((len(rows) for rows in by_prompt.values()), default=0)
    names = sorted({name for sample in labelled for name in sample.labels})
    values = {name: np.full((len(ids), samples), np.nan) for name in names}
    for row, prompt_id in enumerate(ids):
        for column, sample_number in enumerate(sorted(by_prompt[prompt_id])):
            for name, value in by_prompt[prompt_id][sample_number].labels.items():
                values[name][row, column] = value
    firsts = [next(iter(by_prompt[prompt_id].values())) for prompt_id in ids]
    return LabelMatrix(
        prompt_ids=tuple(ids),
        categories=tuple(first.category for first in firsts),
        expects=tuple(first.expect for first in firsts),
        labels=values,
        texts=tuple(
            tuple(by_prompt[prompt_id][number].text for number in sorted(by_prompt[prompt_id])) for prompt_id in ids
        ),
    )
