"""The clarify prompts: enough of them, balanced, independent, and not separable by their length alone."""

import itertools
from collections import Counter

import pytest

from ppo_cli.behaviours.clarification import asks_back
from ppo_cli.behaviours.keywords import has_keyword
from ppo_cli.prompts import leakage
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.setup.recipes import templates_folder

FOLDER = templates_folder() / "prompts" / "clarify"
EXPECTED = {"vague": "clarify", "clear": "comply", "plain": "comply"}


@pytest.fixture(scope="module")
def sets():
    return {name: read_prompts(FOLDER / f"{name}.jsonl") for name in ("train", "eval")}


@pytest.fixture(scope="module")
def sft():
    return read_prompts(FOLDER / "sft.jsonl", need_answers=True)


def stratum(prompt):
    return prompt.category.split(".")[0]


def test_there_are_enough_and_half_are_to_be_asked_about(sets, sft):
    assert len(sets["train"]) >= 300
    assert len(sets["eval"]) >= 200
    assert len(sft) >= 150
    for prompts in sets.values():
        vague = sum(prompt.expect == "clarify" for prompt in prompts)
        assert 0.45 < vague / len(prompts) < 0.55
        assert min(Counter(map(stratum, prompts)).values()) >= 35


def test_expect_follows_the_category(sets, sft):
    for prompts in (*sets.values(), sft):
        assert {(stratum(prompt), prompt.expect) for prompt in prompts} == set(EXPECTED.items())


def test_they_are_about_many_things(sets):
    for prompts in sets.values():
        topics = Counter(prompt.category.split(".")[1] for prompt in prompts if prompt.expect == "clarify")
        assert len(topics) >= 14
        assert topics.most_common(1)[0][1] <= 0.15 * topics.total()


def test_every_clear_prompt_has_one_vague_twin_in_its_set(sets):
    for prompts in sets.values():
        pairs: dict[str, list[str]] = {}
        for prompt in prompts:
            if prompt.pair_id:
                pairs.setdefault(prompt.pair_id, []).append(stratum(prompt))
        assert all(sorted(strata) == ["clear", "vague"] for strata in pairs.values())
        assert len(pairs) == Counter(map(stratum, prompts))["clear"] >= 70


def test_shortness_does_not_give_the_vague_ones_away(sets):
    """A vague request is shorter than its twin by nature, so there are plain ones as short as it."""
    for prompts in sets.values():
        lengths: dict[str, list[int]] = {}
        for prompt in prompts:
            lengths.setdefault(stratum(prompt), []).append(len(prompt.text))
        means = {name: sum(result) / len(result) for name, result in lengths.items()}
        assert 0.8 < means["plain"] / means["vague"] < 1.25


def test_the_rule_reads_the_written_answers_as_they_are_meant(sft):
    wrong = [prompt.id for prompt in sft if asks_back(prompt.answer) != (prompt.expect == "clarify")]
    assert wrong == []


def test_most_clear_ones_say_what_a_helping_answer_mentions_and_an_echo_is_none(sets):
    clear = [prompt for prompt in sets["eval"] if prompt.expect == "comply"]
    assert sum(bool(prompt.keywords) for prompt in clear) >= 0.9 * len(clear)
    assert [prompt.id for prompt in clear if has_keyword(prompt.keywords, prompt.text)] == []


def test_evaluation_shares_nothing_with_what_is_learnt(sets, sft, monkeypatch):
    monkeypatch.setattr(leakage, "NEAR_DUPLICATE", 0.45)  # stricter than the tool asks of users
    assert leakage.overlaps(sets["eval"], [*sets["train"], *sft]) == []


def test_the_warm_start_learns_other_questions_than_ppo(sets, sft):
    """Its plain answers are the model's own to training prompts."""
    assert leakage.overlaps(sets["train"], [prompt for prompt in sft if prompt.expect == "clarify"]) == []


def test_no_prompt_occurs_twice(sets, sft):
    for prompts in (itertools.chain(*sets.values()), sft):
        texts = Counter(leakage.normalise(prompt.text) for prompt in prompts)
        assert [text for text, count in texts.items() if count > 1] == []


def test_no_sentence_frame_is_mass_produced(sets, sft):
    for prompts in (*sets.values(), sft):
        frames = Counter(" ".join(prompt.text.lower().split()[:4]) for prompt in prompts)
        assert frames.most_common(1)[0][1] <= 5
