"""The first words of a text."""

from ppo_cli.text.openings import opening


def test_an_opening_is_four_words_without_case_and_marks():
    assert opening("**I'm sorry**, but I can't") == opening("I'm sorry but I shall") == ("i'm", "sorry", "but", "i")


def test_a_shorter_text_is_its_own_opening():
    assert opening("No.") == ("no",)
    assert opening("...") == ()


def test_another_length():
    assert opening("One two three.", 2) == ("one", "two")
