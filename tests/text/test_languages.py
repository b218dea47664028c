"""The language of a text, on sentences of eleven languages that are read and of others."""

import pytest

from ppo_cli.text.chinese import simplified
from ppo_cli.text.languages import OTHER, language_of
from tests.behaviours import language_examples, refusal_examples, refusal_wordings

MIN_WORDS = 5
"""Words from which a sentence in Latin letters is expected to be told apart."""


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (language, text)
        for group in (language_examples.REFUSALS, language_examples.ANSWERS)
        for language, texts in group.items()
        for text in texts
        if not text.isascii() or len(text.split()) >= MIN_WORDS
    ],
)
def test_the_language_of_a_sentence_is_found(language, text):
    assert language_of(text) == language


def test_english_and_chinese_are_not_taken_for_another_language():
    texts = [
        text
        for group in (refusal_examples.REFUSALS, refusal_examples.ANSWERS)
        for some in group.values()
        for text in some
    ]
    texts += [
        *refusal_wordings.REFUSALS,
        *refusal_wordings.ANSWERS,
        "Paris, Rome, Madrid.",
        "Press it.",
        "42",
        "",
        "x = 1",
    ]
    assert {language_of(text) for text in texts} == {"english", "chinese"}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("使用 Python 的进程。", "chinese"),
        ("靴です。", "japanese"),
        ("Het is niet ver, maar je kan ook met de bus.", "dutch"),
        ("Das ist alles.", "german"),
        ("ขอโทษค่ะ", OTHER),
        ("Mji huu ni wa kale na uko kando ya bahari", "swahili"),
        ("blorp snarg " * 20, OTHER),
        ("Emma, Noah, Olivia, Liam, " * 6, "english"),
        ("<div class='row'><span>x</span></div>\n" * 5, "english"),
        ("la casa è qui e la strada è lì", "italian"),
    ],
)
def test_other_languages_have_a_name_or_none(text, language):
    assert language_of(text) == language


def test_a_text_is_read_at_its_beginning_and_in_linear_time():
    assert language_of("the house is on the hill and " * 4000 + "ขอโทษค่ะ") == "english"
    for unit in ("a'", "não ", "не ", "é", "अ "):
        language_of(unit * 50_000)


def test_traditional_characters_are_written_as_simplified_ones():
    assert simplified("請問您無法說明嗎") == "请问您无法说明吗"
    assert simplified("Plain text, 明天见。") == "Plain text, 明天见。"
