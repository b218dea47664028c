"""Numbers as text."""

from ppo_cli.text.numbers import format_number


def test_numbers_have_a_true_minus_and_no_minus_before_zero():
    assert [format_number(-1.234), format_number(-0.001), format_number(0.5, 1)] == ["−1.23", "0.00", "0.5"]
