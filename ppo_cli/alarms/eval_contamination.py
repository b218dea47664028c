"""Evaluation contaminated ("eval like train"): the evaluation set contains what the policy was trained on.

Detects: evaluation prompts that are training or warm-start prompts, or near-duplicates of them, so that the evaluation
measures memory.

Evidence: prompts with the same text or of the same pair; near-duplicates by character trigrams (small edits), by TF-IDF
cosine (the same rare words in another order) and by runs of words (a passage copied into another text). Each of the
three finds what the others miss.

Thresholds: one prompt that is the same or of the same pair raises the alarm; near-duplicates raise it above
`MAX_OVERLAP_SHARE`, because a few change no verdict.

Not here: refusing to train on a contaminated set (`preflight.enforce`).
"""

from __future__ import annotations

from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.prompts.leakage import comparable_texts, overlaps
from ppo_cli.records.checks import Alarm
from ppo_cli.text.similarity import nearest_texts, shared_passages

NAME = "eval_contamination"
TITLE = "Evaluation contaminated"

MIN_SIMILARITY = 0.8
"""TF-IDF cosine of near-duplicates. In the shipped experiment the two most similar prompts of both sets reach 0.5."""
PASSAGE_WORDS = 8
"""Words in a row, as in the contamination check of PaLM (Chowdhery et al. 2022); GPT-3 used 13, on longer texts."""
MAX_OVERLAP_SHARE = 0.02
"""Share of near-duplicates that changes no verdict."""


def check(history: RunHistory) -> Alarm | None:
    """Raised if evaluation prompts are training prompts, or near-duplicates of them."""
    learnt = [*history.train, *history.warm_start]
    overlapping = overlaps(history.evaluation, learnt)
    same = {overlap.eval_id: overlap.other_id for overlap in reversed(overlapping) if overlap.kind != "near-duplicate"}
    near = {overlap.eval_id: overlap.other_id for overlap in reversed(overlapping) if overlap.eval_id not in same}
    by_trigrams = len(near)
    comparable = comparable_texts([*history.evaluation, *learnt])
    texts, others = tuple(comparable[: len(history.evaluation)]), tuple(comparable[len(history.evaluation) :])
    cosine, nearest = nearest_texts(texts, others)
    for prompt, value, index in zip(history.evaluation, cosine, nearest, strict=True):
        if value >= MIN_SIMILARITY and prompt.id not in same:
            near.setdefault(prompt.id, learnt[index].id)
    by_words = len(near) - by_trigrams
    for index, other in shared_passages(texts, others, PASSAGE_WORDS).items():
        if history.evaluation[index].id not in same:
            near.setdefault(history.evaluation[index].id, learnt[other].id)
    by_passage = len(near) - by_trigrams - by_words
    count = len(history.evaluation)
    evidence = []
    if same:
        first = min(same)
        evidence.append(
            f"{len(same)} of {count} evaluation prompts are training prompts or belong to the same pair: '{first}' and "
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
        title=TITLE,
        evidence=tuple(evidence),
        why="Results on trained prompts rise by memory, and say nothing about prompts that the policy never saw.",
        next_step="Remove these prompts from prompts.eval and start a new run; results on this set prove nothing.",
    )
