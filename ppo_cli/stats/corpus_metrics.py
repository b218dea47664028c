"""Measures of a whole evaluation: distinct n-grams, the most common opening, self-BLEU, compression.

They are properties of the set, not sums over prompts, and an ordinary bootstrap is invalid for them, because
resampled duplicates lower them. So intervals come from a grouped jackknife and tests from swapping prompts. Both need
the measure's value on any choice of each prompt's answers: from A, from B, or from neither.

Not here: measures that are functions of sums over prompts (`measure_statistics`).
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from scipy import sparse

from ppo_cli.stats.clusters import cluster_numbers
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import quotient
from ppo_cli.text.openings import opening
from ppo_cli.text.words import words

FIRST_WORDS = 16
"""Distinct-n, self-BLEU and compression depend on length, so only this many first words of each answer count."""
GROUPS = 20
"""Groups of prompts that the jackknife leaves out in turn."""
BLEU_PROMPTS = 100
"""Self-BLEU takes the first answers to this many prompts, spread over the set."""
BLEU_GRAMS = 4


class Corpus(Protocol):
    """The answers of one or two policies to the same prompts, prepared for measuring any choice of them."""

    def at(self, *chosen: Floats) -> Floats:
        """The measure for each row of choices; chosen[k] is [draws, prompts] of 0 and 1 for policy k."""

    def per_prompt(self, policy: int) -> Floats:
        """A value per prompt [prompts], to count prompts that rose and fell; zeros where there is none."""


class NgramCounts:
    """How often each n-gram or opening occurs in a prompt's answers."""

    def __init__(
        self,
        tables: Sequence[LabelMatrix],
        grams_of: Callable[[str], Iterable[object]],
        share: Callable[[Floats], Floats],
    ) -> None:
        vocabulary: dict[object, int] = {}
        entries = []
        for table in tables:
            rows, columns = [], []
            for row, answers in enumerate(table.texts):
                for answer in answers:
                    for gram in grams_of(answer):
                        rows.append(row)
                        columns.append(vocabulary.setdefault(gram, len(vocabulary)))
            entries.append((rows, columns, len(table.texts)))
        width = max(1, len(vocabulary))
        self.counts = [
            sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(height, width))
            for rows, columns, height in entries
        ]
        self.share = share

    def at(self, *chosen: Floats) -> Floats:
        parts = []
        for begin in range(0, len(chosen[0]), 100):
            rows = [choice[begin : begin + 100] for choice in chosen]
            parts.append(self.share(sum(row @ counts for row, counts in zip(rows, self.counts, strict=True))))
        return np.concatenate(parts)

    def per_prompt(self, policy: int) -> Floats:
        return np.asarray(np.diff(self.counts[policy].indptr), dtype=float)


class PairwiseBleu:
    """BLEU-4 of every first answer against every other: the pairwise form of self-BLEU."""

    def __init__(self, tables: Sequence[LabelMatrix]) -> None:
        prompts = len(tables[0].texts)
        self.rows = np.unique(np.linspace(0, prompts - 1, min(prompts, BLEU_PROMPTS)).astype(int))
        self.prompts = prompts
        texts = [words(table.texts[row][0]) for table in tables for row in self.rows]
        grams = [_grams(text) for text in texts]
        self.bleu = np.array([[bleu(one, other) for other in grams] for one in grams])
        np.fill_diagonal(self.bleu, 0.0)

    def at(self, *chosen: Floats) -> Floats:
        weights = np.concatenate([choice[:, self.rows] for choice in chosen], axis=1)
        taken = weights.sum(axis=1)
        pairs = (
            ((weights @ self.bleu) * weights).sum(axis=1).round(9)
        )  # rounding must not depend on the order of the policies
        return quotient(pairs, taken * (taken - 1))

    def per_prompt(self, policy: int) -> Floats:  # noqa: ARG002 - self-BLEU has no value per prompt
        return np.zeros(self.prompts)


class CompressionRatio:
    """Compressed size over size of all first answers, each cut to the same number of words."""

    def __init__(self, tables: Sequence[LabelMatrix]) -> None:
        cut = [[" ".join(opening(answers[0], FIRST_WORDS)) for answers in table.texts] for table in tables]
        self.texts = np.array(cut, dtype=object).T  # [prompts, policies]

    def at(self, *chosen: Floats) -> Floats:
        return np.array([self._ratio([choice[draw] for choice in chosen]) for draw in range(len(chosen[0]))])

    def per_prompt(self, policy: int) -> Floats:  # noqa: ARG002 - compression has no value per prompt
        return np.zeros(len(self.texts))

    def _ratio(self, chosen: Sequence[Floats]) -> float:
        whole = "\n".join(self.texts[np.stack(chosen, axis=1) > 0]).encode()
        return len(zlib.compress(whole)) / len(whole) if whole.strip() else math.nan


def bleu(one: Sequence[Counter[tuple[str, ...]]], other: Sequence[Counter[tuple[str, ...]]]) -> float:
    """BLEU-4 of one answer with another as its reference, add-one smoothed above single words (Lin & Och 2004).

    Args:
        one: counts of its n-grams, n = 1 .. 4.
        other: the same of the reference.
    """
    length, reference = one[0].total(), other[0].total()
    if not length or not reference or one[0].keys().isdisjoint(other[0]):
        return 0.0
    logs = 0.0
    for n, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        smooth = 1 if n else 0
        shared = sum(min(mine[gram], theirs[gram]) for gram in mine.keys() & theirs.keys())
        logs += math.log((shared + smooth) / (mine.total() + smooth))
    return math.exp(logs / BLEU_GRAMS + min(0.0, 1 - reference / length))


def _grams(text: Sequence[str]) -> list[Counter[tuple[str, ...]]]:
    cut = text[:FIRST_WORDS]
    return [Counter(zip(*(cut[start:] for start in range(n)), strict=False)) for n in range(1, BLEU_GRAMS + 1)]


def _start_grams(size: int) -> Callable[[str], Iterable[object]]:
    def grams(answer: str) -> Iterable[object]:
        start = opening(answer, FIRST_WORDS)
        return zip(*(start[shift:] for shift in range(size)), strict=False)

    return grams


def _opening(answer: str) -> Iterable[object]:
    start = opening(answer)
    return [start] if start else []


def _distinct(counts: Floats) -> Floats:
    return quotient((counts > 0).sum(axis=1), counts.sum(axis=1))


def _most_common(counts: Floats) -> Floats:
    return quotient(counts.max(axis=1), counts.sum(axis=1))


CORPORA: Mapping[str, Callable[[Sequence[LabelMatrix]], Corpus]] = {
    "distinct_1": lambda tables: NgramCounts(tables, _start_grams(1), _distinct),
    "distinct_2": lambda tables: NgramCounts(tables, _start_grams(2), _distinct),
    "distinct_3": lambda tables: NgramCounts(tables, _start_grams(3), _distinct),
    "top_opening": lambda tables: NgramCounts(tables, _opening, _most_common),
    "self_bleu": PairwiseBleu,
    "compression": CompressionRatio,
}
"""The class behind a statistic's name."""
DRAWS: Mapping[str, int] = {"compression": 200}
"""Swaps of a test, for statistics that are slow to compute; the others take `intervals.CORPUS_DRAWS`."""


def jackknife_error(values: Floats) -> float:
    """Standard error from the statistic with each group left out [groups]."""
    groups = len(values)
    return float(np.sqrt((groups - 1) / groups * ((values - values.mean()) ** 2).sum()))


def leave_group_out(table: LabelMatrix) -> Floats:
    """Prompt choices [groups, prompts], each leaving one group out; neighbours by id are in different groups.

    A cluster is in one group as a whole.
    """
    prompts = len(table.prompt_ids)
    units = np.arange(prompts) if table.clusters is None else cluster_numbers(table.clusters)
    groups = min(GROUPS, int(units.max(initial=0)) + 1)
    kept = units[None, :] % groups != np.arange(groups)[:, None]
    return np.asarray(kept, dtype=float)


def swapped_difference(corpus: Corpus, swap: Floats) -> Floats:
    """B minus A after swapping the prompts marked 1 in each row of `swap` [draws, prompts]."""
    stay = 1 - swap
    return corpus.at(swap, stay) - corpus.at(stay, swap)
