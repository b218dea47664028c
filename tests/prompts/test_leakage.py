"""Leaks between training and evaluation."""

from pathlib import Path

import pytest

from ppo_cli.prompts.leakage import comparable_texts, normalise, overlaps
from ppo_cli.prompts.prompt_files import read_prompts
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


INSTRUCTION = (
    "You are a patient assistant of a small library. Answer in one short sentence, and say so if you are unsure."
)
SUBJECTS = "bread rain violins harbours algebra bicycles candles deserts engines feathers glaciers hammers".split()
BLANK = Path(__file__).parents[2] / "configs/prompts/blank"
TRAIN, EVALUATION = ([row.text for row in read_prompts(BLANK / f"{name}.jsonl")] for name in ("train", "eval"))


def asked(name, form, texts):
    return [prompt(f"{name}{place}", form.format(text)) for place, text in enumerate(texts)]


@pytest.mark.parametrize("form", [f"{INSTRUCTION}\n\n{{}}", f"{INSTRUCTION} {{}}", f"{{}} {INSTRUCTION}"])
def test_an_instruction_that_all_prompts_repeat_makes_no_near_duplicates(form):
    train, evaluation = asked("t", form, TRAIN), asked("e", form, EVALUATION)
    assert overlaps(evaluation, train) == []
    near = form.format(f"Please: {EVALUATION[5]}")
    found = overlaps(evaluation, [*train, prompt("copy", evaluation[3].text), prompt("near", near)])
    assert [(overlap.eval_id, overlap.other_id, overlap.kind) for overlap in found] == [
        ("e3", "copy", "same prompt"),
        ("e5", "near", "near-duplicate"),
    ]


def test_another_instruction_on_the_same_text_is_near_and_not_the_same():
    forms = (f"{verb} this text for readers who know nothing of the subject: {{}}" for verb in ("Shorten", "Judge"))
    train, evaluation = (asked(name, form, TRAIN) for name, form in zip("te", forms, strict=True))
    found = overlaps(evaluation, train)
    assert len(found) == len(TRAIN)
    assert {(overlap.kind, overlap.eval_id[1:] == overlap.other_id[1:]) for overlap in found} == {
        ("near-duplicate", True)
    }


def test_a_prompt_that_is_nothing_but_the_instruction_keeps_it():
    prompts = [*asked("t", f"{INSTRUCTION} {{}}", [f"Where do {subject} come from?" for subject in SUBJECTS])]
    assert comparable_texts([*prompts, prompt("x", INSTRUCTION)])[-1] == INSTRUCTION


def test_short_sentences_that_many_prompts_share_are_a_subject():
    prompts = asked("t", "How do I cook rice? It is {}.", SUBJECTS)
    assert comparable_texts(prompts) == [prompt.text for prompt in prompts]
