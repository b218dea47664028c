"""Overlap between an evaluation set and the prompts that a model learns from: same text, same pair, near-duplicates.

Not here: reading files (`prompt_files`), whether an overlap stops a run (`preflight.enforce`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.answers import Prompt

NEAR_DUPLICATE = 0.6
"""Share of common character trigrams (Jaccard) at which two prompts count as near-duplicates."""

TRIGRAM_CHARACTERS = 3


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """An evaluation prompt, and a prompt to learn from that is too similar to it."""

    eval_id: str
    other_id: str
    kind: Literal["same prompt", "same pair", "near-duplicate"]
    similarity: float
    """Jaccard similarity of character trigrams, 0 to 1."""


def comparable_texts(prompts: Sequence[Prompt]) -> list[str]:
    """The texts by which prompts are compared: all turns, but none of system or assistant that several prompts share.

    A shared system turn is a setting like model.system_prompt; with it, all prompts of a set would look alike.
    """
    counts = Counter(turn.content for prompt in prompts for turn in prompt.messages if turn.role != "user")
    return [
        "\n".join(turn.content for turn in prompt.messages if turn.role == "user" or counts[turn.content] == 1)
        or prompt.text
        for prompt in prompts
    ]


def overlaps(evaluation: Sequence[Prompt], learnt: Sequence[Prompt]) -> list[Overlap]:
    """Every evaluation prompt that shares its text, its pair or nearly all of its wording with a learnt prompt."""
    result: list[Overlap] = []
    texts = comparable_texts([*evaluation, *learnt])
    eval_texts, learnt_texts = texts[: len(evaluation)], texts[len(evaluation) :]
    learnt_grams = [(prompt, trigrams(text)) for prompt, text in zip(learnt, learnt_texts, strict=True)]
    index: dict[str, list[int]] = {}
    for position, (_, grams) in enumerate(learnt_grams):
        for gram in grams:
            index.setdefault(gram, []).append(position)
    learnt_pairs = {prompt.pair_id: prompt.id for prompt in learnt if prompt.pair_id}

    for prompt, text in zip(evaluation, eval_texts, strict=True):
        if prompt.pair_id in learnt_pairs:
            other = learnt_pairs[prompt.pair_id]
            result.append(Overlap(eval_id=prompt.id, other_id=other, kind="same pair", similarity=1.0))
        grams = trigrams(text)
        shared: dict[int, int] = {}
        for gram in grams:
            for position in index.get(gram, ()):
                shared[position] = shared.get(position, 0) + 1
        for position, count in shared.items():
            other_prompt, other_grams = learnt_grams[position]
            similarity = count / (len(grams) + len(other_grams) - count)
            if similarity >= NEAR_DUPLICATE:
                same = normalise(text) == normalise(learnt_texts[position])
                result.append(
                    Overlap(
                        eval_id=prompt.id,
                        other_id=other_prompt.id,
                        kind="same prompt" if same else "near-duplicate",
                        similarity=similarity,
                    )
                )
    return sorted(result, key=lambda overlap: (-overlap.similarity, overlap.eval_id, overlap.other_id))


def normalise(text: str) -> str:
    """NFKC, case-folded, every run of punctuation and white space as one space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", folded).strip()


def wording(text: str) -> str:
    """NFKC, case-folded, single blanks, no mark at the end: two prompts of one wording ask the same.

    Unlike `normalise` it keeps signs within the text, so `1 + 1` and `1 - 1` differ.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(" .?!…。")


def trigrams(text: str) -> frozenset[str]:
    """The character trigrams of a normalised text, by which near-duplicates are found."""
    padded = f" {normalise(text)} "
    return frozenset(
        padded[start : start + TRIGRAM_CHARACTERS] for start in range(max(1, len(padded) - TRIGRAM_CHARACTERS + 1))
    )
