"""Overlap between an evaluation set and the prompts that a model learns from: same text, same pair, near-duplicates.

Not here: reading files (`prompt_files`), whether an overlap stops a run (`preflight.enforce`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.answers import Prompt

NEAR_DUPLICATE = 0.6
"""Share of common character trigrams (Jaccard) at which two prompts count as near-duplicates."""

TRIGRAM_CHARACTERS = 3
MIN_SHARING_PROMPTS, MIN_SHARING_SHARE = 5, 0.2
"""From so many prompts, and so large a share of them, sentences in common are an instruction that each repeats."""
MIN_SHARED_WORDS = 8
"""Words in common below which a prompt keeps them: "How do I cook rice?" in many prompts is a subject."""
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|(?<=[。！？：])|\n+")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """An evaluation prompt, and a prompt to learn from that is too similar to it."""

    eval_id: str
    other_id: str
    kind: Literal["same prompt", "same pair", "near-duplicate"]
    similarity: float
    """Jaccard similarity of character trigrams, 0 to 1."""


def comparable_texts(prompts: Sequence[Prompt]) -> list[str]:
    """The texts by which prompts are compared: all turns, without what many of them share.

    Left out are turns of system or assistant that several prompts share, since they are a setting like
    model.system_prompt, and sentences of an instruction that many prompts repeat before or after their own text. With
    them, all prompts of a set would look alike.
    """
    return _without_instruction(_own_turns(prompts))


def _own_turns(prompts: Sequence[Prompt]) -> list[str]:
    counts = Counter(turn.content for prompt in prompts for turn in prompt.messages if turn.role != "user")
    return [
        "\n".join(turn.content for turn in prompt.messages if turn.role == "user" or counts[turn.content] == 1)
        or prompt.text
        for prompt in prompts
    ]


def _without_instruction(texts: Sequence[str]) -> list[str]:
    """Each text without the sentences that many of them share; the whole text where nothing else is in it."""
    split = [[(sentence, normalise(sentence)) for sentence in _SENTENCE_END.split(text)] for text in texts]
    counts = Counter(key for sentences in split for key in {key for _, key in sentences})
    least = max(MIN_SHARING_PROMPTS, MIN_SHARING_SHARE * len(texts))
    shared = {key for key, count in counts.items() if count >= least}
    return [_own_sentences(text, sentences, shared) for text, sentences in zip(texts, split, strict=True)]


def _own_sentences(text: str, sentences: Sequence[tuple[str, str]], shared: AbstractSet[str]) -> str:
    """The text, or its own sentences where those that it shares are as long as an instruction.

    Args:
        text: the whole.
        sentences: its sentences, each with its normalised form.
        shared: normalised sentences that many texts have.
    """
    own = [sentence for sentence, key in sentences if key and key not in shared]
    left_out = sum(len(_WORD.findall(key)) for _, key in sentences if key in shared)
    return " ".join(own) if own and left_out >= MIN_SHARED_WORDS else text


def overlaps(evaluation: Sequence[Prompt], learnt: Sequence[Prompt]) -> list[Overlap]:
    """Every evaluation prompt that shares its text, its pair or nearly all of its wording with a learnt prompt."""
    result: list[Overlap] = []
    whole = _own_turns([*evaluation, *learnt])
    texts = _without_instruction(whole)
    count = len(evaluation)
    eval_texts, learnt_texts = texts[:count], texts[count:]
    eval_whole, learnt_whole = whole[:count], whole[count:]
    learnt_grams = [(prompt, trigrams(text)) for prompt, text in zip(learnt, learnt_texts, strict=True)]
    index: dict[str, list[int]] = {}
    for position, (_, grams) in enumerate(learnt_grams):
        for gram in grams:
            index.setdefault(gram, []).append(position)
    learnt_pairs = {prompt.pair_id: prompt.id for prompt in learnt if prompt.pair_id}

    for prompt, text, whole_text in zip(evaluation, eval_texts, eval_whole, strict=True):
        if prompt.pair_id in learnt_pairs:
            other = learnt_pairs[prompt.pair_id]
            result.append(Overlap(eval_id=prompt.id, other_id=other, kind="same pair", similarity=1.0))
        grams = trigrams(text)
        shared: dict[int, int] = {}
        for gram in grams:
            for position in index.get(gram, ()):
                shared[position] = shared.get(position, 0) + 1
        for position, common in shared.items():
            other_prompt, other_grams = learnt_grams[position]
            similarity = common / (len(grams) + len(other_grams) - common)
            if similarity >= NEAR_DUPLICATE:
                same = normalise(whole_text) == normalise(learnt_whole[position])
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
