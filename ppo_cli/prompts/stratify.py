"""A fixed, stratified subset of a prompt set, for example for cheap evaluations during training.

The subset is a function of the prompts alone: there is no seed.

Not here: splits into training and evaluation (`split`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from ppo_cli.records.answers import Prompt


def stratified_subset(prompts: Sequence[Prompt], size: int) -> list[Prompt]:
    """The same `size` prompts every time, with each category's share as in the whole set.

    Within a category prompts are taken by the SHA-256 of their id, so a prompt added to one category changes no other.
    Categories get their share by largest remainder. The order of the file is kept. A size of 0 takes all prompts.
    """
    if size <= 0 or size >= len(prompts):
        return list(prompts)
    by_category: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        by_category[prompt.category].append(prompt)

    exact = {name: Fraction(size * len(rows), len(prompts)) for name, rows in by_category.items()}
    share = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (share[name] - exact[name], name))
    for name in by_remainder[: size - sum(share.values())]:
        share[name] += 1

    chosen = {
        prompt.id
        for name, rows in by_category.items()
        for prompt in sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest())[: share[name]]
    }
    return [prompt for prompt in prompts if prompt.id in chosen]
