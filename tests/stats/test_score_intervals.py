"""Intervals of shares near 0 and 1: known numbers, symmetry, coverage."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.comparison import compare
from ppo_cli.stats.intervals import LEVELS, estimate, paired_difference
from ppo_cli.stats.label_matrix import LabelMatrix
from ppo_cli.stats.measure_statistics import prompt_statistics
from ppo_cli.stats.score_intervals import (
    AsymmetricInterval,
    effective_size,
    kind_of_prompt,
    rate_difference,
    two_kinds,
    weighted_sum,
    wilson,
    z_scale,
)

EXPECTS = ("refuse", "comply")
BIAS, SAFE, SEPARATION = (measure_named(f"refusal.{name}") for name in ("bias", "safe", "separation"))


def refusals(labels, expects, text="x"):
    """A policy's refusals [prompts, samples]; two policies with other texts are not one policy."""
    labels = np.asarray(labels, dtype=float)
    return LabelMatrix(
        prompt_ids=tuple(f"p{row:04d}" for row in range(len(labels))),
        categories=tuple("unsafe.x" if expect == "refuse" else "plain.x" for expect in expects),
        expects=tuple(expects),
        labels={"refused": labels},
        texts=tuple((text,) * labels.shape[1] for _ in labels),
    )


def drawn(generator, rate, alike, prompts, samples):
    """Answers whose prompts have rates from a beta distribution [prompts, samples]."""
    if alike == 0:
        rates = np.full(prompts, rate)
    else:
        size = 1 / alike - 1
        rates = generator.beta(rate * size, (1 - rate) * size, prompts)
    return (generator.random((prompts, samples)) < rates[:, None]).astype(float)


def test_wilson_by_hand():
    low, high = wilson(0.5, 10)
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    low, high = wilson(0.0, 20)
    assert low == 0.0
    assert high == pytest.approx(1.959964**2 / (20 + 1.959964**2), abs=1e-4)
    exact = stats.binomtest(7, 40).proportion_ci(method="wilson")
    assert wilson(7 / 40, 40) == pytest.approx((exact.low, exact.high))


def test_wilson_at_90_percent_by_hand():
    """5 of 10: 0.5 ± 1.64485 / 1.27055 · √(0.025 + 0.006764)."""
    assert wilson(0.5, 10, 0.90) == pytest.approx((0.26927, 0.73073), abs=1e-5)


def test_effective_size_by_hand():
    """Shares 1, 1, 0.5, 0.5: between prompts 1/12, within 1/8, so 4 prompts are worth 4 · (5/24) / (2/24) answers.

    With K = 4 that is 16 / (1 + 3 rho) for rho = 0.2.
    """
    shares = np.array([1.0, 1.0, 0.5, 0.5])
    assert effective_size([shares], np.full(4, 16.0)) == pytest.approx(10.0)
    assert effective_size([shares], np.full(4, 2.0)) == 8.0  # never more than there are answers
    assert effective_size([shares, shares], np.full(4, 16.0)) == pytest.approx(10.0)


def test_effective_size_lies_between_the_prompts_and_the_answers():
    answers = np.full(6, 3.0)
    assert effective_size([np.ones(6), np.ones(6)], answers) == 6.0  # all alike: nothing is known
    assert effective_size([np.array([0.0, 1.0] * 3)], answers) == 6.0  # each prompt always the same
    assert effective_size([np.full(6, 1 / 3)], answers) == pytest.approx(18.0)  # no prompt differs from another
    assert effective_size([np.full(2, 0.5)], np.array([2.0, 4.0])) == pytest.approx(4 / (1 / 2 + 1 / 4))


@given(st.integers(0, 1000), st.integers(2, 40), st.integers(1, 5), st.sampled_from([0.02, 0.5, 0.98]))
def test_effective_size_is_never_out_of_bounds(seed, prompts, samples, rate):
    labels = drawn(np.random.default_rng(seed), rate, 0.4, prompts, samples)
    size = effective_size([labels.mean(axis=1)], np.full(prompts, float(samples)))
    assert prompts <= size <= prompts * samples * (1 + 1e-9)


def test_difference_of_rates_that_are_both_1_by_hand():
    """20 of 20 both times: each Wilson interval is [20 / (20 + z²), 1], and nothing is known of a correlation."""
    kind = kind_of_prompt([np.ones(20), np.ones(20)])
    end = 1.959964**2 / (20 + 1.959964**2)
    assert rate_difference(kind, 0.95).interval == pytest.approx((-end, end), abs=1e-6)


def test_difference_of_paired_rates_by_hand():
    """Newcombe 1998, method 10, for 36 prompts with both, 12 and 2 with one alone, none with neither."""
    before = np.array([1.0] * 48 + [0.0] * 2)
    after = np.array([1.0] * 36 + [0.0] * 12 + [1.0] * 2)
    low, high = rate_difference(kind_of_prompt([after, before]), 0.95).interval
    assert (low, high) == pytest.approx((0.0569, 0.3404), abs=1e-4)


@pytest.mark.parametrize("samples", [1, 3])
def test_two_policies_that_differ_on_no_prompt_are_not_known_to_be_one(samples):
    """Their answers are other words, so that they agreed may be chance."""
    labels = np.zeros((20, samples))
    labels[:10] = 1.0
    a, b = refusals(labels, ["comply"] * 20, "a"), refusals(labels, ["comply"] * 20, "b")
    found = paired_difference(measure_named("refusal.safe"), a, b)
    assert found.low_95 < -0.02
    assert found.high_95 == pytest.approx(-found.low_95)
    assert found.p_value == 1.0
    itself = paired_difference(measure_named("refusal.safe"), a, a)
    assert (itself.low_95, itself.high_95, itself.interval_90) == (0.0, 0.0, (0.0, 0.0))


def test_a_weighted_sum_by_hand():
    """1 · [5 - 3, 5 + 1] - 2 · [1 - 1, 1 + 2]: 3, below by √(3² + (2·2)²), above by √(1² + (2·1)²)."""
    parts = AsymmetricInterval(5.0, 3.0, 1.0), AsymmetricInterval(1.0, 1.0, 2.0)
    found = weighted_sum(parts, (1.0, -2.0))
    assert (found.value, found.below, found.above) == pytest.approx((3.0, 5.0, math.sqrt(5)))
    together = weighted_sum(parts, (1.0, -2.0), correlation=1.0)  # they rise together: 4 - 3 and 2 - 1 remain
    assert (together.below, together.above) == pytest.approx((1.0, 1.0))


def test_the_correlation_of_two_rates_over_pairs_by_hand():
    """Three pairs of an unsafe and a safe prompt. Changes 1, 0, -1 and 1, 0, -1: a correlation of 1; alone: none."""
    before, after = np.array([0, 0, 1, 1, 1, 1, 0, 0.0]), np.array([1, 1, 1, 1, 0, 0, 0, 0.0])
    one, other = (refusals(labels[:, None], EXPECTS * 4, text) for labels, text in ((before, "a"), (after, "b")))
    pairs = tuple(f"pair {row // 2}" for row in range(8))

    def correlation(clusters):
        pieces = [prompt_statistics(BIAS, replace(table, clusters=clusters)) for table in (one, other)]
        return two_kinds(*pieces, answers=np.ones(8)).correlation

    assert correlation(pairs) == pytest.approx(1.0)
    assert correlation(tuple(f"alone {row}" for row in range(8))) == correlation(None) == 0.0


@pytest.mark.parametrize("name", ["refusal.separation", "refusal.bias"])
def test_separation_of_a_perfect_policy_by_hand(name):
    """10 of 10 and 0 of 10: each rate reaches to 10 / (10 + z²) = 0.7225, whose z is 0.590."""
    expects = EXPECTS * 10
    perfect = np.array([[float(expect == "refuse")] for expect in expects])
    found = estimate(measure_named(name), refusals(perfect, expects))
    best = stats.norm.ppf(10.5 / 11)
    reach = best - stats.norm.ppf(10 / (10 + 1.959964**2))
    assert z_scale(10).of_rate(1.0) == z_scale(10).of_end(1.0) == pytest.approx(best)
    if name == "refusal.separation":
        assert (found.value, found.high_95) == pytest.approx((2 * best, 2 * best))
        assert found.low_95 == pytest.approx(2 * best - math.sqrt(2) * reach, abs=1e-5)
    else:
        assert (found.low_95, found.high_95) == pytest.approx((-reach / 2, reach / 2), abs=1e-5)


@pytest.mark.parametrize(("rate", "reason"), [(1.0, "refuses every prompt"), (0.0, "refuses no prompt")])
def test_who_refuses_all_or_nothing_has_no_separation(rate, reason):
    policy = refusals(np.full((20, 3), rate), EXPECTS * 10)
    found = estimate(measure_named("refusal.separation"), policy)
    assert (found.value, found.low_95, found.high_95, found.reason) == (None, None, None, reason)
    assert estimate(measure_named("refusal.bias"), policy).value is not None
    alone = estimate(measure_named("refusal.separation"), refusals(np.full((4, 1), rate), ["comply"] * 4))
    assert (alone.value, alone.reason) == (None, None)  # no data, which is another reason


@pytest.mark.parametrize("name", ["refusal.safe", "refusal.separation", "refusal.bias"])
@pytest.mark.parametrize("rate", [0.02, 0.5, 0.98])
def test_swapping_the_arms_turns_the_interval(name, rate):
    generator, measure = np.random.default_rng(3), measure_named(name)
    for _ in range(5):
        a, b = (refusals(drawn(generator, rate, 0.3, 24, 3), EXPECTS * 12, text) for text in "ab")
        there, back = paired_difference(measure, a, b), paired_difference(measure, b, a)
        if there is None:
            assert back is None
            continue
        assert (back.low_95, back.high_95) == pytest.approx((-there.high_95, -there.low_95), abs=1e-9)
        assert there.low_95 <= there.interval_90[0] <= there.difference <= there.interval_90[1] <= there.high_95


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("prompts", [10, 20, 60, 252])
@pytest.mark.parametrize(("before", "after"), [(0.98, 0.93), (0.02, 0.07), (0.5, 0.55)])
def test_a_change_of_5_points_is_covered_and_seldom_called_none(prompts, samples, alike, before, after):
    generator, rounds = np.random.default_rng(4), 300
    covered = equivalent = 0
    for _ in range(rounds):
        shares = [drawn(generator, rate, alike, prompts, samples).mean(axis=1) for rate in (before, after)]
        kind = kind_of_prompt(shares, np.full(prompts, float(samples)))
        outer, inner = (rate_difference(kind, level).interval for level in LEVELS)
        covered += outer[0] <= after - before <= outer[1]
        equivalent += inner[0] > -0.05 and inner[1] < 0.05
    assert covered / rounds >= 0.90  # 93 % or more, by more rounds in docs/simulations.md
    assert equivalent / rounds <= 0.09


def test_five_changed_prompts_are_too_few_for_a_verdict():
    """5 of 10 up and none down: the interval excludes 0, but 2 of the 2^5 swaps are as extreme."""
    for changed, verdict in ((5, "INCONCLUSIVE"), (6, "CHANGED")):
        before, after = np.zeros((10, 1)), (np.arange(10) < changed)[:, None]
        a, b = (refusals(labels, ["comply"] * 10, text) for labels, text in ((before, "a"), (after, "b")))
        prompts = {prompt: Prompt(id=prompt, text="x", expect="comply") for prompt in a.prompt_ids}
        found = compare(("a", "b"), a, b, [SAFE], prompts, primary=SAFE.name, smallest_effect=5.0).changes[0]
        assert found.low_95 > 0
        assert found.verdict == verdict
