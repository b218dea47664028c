"""Which words say what texts are about."""

from ppo_cli.text.content_words import common_words, content_words


def test_words_of_grammar_and_of_asking_are_no_content():
    assert content_words("Why do the cats of 1999 like a warm stove?") == {"cats", "like", "warm", "stove"}


def test_chinese_characters_count_in_pairs():
    assert "米饭" in content_words("怎么煮米饭？")
    assert "么煮" not in content_words("怎么煮米饭？")


def test_a_word_counts_once_per_text_and_only_in_two_texts_or_more():
    assert common_words(["rice rice rice", "brown rice", "brown bread"], 5) == [("brown", 2), ("rice", 2)]
    assert common_words(["rice rice rice", "brown rice", "brown bread"], 1) == [("brown", 2)]
