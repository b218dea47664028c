"""JSON of any origin gives values that the program can handle, or a ValueError."""

import pytest

from ppo_cli.records.json_text import json_value


@pytest.mark.parametrize(
    "text", ["NaN", "1e999", "[-1e400]", "9" * 400, "9" * 400 + ".5", "[" * 65 + "]" * 65, "{", b"\xff"]
)
def test_what_no_record_holds_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"\S"):
        json_value(text)


@pytest.mark.parametrize(("text", "value"), [("1e300", 1e300), ("[1E2, 1e-999]", [100.0, 0.0]), ('"1e999"', "1e999")])
def test_ordinary_numbers_are_read(text, value):
    assert json_value(text) == value
