"""Splits one set of prompts into training and evaluation, so that no evaluation prompt is learnt from.

Prompts that belong together (a pair, near-duplicates, and near-duplicates of those) are one group and stay on one side.
Each stratum, that is each category with its `expect`, gives its share as nearly as the groups allow. The split is a
function of the texts: neither their order nor their ids matter, and there is no seed.

Not here: which prompts are near-duplicates (`text.similarity`), fixed subsets (`stratify`), reading files (`jsonl`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ppo_cli.prompts.leakage import normalise
from ppo_cli.records.answers import Prompt

Stratum = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Two sets that share no group, each in the given order."""

    train: list[Prompt]
    evaluation: list[Prompt]
    largest: int
    """Prompts in the largest group."""


def split(
    prompts: Sequence[Prompt], share: float, *, alike: Iterable[tuple[int, int]] = (), learnt: Iterable[int] = ()
) -> Split:
    """Splits prompts.

    Args:
        prompts: each text once.
        share: of the prompts that should go to evaluation, above 0 and below 1.
        alike: indices of two prompts that must be on one side; prompts of one pair_id are kept together anyway.
        learnt: indices of prompts that are too similar to what is learnt elsewhere, and so cannot evaluate.
    """
    groups = _groups(prompts, alike)
    train_only = {root for root, members in groups.items() if not set(members).isdisjoint(learnt)}
    missing = _evaluation_sizes(Counter(stratum(prompt) for prompt in prompts), share)
    chosen: set[int] = set()
    for root in sorted(groups.keys() - train_only, key=lambda root: _sort_key(prompts, groups[root])):
        counts = Counter(stratum(prompts[index]) for index in groups[root])
        change = sum(abs(missing[name] - count) - abs(missing[name]) for name, count in counts.items())
        if change < 0:
            missing.subtract(counts)
            chosen.update(groups[root])
    return Split(
        train=[prompt for index, prompt in enumerate(prompts) if index not in chosen],
        evaluation=[prompt for index, prompt in enumerate(prompts) if index in chosen],
        largest=max(map(len, groups.values()), default=0),
    )


def stratum(prompt: Prompt) -> Stratum:
    """Category and `expect` of a prompt: what both sides hold in the same share."""
    return prompt.category, prompt.expect


def _groups(prompts: Sequence[Prompt], alike: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """Indices of the prompts that must stay together, by the index of one of them (union-find)."""
    parent = list(range(len(prompts)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first_of_pair: dict[str, int] = {}
    links = list(alike)
    links += [
        (index, first_of_pair.setdefault(prompt.pair_id, index))
        for index, prompt in enumerate(prompts)
        if prompt.pair_id
    ]
    for one, other in links:
        parent[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for index in range(len(prompts)):
        groups.setdefault(root(index), []).append(index)
    return groups


def _evaluation_sizes(sizes: Counter[Stratum], share: float) -> Counter[Stratum]:
    """Evaluation prompts of each stratum, by largest remainder."""
    exact = {name: Fraction(share).limit_denominator(10_000) * size for name, size in sizes.items()}
    rounded = Counter({name: int(value) for name, value in exact.items()})
    left = round(sum(exact.values())) - sum(rounded.values())
    for name in sorted(exact, key=lambda name: (rounded[name] - exact[name], name))[:left]:
        rounded[name] += 1
    return rounded


def _sort_key(prompts: Sequence[Prompt], indices: Sequence[int]) -> tuple[int, str]:
    """Larger groups first, since smaller ones can fill the remaining sizes; groups of one size by their texts."""
    texts = sorted(normalise(prompts[index].text) or prompts[index].text for index in indices)
    return -len(indices), hashlib.sha256("\n".join(texts).encode()).hexdigest()
