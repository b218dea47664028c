"""The words of a text."""

from ppo_cli.text.words import words


def test_words_are_lower_case_and_a_chinese_character_is_a_word():
    assert words("Don't stop—now!") == ["don't", "stop", "now"]
    assert words("我爱 Python3") == ["我", "爱", "python3"]
