"""How close in meaning an answer is to its own prompt, by the sentence encoder of the second judge.

The encoder is no language model and no term of a reward uses it, so it checks the fit to the prompt (`fits_prompt`)
where the reward scores that. It is there with the extra `judge`; without it nothing is measured.

Not here: the encoder's files (`embedding_judge`), which answers are measured (`evaluation.first_answer_fit`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ppo_cli.behaviours.embedding_judge import CHARACTERS, Encoder
from ppo_cli.records.answers import Prompt


def closeness(encoder: Encoder, pairs: Sequence[tuple[Prompt, str]], others: Sequence[Prompt]) -> list[float]:
    """For each answer, its cosine with its own prompt minus its mean cosine with other prompts; 0 by chance.

    Texts are embedded one by one, so that no value depends on which others are measured with it.

    Args:
        encoder: gives embeddings of unit length.
        pairs: (prompt, text of an answer); the answer has a word.
        others: prompts to compare with, one more than are used; an answer's own prompt is left out.
    """
    prompts = {prompt: _embedding(encoder, prompt.text) for prompt in dict.fromkeys([*others, *(p for p, _ in pairs)])}
    values = []
    for prompt, text in pairs:
        answer = _embedding(encoder, text)
        rest = [other for other in others if other != prompt][: len(others) - 1]
        by_chance = np.mean([prompts[other] @ answer for other in rest], dtype=np.float64)
        values.append(float(prompts[prompt] @ answer - by_chance))
    return values


def _embedding(encoder: Encoder, text: str) -> NDArray[np.float64]:
    return np.asarray(encoder.encode([text[:CHARACTERS]])[0], dtype=np.float64)
