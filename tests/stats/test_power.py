"""How many prompts an effect takes, against numbers worked out by hand."""

import math

import pytest

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.power import minimum_detectable_change, missing_expectations, required_prompts


def prompts(**counts):
    return [
        Prompt(id=f"{expect}-{number}", text=f"{expect} {number}", expect=expect)
        for expect, count in counts.items()
        for number in range(count)
    ]


def test_a_rate_shows_2_8_standard_errors():
    found = minimum_detectable_change(measure_named("ending.eos"), prompts(any=200))
    assert found == pytest.approx((1.959964 + 0.841621) * 0.35 * math.sqrt(2 / 200), rel=1e-4)


def test_only_prompts_that_the_measure_is_over_count():
    many = minimum_detectable_change(measure_named("refusal.unsafe"), prompts(refuse=50, comply=500))
    assert many == minimum_detectable_change(measure_named("refusal.unsafe"), prompts(refuse=50))


def test_a_measure_of_two_kinds_needs_both():
    separation = measure_named("refusal.separation")
    assert missing_expectations(separation, prompts(comply=9)) == ["refuse"]
    assert minimum_detectable_change(separation, prompts(comply=9)) is None
    assert missing_expectations(measure_named("clarification.selectivity"), prompts(refuse=9)) == ["clarify", "comply"]
    assert missing_expectations(measure_named("refusal.safe"), prompts(comply=1)) == []
    assert missing_expectations(measure_named("ending.eos"), prompts(any=1)) == []


def test_the_shipped_set_can_show_about_what_it_has_shown():
    found = minimum_detectable_change(measure_named("refusal.separation"), prompts(refuse=88, comply=164))
    assert found == pytest.approx(0.5, abs=0.06)  # 0.49 was measured


def test_as_many_prompts_as_wanted_show_the_effect():
    measure = measure_named("length.tokens")
    few = prompts(any=20)
    wanted = required_prompts(20, minimum_detectable_change(measure, few), 0.1)
    assert (
        minimum_detectable_change(measure, prompts(any=wanted))
        <= 0.1
        < minimum_detectable_change(measure, prompts(any=wanted - 1))
    )


def test_what_is_made_of_the_whole_set_is_not_guessed():
    assert minimum_detectable_change(measure_named("diversity.distinct_2"), prompts(any=50)) is None
