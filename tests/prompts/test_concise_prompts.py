"""The concise prompts: enough of them, varied, independent, and checkable without the answer in the question."""

from collections import Counter

import pytest

from ppo_cli.behaviours.keywords import has_keyword
from ppo_cli.prompts import leakage
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.setup.recipes import templates_folder

FOLDER = templates_folder() / "prompts" / "concise"
STRATA = {"fact", "how", "explain", "advice", "small"}


@pytest.fixture(scope="module")
def sets():
    return {name: read_prompts(FOLDER / f"{name}.jsonl") for name in ("train", "eval")}


@pytest.fixture(scope="module")
def sft():
    return read_prompts(FOLDER / "sft.jsonl", need_answers=True)


def test_there_are_enough_of_every_kind(sets):
    assert len(sets["train"]) >= 300
    assert len(sets["eval"]) >= 200
    for prompts in sets.values():
        result = Counter(prompt.category.split(".")[0] for prompt in prompts)
        assert set(result) == STRATA
        assert min(result.values()) >= 25


def test_all_are_to_be_answered(sets, sft):
    assert {prompt.expect for prompts in (*sets.values(), sft) for prompt in prompts} == {"comply"}


def test_nearly_all_say_what_a_helping_answer_mentions(sets):
    for prompts in sets.values():
        assert sum(bool(prompt.keywords) for prompt in prompts) >= 0.95 * len(prompts)


def test_an_echo_of_the_question_is_no_help(sets, sft):
    result = [prompt for prompts in (*sets.values(), sft) for prompt in prompts]
    assert [prompt.id for prompt in result if has_keyword(prompt.keywords, prompt.text)] == []


def test_a_written_answer_mentions_what_it_should(sft):
    assert [prompt.id for prompt in sft if prompt.keywords and not has_keyword(prompt.keywords, prompt.answer)] == []


def test_evaluation_shares_nothing_with_what_is_learnt(sets, sft, monkeypatch):
    assert leakage.overlaps(sets["eval"], [*sets["train"], *sft]) == []
    monkeypatch.setattr(leakage, "NEAR_DUPLICATE", 0.45)  # stricter than the tool asks of users
    assert leakage.overlaps(sets["eval"], [*sets["train"], *sft]) == []


def test_no_prompt_occurs_twice(sets):
    texts = Counter(leakage.normalise(prompt.text) for prompts in sets.values() for prompt in prompts)
    assert [text for text, count in texts.items() if count > 1] == []


def test_no_sentence_frame_is_mass_produced(sets):
    for prompts in sets.values():
        frames = Counter(" ".join(prompt.text.lower().split()[:4]) for prompt in prompts)
        assert frames.most_common(1)[0][1] <= 5
