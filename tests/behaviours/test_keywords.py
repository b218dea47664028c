"""Whether an answer has one of the words that its prompt expects."""

import pytest

from ppo_cli.behaviours.keywords import EARLY_WORDS, has_keyword, has_keyword_early


@pytest.mark.parametrize(
    ("expected", "answer", "found"),
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
def test_one_expected_word_is_enough(expected, answer, found):
    assert has_keyword(expected, answer) is found


@pytest.mark.parametrize(("before", "found"), [(EARLY_WORDS - 1, True), (EARLY_WORDS, False)])
def test_at_once_is_within_the_first_words(before, found):
    assert has_keyword_early(["paris"], "well " * before + "Paris.") is found
