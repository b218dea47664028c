"""Whether an answer contains one of its prompt's keywords."""

import pytest

from ppo_cli.behaviours.keywords import EARLY_WORDS, has_keyword, has_keyword_early


@pytest.mark.parametrize(
    ("keywords", "answer", "contained"),
    [
        (["paris"], "It is Paris.", True),
        (["lyon", "paris"], "It is Paris.", True),
        (["paris"], "It is nice.", False),
        (["paris"], "", False),
        (["four"], "There are fourteen.", False),
        (["art"], "A part of it.", False),
        (["evaporat*"], "It evaporates.", True),
        (["evaporat*"], "It reevaporates.", False),
        (["cold water"], "Rinse it with cold water.", True),
        (["cold water"], "Water it when it is cold.", False),
        (["doesn't"], "She doesn’t like tea.", True),
        (["1,000"], "It is 1,000 grams.", True),
        ([], "Anything.", False),
    ],
)
def test_one_keyword_is_enough(keywords, answer, contained):
    assert has_keyword(keywords, answer) is contained


@pytest.mark.parametrize(("before", "contained"), [(EARLY_WORDS - 1, True), (EARLY_WORDS, False)])
def test_early_is_within_the_first_words(before, contained):
    assert has_keyword_early(["paris"], "well " * before + "Paris.") is contained
