"""How alike the wording of prompts is: TF-IDF of words and word pairs, cosine similarity, and runs of common words.

Besides the character trigrams of `prompts.audit`, which see small edits, TF-IDF sees the same rare words in another
order, and n-grams see a passage taken over into another text.

Not here: what is done about it (`alarms`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ppo_cli.prompts.leakage import NEAR_DUPLICATE, trigrams
from ppo_cli.text.words import words

BLOCK = 512
"""Rows of a similarity matrix that are made at once."""

Floats = NDArray[np.float64]


@lru_cache(maxsize=8)
def nearest_texts(texts: tuple[str, ...], others: tuple[str, ...]) -> tuple[Floats, NDArray[np.intp]]:
    """For each text the cosine similarity to the other text that is most like it, and which that is.

    Rarity is counted over both sets. Without others the similarities are 0.
    """
    if not texts or not others:
        return np.zeros(len(texts)), np.zeros(len(texts), dtype=np.intp)
    matrix = _tf_idf((*texts, *others))
    mine, theirs = matrix[: len(texts)], matrix[len(texts) :].T.tocsr()
    blocks = [(mine[start : start + BLOCK] @ theirs).toarray() for start in range(0, len(texts), BLOCK)]
    alike = np.concatenate(blocks)
    return alike.max(axis=1), alike.argmax(axis=1)


@lru_cache(maxsize=8)
def count_topics(texts: tuple[str, ...], alike_from: float) -> int:
    """Number of groups into which texts fall when any two that are alike belong together."""
    if not texts:
        return 0
    matrix = _tf_idf(texts)
    across = matrix.T.tocsr()
    rows = []
    for start in range(0, len(texts), BLOCK):
        block = matrix[start : start + BLOCK] @ across
        block.data[block.data < alike_from] = 0.0
        block.eliminate_zeros()
        rows.append(block)
    count, _ = connected_components(sparse.vstack(rows), directed=False)
    return int(count)


def near_duplicate_pairs(texts: Sequence[str], cosine: float) -> list[tuple[int, int]]:
    """Places of any two near-duplicates: by trigrams as in `prompts.audit`, or by a TF-IDF cosine of so much."""
    if not texts:
        return []
    return sorted({*_pairs(_tf_idf(texts), lambda block, _: block.data >= cosine), *_pairs(_trigrams(texts), _jaccard)})


def _jaccard(block: sparse.coo_matrix, sizes: Floats) -> NDArray[np.bool_]:
    return np.asarray(block.data / (sizes[block.row] + sizes[block.col] - block.data) >= NEAR_DUPLICATE)


def _pairs(
    matrix: sparse.csr_matrix, near: Callable[[sparse.coo_matrix, Floats], NDArray[np.bool_]]
) -> Iterator[tuple[int, int]]:
    """Places of two rows whose product is near, by blocks; `near` sees products and squared lengths of rows."""
    across = matrix.T.tocsr()
    sizes = np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
    for start in range(0, matrix.shape[0], BLOCK):
        block = (matrix[start : start + BLOCK] @ across).tocoo()
        block = sparse.coo_matrix((block.data, (block.row + start, block.col)), shape=(matrix.shape[0],) * 2)
        kept = near(block, sizes) & (block.row < block.col)
        yield from zip(block.row[kept].tolist(), block.col[kept].tolist(), strict=True)


def _trigrams(texts: Sequence[str]) -> sparse.csr_matrix:
    """Rows of ones for the character trigrams that a text has."""
    vocabulary: dict[str, int] = {}
    found = [[vocabulary.setdefault(gram, len(vocabulary)) for gram in trigrams(text)] for text in texts]
    columns = [column for row in found for column in row]
    starts = np.cumsum([0, *map(len, found)])
    return sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(texts), max(1, len(vocabulary))))


def shared_passages(texts: Sequence[str], others: Sequence[str], length: int) -> dict[int, int]:
    """Texts that have a run of so many words in common with another text: {place: place of the first such other}."""
    known: dict[tuple[str, ...], int] = {}
    for place, other in enumerate(others):
        for run in _runs(other, length):
            known.setdefault(run, place)
    found = {place: [known[run] for run in _runs(text, length) if run in known] for place, text in enumerate(texts)}
    return {place: places[0] for place, places in found.items() if places}


def _runs(text: str, length: int) -> list[tuple[str, ...]]:
    said = words(text)
    return [tuple(said[start : start + length]) for start in range(len(said) - length + 1)]


def _tf_idf(texts: Sequence[str]) -> sparse.csr_matrix:
    """Rows of length 1: 1 + log count of each word and word pair, times its smoothed rarity."""
    vocabulary: dict[str, int] = {}
    columns: list[int] = []
    values: list[float] = []
    starts = [0]
    for text in texts:
        said = words(text)
        pairs = [f"{first} {second}" for first, second in pairwise(said)]
        for gram, count in Counter([*said, *pairs]).items():
            columns.append(vocabulary.setdefault(gram, len(vocabulary)))
            values.append(1 + float(np.log(count)))
        starts.append(len(columns))
    shape = (len(texts), max(1, len(vocabulary)))
    counts = sparse.csr_matrix((values, columns, starts), shape=shape)
    seen_in = np.bincount(np.asarray(columns, dtype=np.intp), minlength=shape[1])
    rarity = np.log((1 + len(texts)) / (1 + seen_in)) + 1
    weighted = counts @ sparse.diags(rarity)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1))).ravel()
    return (sparse.diags(1 / np.where(lengths > 0, lengths, 1.0)) @ weighted).tocsr()
