"""Intervals with the rule's error in them: known numbers, limits, models left out, coverage."""

from dataclasses import replace

import numpy as np
import pytest

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.behaviours.refusal_calibration import CALIBRATION
from ppo_cli.records.calibration import Agreement, Calibration, ModelAgreement
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.judge_error import (
    JudgedPolicy,
    judged_interval,
    judged_intervals,
    rogan_gladen,
    share_over_models,
)
from ppo_cli.stats.label_matrix import LabelMatrix

UNSAFE, SAFE, SEPARATION = (measure_named(f"refusal.{name}") for name in ("unsafe", "safe", "separation"))


def counts(sensitivity, specificity, refusals=200, others=200):
    found, left = round(sensitivity * refusals), round(specificity * others)
    return Agreement(both=found, missed=refusals - found, false_alarms=others - left, neither=left)


def calibration(*kinds):
    models = tuple(ModelAgreement(model=f"m{number}", unsafe=kind, safe=kind) for number, kind in enumerate(kinds))
    return Calibration(rule="rule/1", models=models, source="made", date="2026-01-01")


def policy(unsafe, safe, prompts=100, text="x"):
    """A policy that refuses so many of this number of prompts of each kind, by the rule."""
    labels = [float(number < wanted) for wanted in (unsafe, safe) for number in range(prompts)]
    return LabelMatrix(
        prompt_ids=tuple(f"p{row:04d}" for row in range(2 * prompts)),
        categories=("unsafe.x",) * prompts + ("plain.x",) * prompts,
        expects=("refuse",) * prompts + ("comply",) * prompts,
        labels={"refused": np.array(labels)[:, None]},
        texts=tuple((text,) for _ in labels),
    )


def test_rates_are_corrected_as_by_hand():
    """(0.77 + 0.95 - 1) / (0.8 + 0.95 - 1) = 0.96; beyond 0 and 1 it is cut; a judge by chance says nothing."""
    given = rogan_gladen(
        np.array([0.77, 0.02, 0.9, 0.4]),
        np.array([0.8, 0.8, 0.8, 0.3]),
        np.array([0.95, 0.95, 0.95, 0.7]),
        np.full(4, 0.123),
    )
    assert given == pytest.approx([0.96, 0.0, 1.0, 0.123])


def test_one_success_of_one_gives_two_thirds():
    """One success is as likely as the mean is large, so the density of the mean is 2 m and its mean 2/3."""
    draws = share_over_models([(1, 1)], (0, 0), np.random.default_rng(0), 40_000)
    assert draws.mean() == pytest.approx(2 / 3, abs=0.01)


def test_alike_models_leave_little_doubt_and_unlike_ones_much():
    alike = share_over_models([(190, 200)] * 12, (0, 0), np.random.default_rng(1), 4000)
    unlike = share_over_models([(200, 200), (140, 200), (196, 200), (150, 200)], (0, 0), np.random.default_rng(1), 4000)
    assert alike.mean() == pytest.approx(0.95, abs=0.01)
    assert np.percentile(alike, 2.5) > 0.9
    assert np.percentile(unlike, 2.5) < 0.6


def test_labels_of_its_own_answers_count_before_those_of_other_models():
    others = [(190, 200)] * 5
    assert share_over_models(others, (250, 500), np.random.default_rng(2), 4000).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("measure", [UNSAFE, SAFE, SEPARATION], ids=lambda measure: measure.name)
def test_a_rule_without_error_leaves_the_interval_of_the_prompts(measure):
    faultless = replace(measure, calibration=calibration(*[counts(1, 1, 20_000, 20_000)] * 20))
    judged = judged_interval(faultless, JudgedPolicy(policy(80, 30)))
    plain = estimate(measure, policy(80, 30))
    scale = 0.02 if measure.unit == "%" else 0.1
    assert judged == pytest.approx((plain.low_95, plain.high_95), abs=scale)


def test_what_the_rule_misses_raises_the_interval():
    """It finds four of five refusals, so 40 of 100 are 50."""
    judged = judged_interval(
        replace(UNSAFE, calibration=calibration(*[counts(0.8, 1, 20_000, 20_000)] * 20)), JudgedPolicy(policy(40, 0))
    )
    assert judged is not None
    assert sum(judged) / 2 == pytest.approx(0.5, abs=0.015)


def test_labels_of_the_run_make_it_shorter():
    published, own = (
        JudgedPolicy(policy(66, 30)),
        ModelAgreement(model="own", unsafe=counts(0.9, 1, 30, 10), safe=counts(0.9, 1, 10, 30)),
    )
    lows, highs = zip(
        judged_interval(UNSAFE, published), judged_interval(UNSAFE, replace(published, labelled=own)), strict=True
    )
    assert highs[1] - lows[1] < 0.7 * (highs[0] - lows[0])


def test_two_policies_have_errors_of_their_own_unless_they_answer_alike():
    a, b = JudgedPolicy(policy(66, 30)), JudgedPolicy(policy(80, 20, text="y"))
    before, after, difference = judged_intervals(SEPARATION, a, b)
    assert before == pytest.approx(judged_interval(SEPARATION, a), abs=0.2)
    assert difference[1] - difference[0] > max(before[1] - before[0], after[1] - after[0])
    assert judged_intervals(SEPARATION, a, a)[2] == (0.0, 0.0)


@pytest.mark.parametrize("name", ["length.tokens", "ending.eos", "consistency.refusal"])
def test_measures_whose_judge_has_no_known_error_have_no_such_interval(name):
    assert judged_interval(measure_named(name), JudgedPolicy(policy(66, 30))) is None


def test_a_policy_that_refuses_everything_has_rates_and_no_separation():
    all_refused = JudgedPolicy(policy(100, 100))
    assert judged_interval(SEPARATION, all_refused) is None
    assert judged_interval(UNSAFE, all_refused) is not None


@pytest.mark.parametrize("left_out", CALIBRATION.models, ids=lambda model: model.model)
def test_the_interval_from_the_other_models_holds_for_a_model_left_out(left_out):
    others = replace(CALIBRATION, models=tuple(model for model in CALIBRATION.models if model is not left_out))
    kinds = (left_out.unsafe, left_out.safe)
    labels = [float(number < kind.both + kind.false_alarms) for kind in kinds for number in range(kind.answers)]
    expects = [expect for expect, kind in zip(("refuse", "comply"), kinds, strict=True) for _ in range(kind.answers)]
    answers = LabelMatrix(
        prompt_ids=tuple(f"p{row:04d}" for row in range(len(labels))),
        categories=("x",) * len(labels),
        expects=tuple(expects),
        labels={"refused": np.array(labels)[:, None]},
        texts=(("x",),) * len(labels),
    )
    for measure, by_people in (
        (UNSAFE, left_out.unsafe.rate_by_people),
        (SAFE, left_out.safe.rate_by_people),
        (SEPARATION, left_out.separation_by_people),
    ):
        low, high = judged_interval(replace(measure, calibration=others), JudgedPolicy(answers))
        assert low <= by_people <= high


def test_nearly_all_intervals_hold_the_truth_that_they_were_made_from():
    """Five labelled models and one more from one distribution; 150 rounds, so the standard error is 2 points."""
    generator, held = np.random.default_rng(3), 0
    rounds = 150
    for _ in range(rounds):
        sensitivities, specificities = generator.beta(9, 1, size=6), generator.beta(30, 1, size=6)
        models = [
            counts(generator.binomial(200, found) / 200, generator.binomial(200, left) / 200)
            for found, left in zip(sensitivities[:5], specificities[:5], strict=True)
        ]
        truth = generator.uniform(0.05, 0.95)
        rate = truth * sensitivities[5] + (1 - truth) * (1 - specificities[5])
        measure = replace(UNSAFE, calibration=calibration(*models))
        low, high = judged_interval(measure, JudgedPolicy(policy(generator.binomial(100, rate), 50)))
        held += low <= truth <= high
    assert held / rounds >= 0.93
