"""The labels of one policy's answers as arrays: one row per prompt, one column per sample.

Not here: statistics of them (`measure_statistics`), the rules that give labels (`behaviours`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ppo_cli.records.answers import Prompt
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
    clusters: tuple[str, ...] | None = None
    """Which prompts vary together, by name [prompts]; None takes each prompt alone."""
    weights: tuple[float, ...] | None = None
    """How many prompts each of a sample stands for [prompts]; None where all stand for as many."""

    def rows_of(self, measure: Measure) -> NDArray[np.intp]:
        """The indices of the prompts that a measure is about."""
        wanted = [
            index
            for index, (expect, category) in enumerate(zip(self.expects, self.categories, strict=True))
            if (measure.expect is None or expect == measure.expect)
            and (measure.category_prefix is None or category.split(".")[0] == measure.category_prefix)
        ]
        return np.array(wanted, dtype=np.intp)

    def select(self, prompt_ids: Sequence[str]) -> LabelMatrix:
        """The rows of these prompts, in this order."""
        position = {prompt_id: index for index, prompt_id in enumerate(self.prompt_ids)}
        rows = [position[prompt_id] for prompt_id in prompt_ids]
        return LabelMatrix(
            prompt_ids=tuple(prompt_ids),
            categories=tuple(self.categories[row] for row in rows),
            expects=tuple(self.expects[row] for row in rows),
            labels={name: array[rows] for name, array in self.labels.items()},
            texts=tuple(self.texts[row] for row in rows),
            clusters=None if self.clusters is None else tuple(self.clusters[row] for row in rows),
            weights=None if self.weights is None else tuple(self.weights[row] for row in rows),
        )

    def clustered(self, by: Literal["category", "pair_id"] | None, prompts: Mapping[str, Prompt]) -> LabelMatrix:
        """The same with the clusters that `evaluation.cluster` names.

        Args:
            by: the field of a prompt whose values are the clusters; a prompt without one is alone. None has none.
            prompts: by id.
        """
        if by is None:
            return replace(self, clusters=None)
        if by == "category":
            return replace(self, clusters=self.categories)
        return replace(self, clusters=tuple(cluster_name(prompts[prompt_id], by) for prompt_id in self.prompt_ids))

    def only(self, prompt_ids: Collection[str]) -> LabelMatrix:
        """The rows of those of these prompts that the policy answered, in the order of prompt ids."""
        return self.select([prompt_id for prompt_id in self.prompt_ids if prompt_id in prompt_ids])


def cluster_name(prompt: Prompt, by: Literal["category", "pair_id"]) -> str:
    """The cluster of a prompt; one without a pair is alone."""
    if by == "category":
        return prompt.category
    return f"alone {prompt.id}" if prompt.pair_id is None else f"pair {prompt.pair_id}"


def label_matrix(labelled: Sequence[LabelledAnswer]) -> LabelMatrix:
    """Arranges labelled answers; the order they come in does not matter."""
    by_prompt: dict[str, dict[int, LabelledAnswer]] = {}
    for answer in labelled:
        by_prompt.setdefault(answer.prompt.id, {})[answer.sample.index] = answer
    ids = sorted(by_prompt)
    samples = max((len(rows) for rows in by_prompt.values()), default=0)
    names = sorted({name for answer in labelled for name in answer.labels})
    values = {name: np.full((len(ids), samples), np.nan) for name in names}
    for row, prompt_id in enumerate(ids):
        for column, sample_index in enumerate(sorted(by_prompt[prompt_id])):
            for name, value in by_prompt[prompt_id][sample_index].labels.items():
                values[name][row, column] = value
    firsts = [next(iter(by_prompt[prompt_id].values())) for prompt_id in ids]
    return LabelMatrix(
        prompt_ids=tuple(ids),
        categories=tuple(first.prompt.category for first in firsts),
        expects=tuple(first.prompt.expect for first in firsts),
        labels=values,
        texts=tuple(
            tuple(by_prompt[prompt_id][index].sample.answer.text for index in sorted(by_prompt[prompt_id]))
            for prompt_id in ids
        ),
    )


def common_matrices(*arms: Sequence[LabelMatrix]) -> list[list[LabelMatrix]]:
    """The matrices of each arm, one per seed, all of the prompts that every seed of every arm answered."""
    common = sorted(set.intersection(*(set(matrix.prompt_ids) for arm in arms for matrix in arm)))
    return [[matrix.select(common) for matrix in arm] for arm in arms]


def pool_seeds(arm: Sequence[LabelMatrix]) -> LabelMatrix:
    """The answers of all seeds to each prompt side by side; their rows must be of the same prompts."""
    labels = set.intersection(*(set(matrix.labels) for matrix in arm))
    return replace(
        arm[0],
        labels={name: np.hstack([matrix.labels[name] for matrix in arm]) for name in sorted(labels)},
        texts=tuple(tuple(text for matrix in arm for text in matrix.texts[row]) for row in range(len(arm[0].texts))),
    )
