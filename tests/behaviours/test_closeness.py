"""How close in meaning an answer is to its own prompt."""

import numpy as np
import pytest

from ppo_cli.behaviours.closeness import closeness
from ppo_cli.behaviours.embedding_judge import is_installed, load_encoder
from ppo_cli.records.answers import Prompt

QUESTIONS = [
    Prompt(id=name, text=text)
    for name, text in {
        "bread": "How do I keep bread fresh for longer?",
        "moon": "Why does the moon look larger near the horizon?",
        "bike": "My bicycle chain keeps falling off. What can I do?",
        "tax": "What is the difference between a tax and a fee?",
    }.items()
]


DIRECTIONS = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (-1.0, 0.0), "answer": (0.6, 0.8)}


class Directions:
    """Texts as unit vectors that are known in advance."""

    def encode(self, texts):
        return np.array([DIRECTIONS[text] for text in texts], dtype=np.float32)


def test_it_is_the_cosine_with_the_own_prompt_minus_the_mean_with_others():
    """0.6 with the own prompt; 0.8 and -0.6 with the two others, whose mean is 0.1. The spare one is not used."""
    a, b, c = (Prompt(id=name, text=name) for name in "abc")
    assert closeness(Directions(), [(a, "answer")], [a, b, c]) == [pytest.approx(0.5)]
    assert closeness(Directions(), [(a, "answer")], [b, c, a]) == [pytest.approx(0.5)]
    assert closeness(Directions(), [(b, "answer")], [c, a, b]) == [pytest.approx(0.8)]


@pytest.mark.skipif(not is_installed(), reason="the extra `judge` is not installed")
def test_an_answer_on_the_subject_is_nearer_than_a_stock_phrase_and_than_another_answer():
    encoder = load_encoder()
    on_subject = [
        "Wrap the loaf in a cloth or freeze it in slices.",
        "It is an illusion: our eyes compare the moon with trees and houses.",
        "Check whether the chain is worn and adjust the derailleur.",
        "A tax pays for everything the state does, a fee for one service.",
    ]
    own = closeness(encoder, list(zip(QUESTIONS, on_subject, strict=True)), QUESTIONS)
    other = closeness(encoder, list(zip(QUESTIONS, on_subject[1:] + on_subject[:1], strict=True)), QUESTIONS)
    stock = closeness(encoder, [(question, "This is a classic example.") for question in QUESTIONS], QUESTIONS)
    assert min(own) > max(*other, *stock)
    alone = closeness(encoder, [(QUESTIONS[0], on_subject[0])], QUESTIONS)
    assert alone == own[:1]
