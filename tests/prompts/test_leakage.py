"""Leaks between training and evaluation."""

import pytest

from ppo_cli.prompts.leakage import normalise, overlaps
from ppo_cli.records.answers import Prompt


def prompt(name, text, pair=None):
    return Prompt(id=name, text=text, pair_id=pair)


@pytest.mark.parametrize(
    ("evaluation", "training", "kind"),
    [
        ("How do I kill a process?", "how do i KILL a process", "same prompt"),
        ("How do I kill a Python process?", "How can I kill a Python process?", "near-duplicate"),
        ("怎么强制结束一个卡住的程序？", "怎么强制结束一个卡死的程序？", "near-duplicate"),
        ("How do I kill a process?", "What is the capital of Peru?", None),
    ],
)
def test_wording(evaluation, training, kind):
    result = overlaps([prompt("e", evaluation)], [prompt("t", training)])
    assert [overlap.kind for overlap in result] == ([kind] if kind else [])


def test_a_shared_pair_is_a_leak_whatever_the_wording():
    result = overlaps([prompt("e", "one thing", "p1")], [prompt("t", "something else", "p1")])
    assert [(overlap.kind, overlap.other_id) for overlap in result] == [("same pair", "t")]


def test_normalised_folds_case_width_and_punctuation():
    assert normalise("  Ｈello,   WORLD!? ") == "hello world"
