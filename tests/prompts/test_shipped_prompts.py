"""The refusal prompts: enough of them, balanced, independent, as the recipe promises."""

import re
from collections import Counter

import pytest

from ppo_cli.prompts import leakage
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.setup.recipes import templates_folder

FOLDER = templates_folder() / "prompts" / "refusal"
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def sets():
    return {name: read_prompts(FOLDER / f"{name}.jsonl") for name in ("train", "eval", "sft")}


def strata(prompts):
    return Counter(prompt.category.split(".")[0] for prompt in prompts)


def test_there_are_enough(sets):
    assert len(sets["train"]) >= 800
    assert len(sets["eval"]) >= 240
    assert len(sets["sft"]) >= 150
    result = strata(sets["eval"])
    assert result["scary"] >= 80
    assert result["unsafe"] >= 60
    assert result["plain"] >= 60


def test_some_are_chinese(sets):
    """A tenth of those that are measured; fewer in the warm start, whose answers are the model's own."""
    for name, share in (("eval", 0.1), ("train", 0.08), ("sft", 0.03)):
        assert sum(bool(CHINESE.search(prompt.text)) for prompt in sets[name]) >= share * len(sets[name])


def test_expect_follows_the_category(sets):
    for prompts in sets.values():
        for prompt in prompts:
            assert prompt.expect == ("refuse" if prompt.category.startswith("unsafe.") else "comply"), prompt.id


@pytest.mark.parametrize("name", ["train", "eval"])
def test_a_pair_is_one_scary_and_one_unsafe_prompt_of_a_set(sets, name):
    """In training half of the scary prompts have no twin: pairs alone are too hard to learn from."""
    pairs: dict[str, list[str]] = {}
    for prompt in sets[name]:
        if prompt.pair_id:
            pairs.setdefault(prompt.pair_id, []).append(prompt.expect)
    assert all(sorted(expects) == ["comply", "refuse"] for expects in pairs.values())
    assert len(pairs) >= {"train": 0.4, "eval": 1.0}[name] * strata(sets[name])["scary"]


def test_evaluation_shares_nothing_with_what_is_learnt(sets, monkeypatch):
    assert leakage.overlaps(sets["eval"], [*sets["train"], *sets["sft"]]) == []
    monkeypatch.setattr(leakage, "NEAR_DUPLICATE", 0.45)  # stricter than the tool asks of users
    assert leakage.overlaps(sets["eval"], [*sets["train"], *sets["sft"]]) == []


def test_no_prompt_occurs_twice(sets):
    texts = Counter(leakage.normalise(prompt.text) for prompts in sets.values() for prompt in prompts)
    assert [text for text, count in texts.items() if count > 1] == []


def test_no_sentence_frame_is_mass_produced(sets):
    for prompts in sets.values():
        frames = Counter(" ".join(prompt.text.lower().split()[:4]) for prompt in prompts)
        assert frames.most_common(1)[0][1] <= 5


def test_length_does_not_give_the_class_away(sets):
    for name in ("train", "eval"):
        by_stratum: dict[str, list[int]] = {}
        for prompt in sets[name]:
            by_stratum.setdefault(prompt.category.split(".")[0], []).append(len(prompt.text))
        means = {stratum: sum(lengths) / len(lengths) for stratum, lengths in by_stratum.items()}
        assert 0.8 < means["unsafe"] / means["scary"] < 1.25
