"""How similar the wording of texts is: cosine similarity of TF-IDF vectors, near-duplicates, and shared passages.

Character trigrams (`prompts.leakage`) find small edits. TF-IDF over words and word pairs finds the same rare words in
another order. Runs of words find a passage that was copied into another text.

Not here: what follows from it (`alarms`, `preflight`, `setup.user_dataset`).
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

BLOCK_ROWS = 512
"""Rows of a similarity matrix that are computed together."""


@lru_cache(maxsize=8)
def nearest_texts(texts: tuple[str, ...], others: tuple[str, ...]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The most similar other text of each text.

    Rarity is counted over both sets.

    Returns:
        Cosine similarity [texts], 0 where there are no others; index of the nearest other text [texts].
    """
    if not texts or not others:
        return np.zeros(len(texts)), np.zeros(len(texts), dtype=np.intp)
    matrix = _tf_idf((*texts, *others))
    rows, columns = matrix[: len(texts)], matrix[len(texts) :].T.tocsr()
    blocks = [(rows[start : start + BLOCK_ROWS] @ columns).toarray() for start in range(0, len(texts), BLOCK_ROWS)]
    cosine = np.concatenate(blocks)
    return cosine.max(axis=1), cosine.argmax(axis=1)


@lru_cache(maxsize=8)
def count_topics(texts: tuple[str, ...], min_cosine: float) -> int:
    """Number of groups of texts, where two texts of at least this TF-IDF cosine belong to one group."""
    if not texts:
        return 0
    matrix = _tf_idf(texts)
    columns = matrix.T.tocsr()
    rows = []
    for start in range(0, len(texts), BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS] @ columns
        block.data[block.data < min_cosine] = 0.0
        block.eliminate_zeros()
        rows.append(block)
    count, _ = connected_components(sparse.vstack(rows), directed=False)
    return int(count)


def near_duplicate_pairs(texts: Sequence[str], min_cosine: float) -> list[tuple[int, int]]:
    """Indices of any two near-duplicates: by trigrams as in `prompts.leakage`, or by at least this TF-IDF cosine."""
    if not texts:
        return []
    by_words = _pairs(_tf_idf(texts), lambda block, _: block.data >= min_cosine)
    return sorted({*by_words, *_pairs(_trigram_rows(texts), _near_by_jaccard)})


def shared_passages(texts: Sequence[str], others: Sequence[str], length: int) -> dict[int, int]:
    """Texts that share a run of `length` words with another text: {index: index of the first such other}."""
    first_other: dict[tuple[str, ...], int] = {}
    for index, other in enumerate(others):
        for run in _runs(other, length):
            first_other.setdefault(run, index)
    shared = {
        index: [first_other[run] for run in _runs(text, length) if run in first_other]
        for index, text in enumerate(texts)
    }
    return {index: indices[0] for index, indices in shared.items() if indices}


def _near_by_jaccard(block: sparse.coo_matrix, sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(block.data / (sizes[block.row] + sizes[block.col] - block.data) >= NEAR_DUPLICATE)


def _pairs(
    matrix: sparse.csr_matrix, is_near: Callable[[sparse.coo_matrix, NDArray[np.float64]], NDArray[np.bool_]]
) -> Iterator[tuple[int, int]]:
    """Indices of two rows that `is_near` accepts, block by block; it gets products and squared lengths of rows."""
    columns = matrix.T.tocsr()
    sizes = np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
    for start in range(0, matrix.shape[0], BLOCK_ROWS):
        block = (matrix[start : start + BLOCK_ROWS] @ columns).tocoo()
        block = sparse.coo_matrix((block.data, (block.row + start, block.col)), shape=(matrix.shape[0],) * 2)
        near = is_near(block, sizes) & (block.row < block.col)
        yield from zip(block.row[near].tolist(), block.col[near].tolist(), strict=True)


def _trigram_rows(texts: Sequence[str]) -> sparse.csr_matrix:
    """A row of ones per text, for the character trigrams that it contains."""
    vocabulary: dict[str, int] = {}
    rows = [[vocabulary.setdefault(gram, len(vocabulary)) for gram in trigrams(text)] for text in texts]
    columns = [column for row in rows for column in row]
    starts = np.cumsum([0, *map(len, rows)])
    return sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(texts), max(1, len(vocabulary))))


def _runs(text: str, length: int) -> list[tuple[str, ...]]:
    all_words = words(text)
    return [tuple(all_words[start : start + length]) for start in range(len(all_words) - length + 1)]


def _tf_idf(texts: Sequence[str]) -> sparse.csr_matrix:
    """A row of length 1 per text: 1 + log count of each word and word pair, times its smoothed rarity."""
    vocabulary: dict[str, int] = {}
    columns: list[int] = []
    values: list[float] = []
    starts = [0]
    for text in texts:
        text_words = words(text)
        pairs = [f"{first} {second}" for first, second in pairwise(text_words)]
        for gram, count in Counter([*text_words, *pairs]).items():
            columns.append(vocabulary.setdefault(gram, len(vocabulary)))
            values.append(1 + float(np.log(count)))
        starts.append(len(columns))
    shape = (len(texts), max(1, len(vocabulary)))
    counts = sparse.csr_matrix((values, columns, starts), shape=shape)
    document_counts = np.bincount(np.asarray(columns, dtype=np.intp), minlength=shape[1])
    rarity = np.log((1 + len(texts)) / (1 + document_counts)) + 1
    weighted = counts @ sparse.diags(rarity)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1))).ravel()
    return (sparse.diags(1 / np.where(lengths > 0, lengths, 1.0)) @ weighted).tocsr()
