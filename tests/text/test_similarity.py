"""How similar the wording of texts is."""

import numpy as np
import pytest

from ppo_cli.text.similarity import count_topics, near_duplicate_pairs, nearest_texts, shared_passages


def test_the_same_rare_words_in_another_order_are_similar():
    cosine, nearest = nearest_texts(("yaks play chess in bolivia",), ("in bolivia yaks play chess", "rain in spain"))
    assert nearest[0] == 0
    assert cosine[0] > 0.8


def test_the_similarity_of_equal_and_of_unrelated_texts():
    assert nearest_texts(("one two",), ("one two",))[0][0] == pytest.approx(1.0)
    assert nearest_texts(("one two",), ("three four",))[0][0] == 0.0
    assert np.array_equal(nearest_texts((), ("a",))[0], [])


def test_topics_are_groups_of_similar_texts():
    assert count_topics(("a b", "a b", "c d", "!"), 0.5) == 3
    assert count_topics((), 0.5) == 0


def test_near_duplicates_by_trigrams_and_by_words():
    texts = [
        "How do I bake bread at home?",
        "How do I bake breads at home?",
        "yaks chess bolivia",
        "bolivia chess yaks",
    ]
    assert near_duplicate_pairs(texts, 0.6) == [(0, 1), (2, 3)]
    assert near_duplicate_pairs([], 0.6) == []


def test_a_shared_passage_names_the_first_other_text():
    others = ["nothing in common", "she said that the old clock struck noon", "that the old clock struck"]
    assert shared_passages(["Why is it that the old clock stopped?", "Other words."], others, 4) == {0: 1}
