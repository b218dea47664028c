"""Splitting one set of prompts into training and evaluation, so that nothing learnt is asked again.

Prompts that belong together (a pair, near-duplicates, and whoever is near those) are one group and stay on one side.
Each stratum, a category with what is expected there, gives its share as nearly as the groups allow. The split is a
function of the texts: neither their order nor their ids matter, and there is no seed.

Not here: which prompts are alike (`analysis.similarity`), reading files.
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
    """Two sets that share no group, each in the order given."""

    train: list[Prompt]
    evaluation: list[Prompt]
    largest: int
    """Prompts of the largest group."""


def split(
    prompts: Sequence[Prompt], share: float, *, alike: Iterable[tuple[int, int]] = (), learnt: Iterable[int] = ()
) -> Split:
    """Splits prompts.

    Args:
        prompts: each text once.
        share: of the prompts that should go to evaluation, above 0 and below 1.
        alike: places of two prompts that must be on one side; those of one pair_id are so anyway.
        learnt: places of prompts that are too near to what is learnt elsewhere, and so cannot evaluate.
    """
    groups = _groups(prompts, alike)
    held = {root for root, members in groups.items() if not set(members).isdisjoint(learnt)}
    wanted = _wanted(Counter(stratum(prompt) for prompt in prompts), share)
    chosen: set[int] = set()
    for root in sorted(groups.keys() - held, key=lambda root: _order(prompts, groups[root])):
        found = Counter(stratum(prompts[place]) for place in groups[root])
        nearer = sum(abs(wanted[kind] - count) - abs(wanted[kind]) for kind, count in found.items())
        if nearer < 0:
            wanted.subtract(found)
            chosen.update(groups[root])
    return Split(
        train=[prompt for place, prompt in enumerate(prompts) if place not in chosen],
        evaluation=[prompt for place, prompt in enumerate(prompts) if place in chosen],
        largest=max(map(len, groups.values()), default=0),
    )


def stratum(prompt: Prompt) -> Stratum:
    """What has to be on both sides in the same share."""
    return prompt.category, prompt.expect


def _groups(prompts: Sequence[Prompt], alike: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """Places of the prompts that must stay together, under the place of one of them."""
    above = list(range(len(prompts)))

    def root(place: int) -> int:
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    first_of_pair: dict[str, int] = {}
    links = list(alike)
    links += [
        (place, first_of_pair.setdefault(prompt.pair_id, place))
        for place, prompt in enumerate(prompts)
        if prompt.pair_id
    ]
    for one, other in links:
        above[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for place in range(len(prompts)):
        groups.setdefault(root(place), []).append(place)
    return groups


def _wanted(sizes: Counter[Stratum], share: float) -> Counter[Stratum]:
    """Evaluation prompts of each stratum, by largest remainder."""
    exact = {kind: Fraction(share).limit_denominator(10_000) * size for kind, size in sizes.items()}
    wanted = Counter({kind: int(value) for kind, value in exact.items()})
    left = round(sum(exact.values())) - sum(wanted.values())
    for kind in sorted(exact, key=lambda kind: (wanted[kind] - exact[kind], kind))[:left]:
        wanted[kind] += 1
    return wanted


def _order(prompts: Sequence[Prompt], places: Sequence[int]) -> tuple[int, str]:
    """The larger groups first, since the smaller ones can still fill what they leave; among equals by their texts."""
    texts = sorted(normalise(prompts[place].text) or prompts[place].text for place in places)
    return -len(places), hashlib.sha256("\n".join(texts).encode()).hexdigest()
