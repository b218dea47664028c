"""Eval like train: the evaluation set holds what the policy has learnt from, so it measures memory.

Three ways of looking, for each misses something: character trigrams see small edits, TF-IDF the same rare words in
another order, runs of words a passage taken over into another text.

Not here: stopping a run before it begins (`ppo train` refuses what the trigrams find, unless forced).
"""

from __future__ import annotations

from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.prompts.leakage import overlaps
from ppo_cli.records.checks import Alarm
from ppo_cli.text.similarity import nearest_texts, shared_passages

NAME = "eval like train"

MIN_SIMILARITY = 0.8
"""TF-IDF cosine of near-duplicates. In the shipped experiment the two most alike prompts of both sets reach 0.5."""
PASSAGE_WORDS = 8
"""Words in a row, as in the contamination check of PaLM (Chowdhery et al. 2022); GPT-3 took 13, of longer texts."""
MAX_OVERLAP_SHARE = 0.02
"""Share of near-duplicates that changes no verdict. The very same prompt, or one of the same pair, rings always."""


def eval_contamination(seen: RunHistory) -> Alarm | None:
    """Rings if evaluation prompts are those of training, or near-duplicates of them."""
    learnt = [*seen.train, *seen.warm_start]
    found = overlaps(seen.evaluation, learnt)
    same = {overlap.eval_id: overlap.other_id for overlap in reversed(found) if overlap.kind != "near-duplicate"}
    near = {overlap.eval_id: overlap.other_id for overlap in reversed(found) if overlap.eval_id not in same}
    by_trigrams = len(near)
    texts, others = tuple(prompt.text for prompt in seen.evaluation), tuple(prompt.text for prompt in learnt)
    likeness, places = nearest_texts(texts, others)
    for prompt, value, place in zip(seen.evaluation, likeness, places, strict=True):
        if value >= MIN_SIMILARITY and prompt.id not in same:
            near.setdefault(prompt.id, learnt[place].id)
    by_words = len(near) - by_trigrams
    for place, other in shared_passages(texts, others, PASSAGE_WORDS).items():
        if seen.evaluation[place].id not in same:
            near.setdefault(seen.evaluation[place].id, learnt[other].id)
    by_passage = len(near) - by_trigrams - by_words
    count = len(seen.evaluation)
    evidence = []
    if same:
        first = min(same)
        evidence.append(
            f"{len(same)} of {count} evaluation prompts are those of training or their pairs: '{first}' and "
            f"'{same[first]}'"
        )
    if near and (same or len(near) > MAX_OVERLAP_SHARE * count):
        first = min(near)
        evidence.append(
            f"{len(near)} of {count} are near-duplicates ({by_trigrams} by trigrams, {by_words} more by TF-IDF, "
            f"{by_passage} more by {PASSAGE_WORDS} words in a row): '{first}' and '{near[first]}'"
        )
    if not evidence:
        return None
    return Alarm(
        name=NAME,
        evidence=tuple(evidence),
        why="An evaluation that was trained on rises by memory, and says nothing of prompts that the policy never saw.",
        next_step="Take these prompts out of prompts.eval and start anew; results on this set prove nothing.",
    )
