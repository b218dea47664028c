"""List items in a text."""

import pytest

from ppo_cli.text.lists import count_list_items, is_list_item, without_list_items


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("- one\n- two", 2),
        ("1. one\n2) two\n3、 three", 3),
        ("Steps:\n  * a\n\t• b", 2),
        ("        + eight blanks\n         + nine blanks", 1),
        ("-one\n1.one\n- ", 0),
        ("2 - 1 is 1.\nSo it is.", 0),
        ("1234. year", 0),
    ],
)
def test_items_are_counted(text, items):
    assert count_list_items(text) == items


def test_a_text_without_its_items_keeps_the_other_lines():
    assert without_list_items("Ask:\n- What?\n- Who?\nThen write.") == "Ask:\n \n \nThen write."


@pytest.mark.parametrize(("line", "item"), [("- one", True), (" " * 20 + "2. two", True), ("one - two", False)])
def test_one_line(line, item):
    assert is_list_item(line) is item
