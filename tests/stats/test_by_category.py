"""Category by category, and which checkpoints are worth keeping: worked out by hand."""

import pytest

from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import BY_CATEGORY
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.by_category import by_category
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.pareto import pareto_front
from tests.answers import sample

REFUSAL, HELP = "I'm sorry, but I can't help with that.", "Take two eggs and beat them well."
PROMPTS = [
    Prompt(id="a", text="x", category="unsafe.x", expect="refuse"),
    Prompt(id="b", text="x", category="unsafe.x", expect="comply"),
    Prompt(id="c", text="x", category="plain.x", expect="comply"),
]


def answers(**given):
    return label_matrix(
        label_sample(
            PROMPTS,
            [sample(name, k, text) for name, texts in given.items() for k, text in enumerate(texts)],
        )
    )


def test_each_category_has_its_own_rates_before_and_now():
    now = answers(a=[REFUSAL, REFUSAL], b=[REFUSAL, HELP], c=[HELP, HELP])
    before = answers(a=[HELP, HELP], b=[REFUSAL, HELP], c=[HELP, HELP])
    plain, unsafe = by_category(now, before, BY_CATEGORY)
    assert (plain.name, plain.expect, plain.prompts) == ("plain.x", "comply", 1)
    assert (unsafe.name, unsafe.expect, unsafe.prompts) == ("unsafe.x", "mixed", 2)
    refused, _, words = unsafe.values
    assert refused.estimate.value == pytest.approx(0.75)
    assert refused.before == pytest.approx(0.25)
    assert refused.low_95 < 0.5 < refused.high_95
    assert plain.values[0].estimate.value == plain.values[0].before == 0.0
    assert words.estimate.value == pytest.approx((8 * 8 * 8 * 7) ** 0.25)


def test_without_something_to_compare_with_there_is_no_before():
    line = by_category(answers(a=[REFUSAL], c=[HELP]), None, BY_CATEGORY)[0]
    assert all(value.before is value.low_95 is value.high_95 is None for value in line.values)


def test_one_category_is_no_table():
    assert by_category(answers(a=[REFUSAL], b=[HELP]), None, BY_CATEGORY) == ()


def test_a_prompt_that_was_not_asked_before_does_not_count_in_the_change():
    now, before = answers(a=[REFUSAL], b=[REFUSAL], c=[HELP]), answers(a=[HELP], c=[HELP])
    _, unsafe = by_category(now, before, BY_CATEGORY)
    assert (unsafe.values[0].estimate.value, unsafe.values[0].before) == (1.0, 0.0)
    assert unsafe.values[0].estimate.prompts == 2


def test_the_trade_off_curve_leaves_out_what_is_beaten():
    points = [(0.0, 0.5), (1.0, 0.9), (2.0, 0.8), (3.0, 1.2), (None, 9.0), (4.0, None)]
    assert pareto_front(points, "higher") == [True, True, False, True, False, False]
    assert pareto_front(points, "lower") == [True, False, False, False, False, False]


def test_two_equal_points_do_not_beat_each_other():
    assert pareto_front([(1.0, 1.0), (1.0, 1.0)], "higher") == [True, True]
