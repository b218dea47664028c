"""Terms on one scale: the spread of what they pay in the first update."""

import pytest

from ppo_cli.experiment.term_types import EndsTurn, OnTopic
from ppo_cli.records.answers import RewardScore
from ppo_cli.rewards.scaling import any_normalised, apply_scales, fit_scales, with_fitted_scales

TERMS = {"long": OnTopic(weight=0.5, normalise=True), "ended": OnTopic(weight=2.0), "flat": OnTopic(normalise=True)}


def scored(long, other, ended=1.0):
    return RewardScore(reward=0.0, terms={"long": long, "ended": ended, "flat": 7.0}, baseline_terms={"long": other})


FIRST = [scored(30.0, 10.0), scored(10.0, 30.0)]


def test_a_scale_is_the_standard_deviation_of_what_a_term_pays():
    assert fit_scales(FIRST, TERMS) == {"long": 20.0, "flat": 1.0}


def test_only_normalised_terms_are_divided_and_their_values_stay_raw():
    (item,) = apply_scales([scored(50.0, 10.0, ended=0.0)], TERMS, {"long": 20.0, "flat": 1.0})
    assert item.reward == pytest.approx(0.5 * (50 - 10) / 20 + 2.0 * 0.0 + 1.0 * 7.0)
    assert item.terms["long"] == 50.0


def test_a_reward_without_normalised_terms_is_left_as_it_is():
    def reward(prompts, answers, others):
        return FIRST

    assert with_fitted_scales(reward, {"ends_turn": EndsTurn()}, FIRST) is reward
    assert not any_normalised({"ends_turn": EndsTurn()})
    assert with_fitted_scales(reward, TERMS, FIRST)([], [], [])[0].reward == pytest.approx(0.5 * 1 + 2.0 + 7.0)
