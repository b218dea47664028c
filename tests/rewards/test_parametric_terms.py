"""The terms with parameters, by numbers worked out by hand."""

import signal
import threading

import pytest
from pydantic import ValidationError

from ppo_cli.errors import CheckFailedError
from ppo_cli.experiment.schema import Reward
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.setup.reward_resources import needs_no_resources

ASKED = Prompt(id="p", text="Name a fruit.")


def score(text, type_, tokens=9, **parameters):
    reward = CompositeReward(Reward(baseline="none", terms={"it": {"type": type_, **parameters}}))
    return reward([ASKED], [Answer(text=text, token_count=tokens, finish="eos")], [()])[0].terms["it"]


@pytest.mark.parametrize(
    ("count", "expected"), [(0, 0.5), (1, 0.75), (2, 1.0), (4, 1.0), (5, 0.75), (7, 0.25), (8, 0.0), (20, 0.0)]
)
def test_a_length_band_falls_linearly_outside(count, expected):
    assert score("so " * count, "length_band", min=2, max=4, margin=4) == expected


def test_a_length_band_counts_chinese_characters_or_tokens_and_may_have_no_margin():
    assert score("一个苹果", "length_band", min=4, max=4, margin=0) == 1.0
    assert score("一个苹", "length_band", min=4, max=4, margin=0) == 0.0
    assert score("one", "length_band", tokens=7, min=7, max=7, margin=0, unit="tokens") == 1.0


BRIEF = {"min": 3, "max": 8, "margin": 10}


@pytest.mark.parametrize(
    "better",
    [
        "Pears and apples are fruit one can name.",
        "Pears and apples are fruit one can name, and there are a few more.",
    ],
)
@pytest.mark.parametrize("worse", ["", "Pear.", "I would be happy to talk.", "Name a fruit.", "Fruit fruit fruit."])
def test_a_short_answer_that_does_not_help_loses_against_a_long_one_that_does(better, worse):
    assert score(better, "on_topic_length", **BRIEF) > score(worse, "on_topic_length", **BRIEF)


def test_of_two_answers_on_topic_the_shorter_one_wins():
    short, long = "Pears and apples are fruit one can name.", "Pears and apples are fruit one can name, and a few more."
    assert score(short, "on_topic_length", **BRIEF) == 1.0
    assert score(long, "on_topic_length", **BRIEF) == pytest.approx(0.6)  # 12 words, four too many


def test_repetition_is_the_share_of_repeated_four_grams_less_what_is_tolerated():
    looped = "a b c d a b c d"  # grams abcd bcda cdab dabc abcd: one of five was there before
    assert score(looped, "repetition") == pytest.approx(-0.2)
    assert score(looped, "repetition", tolerated=0.2) == 0.0
    assert score(looped, "repetition", tolerated=0.1) == pytest.approx(-0.1 / 0.9)
    assert score("", "repetition") == 0.0


@pytest.mark.parametrize(
    ("text", "form", "fits"),
    [
        ('{"fruit": "apple"}', "json", True),
        (" [1, 2]\n", "json", True),
        ("7", "json", False),
        ('{"fruit": ', "json", False),
        ("[" * 100_000, "json", False),
        ("- apple\n- pear", "list", True),
        ("1. apple\n2) pear", "list", True),
        ("- apple", "list", False),
        ("Which one? ", "question", True),
        ("哪一个？", "question", True),
        ("Which? This.", "question", False),
    ],
)
def test_forms(text, form, fits):
    assert score(text, "format", form=form) == float(fits)


def test_a_regular_expression_is_searched_for():
    assert score("Fruit: apple", "format", form="regex", pattern=r"^Fruit: \w+$") == 1.0
    assert score("A fruit: apple", "format", form="regex", pattern=r"^Fruit: \w+$") == 0.0


def test_phrases_are_whole_words_in_any_case():
    phrases = ["I'm sorry", "help with"]
    assert score("i’m SORRY, no", "required_phrases", phrases=["i’m sorry"]) == 1.0
    assert score("I'm sorry, I can't help you with that.", "required_phrases", phrases=phrases) == 0.5
    assert score("I'm sorry, I can't help: with", "required_phrases", phrases=phrases) == 1.0
    assert score("An art", "forbidden_phrases", phrases=["a", "tar"]) == 0.0
    assert score("An artist", "forbidden_phrases", phrases=["artist", "oil"]) == -1.0
    assert score("对不起，我不能", "forbidden_phrases", phrases=["不能"]) == -1.0
    assert score("No :-)", "forbidden_phrases", phrases=[":-)"]) == -1.0


def test_a_pattern_that_backtracks_for_ever_ends_with_a_sentence(monkeypatch):
    monkeypatch.setattr("ppo_cli.rewards.pattern_search.MAX_PATTERN_SECONDS", 0.2)
    with pytest.raises(CheckFailedError, match=r"term it failed: TimeoutError: the pattern takes more than 0\.2 s"):
        score("a" * 60 + "!", "format", form="regex", pattern=r"^(a+)+$")
    assert score("aaa", "format", form="regex", pattern=r"^(a+)+$") == 1.0
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_in_another_thread_a_pattern_has_the_same_limit(monkeypatch):
    monkeypatch.setattr("ppo_cli.rewards.pattern_search.MAX_PATTERN_SECONDS", 0.2)
    results = []

    def search():
        for text in ("aaa", "b", "a" * 60 + "!"):
            try:
                results.append(score(text, "format", form="regex", pattern=r"^(a+)+$"))
            except CheckFailedError as error:
                results.append(error.message)

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert results[:2] == [1.0, 0.0]
    assert "the pattern takes more than 0.2 s for one answer" in results[2]


def test_a_pattern_is_run_by_no_command_that_only_looks():
    def reward(**term):
        return Reward(terms={"it": {"type": "format", **term}})

    assert not needs_no_resources(reward(form="regex", pattern="^a"))
    assert needs_no_resources(reward(form="list"))


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_cannot_be_compiled_is_named(pattern):
    with pytest.raises(ValidationError, match="is no regular expression"):
        Reward(terms={"it": {"type": "format", "form": "regex", "pattern": pattern}})
