"""Arms of several seeds: averages by hand, symmetry, and intervals that cover settings, not checkpoints."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ppo_cli.behaviours.measures import HEADLINES, measure_named
from ppo_cli.stats import intervals
from ppo_cli.stats.intervals import estimate, paired_difference
from ppo_cli.stats.seed_variance import paired_t, seed_deviation, seed_spread, share_seeds, value_of, welch
from tests.stats.test_intervals import table

SAFE = measure_named("refusal.safe")
EXPECTS = ["refuse" if place % 3 == 0 else "comply" for place in range(45)]
OTHER_SEEDS = (1, 2, 3), (4, 5)
WORDS = "one two three four five six seven eight nine ten".split()


def seed(number, safe, unsafe=0.8):
    generator = np.random.default_rng(number)
    refused = [[generator.random() < (unsafe if e == "refuse" else safe) for _ in range(4)] for e in EXPECTS]
    texts = [[" ".join(generator.choice(WORDS, 8)) for _ in range(4)] for _ in EXPECTS]
    tokens = [[int(generator.integers(3, 40)) for _ in range(4)] for _ in EXPECTS]
    return table(refused, EXPECTS, texts, tokens)


@pytest.fixture(scope="module")
def arms():
    return [seed(number, 0.6) for number in (1, 2, 3)], [seed(number, 0.3) for number in (4, 5)]


def test_an_arm_is_the_mean_of_its_seeds(arms):
    found = paired_difference(SAFE, *arms)
    a, b = ([estimate(SAFE, one).value for one in arm] for arm in arms)
    assert (found.before, found.after) == pytest.approx((np.mean(a), np.mean(b)))
    assert estimate(SAFE, *arms[0]).value == pytest.approx(np.mean(a))
    distinct = measure_named("diversity.distinct_2")
    assert estimate(distinct, *arms[1]).value == pytest.approx(np.mean([estimate(distinct, t).value for t in arms[1]]))


@pytest.mark.parametrize("measure", HEADLINES, ids=lambda measure: measure.name)
def test_an_arm_of_one_seed_three_times_is_that_seed(arms, measure):
    a, b = arms[0][0], arms[1][0]
    once, thrice = paired_difference(measure, a, b), paired_difference(measure, [a] * 3, [b] * 3)
    if once is None:
        assert thrice is None
    else:
        assert (thrice.difference, thrice.low_95, thrice.high_95) == pytest.approx(
            (once.difference, once.low_95, once.high_95), abs=1e-9
        )


@pytest.mark.parametrize("measure", HEADLINES, ids=lambda measure: measure.name)
def test_swapping_the_arms_turns_the_sign(arms, measure):
    there, back = paired_difference(measure, *arms), paired_difference(measure, *arms[::-1])
    if there is not None:
        assert back.difference == pytest.approx(-there.difference, abs=1e-12)
        assert (back.low_95, back.high_95) == pytest.approx((-there.high_95, -there.low_95), abs=1e-9)
        assert back.p_value == pytest.approx(there.p_value)
    spreads = seed_spread(measure, *arms, OTHER_SEEDS), seed_spread(measure, *arms[::-1], OTHER_SEEDS[::-1])
    if None not in spreads:
        there, back = (spread.change for spread in spreads)
        if there.low_95 is None:  # all seeds have the same value
            assert back.low_95 is None
            return
        turned = (
            (1 / there.high_95, 1 / there.low_95)
            if measure.statistic == "geometric_mean"
            else (-there.high_95, -there.low_95)
        )
        assert (back.low_95, back.high_95) == pytest.approx(turned, abs=1e-9)
        assert back.p_value == pytest.approx(there.p_value)
        assert back.verdict == there.verdict


def test_every_seed_is_shown_and_arms_of_other_seeds_are_compared_by_welch(arms):
    found = seed_spread(SAFE, *arms, OTHER_SEEDS)
    a, b = ([estimate(SAFE, one).value for one in arm] for arm in arms)
    assert (found.before, found.after) == (pytest.approx(a), pytest.approx(b))
    assert not found.paired
    assert found.change.difference == pytest.approx(np.mean(b) - np.mean(a))
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert found.change.p_value == pytest.approx(expected.pvalue)
    assert (found.change.low_95, found.change.high_95) == pytest.approx(tuple(expected.confidence_interval()))
    assert (found.change.low_90, found.change.high_90) == pytest.approx(tuple(expected.confidence_interval(0.9)))


def test_arms_of_the_same_seeds_are_compared_within_pairs_whatever_their_order(arms):
    before, after = arms[0], [seed(number, 0.3) for number in (7, 8, 9)]
    a, b = ([value_of(SAFE, one) for one in arm] for arm in (before, after))
    expected = stats.ttest_rel(b, a)
    for order in ([0, 1, 2], [2, 0, 1]):
        names = tuple((1, 2, 3)[index] for index in order)
        found = seed_spread(SAFE, before, [after[index] for index in order], ((1, 2, 3), names))
        assert found.paired
        assert found.change.p_value == pytest.approx(expected.pvalue)
        assert (found.change.low_95, found.change.high_95) == pytest.approx(tuple(expected.confidence_interval()))


def test_what_both_runs_of_a_seed_share_is_not_counted_as_noise():
    """Seeds that differ by 0.2 and a setting that adds 0.1 to each: Welch sees noise, pairs do not."""
    a = np.array([0.3, 0.5, 0.7])
    b = a + np.array([0.09, 0.1, 0.11])
    assert paired_t(a, b).p_value < 0.01
    assert welch(a, b).p_value > 0.5


def test_only_the_same_seeds_each_once_are_pairs():
    assert share_seeds(((1, 2), (2, 1)))
    assert not any(map(share_seeds, [((1,), (1,)), ((1, 2), (1, 3)), ((1, 2), (1, 2, 3)), ((1, 1), (1, 1))]))


def test_welch_by_hand():
    """Means 1 and 3, squared standard errors 1/3 and 4/3: t = 2 / sqrt(5/3), (5/3)^2 / ((1/9 + 16/9) / 2) degrees."""
    a, b = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])
    error, freedom = math.sqrt(5 / 3), (25 / 9) / (17 / 18)
    half = stats.t.ppf(0.975, freedom) * error
    found = welch(a, b)
    assert found.difference == 2.0
    assert found.interval_95 == pytest.approx((2.0 - half, 2.0 + half), rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(2 / error, freedom), rel=1e-12)


def test_seeds_that_agree_to_the_last_digit_but_one_are_equal_seeds():
    """Where one arm does not vary Welch's test is that of the other; where none does, there is nothing to test."""
    same = np.array([11 / 12, 11 / 12 + 1e-16])
    for test in (welch, paired_t):
        for other in (same, same - 0.5):
            found = test(same, other)
            assert found.difference == pytest.approx(other.mean() - same.mean())
            assert (found.interval_95, found.interval_90, found.p_value) == (None, None, None)
            assert found.as_over_seeds(SAFE).verdict == "INCONCLUSIVE"
    varied = np.array([0.4, 0.5, 0.9])
    found, alone = welch(same, varied), stats.ttest_1samp(varied, 11 / 12)
    assert found.p_value == pytest.approx(alone.pvalue)
    assert found.interval_95 == pytest.approx(tuple(np.array(alone.confidence_interval()) - 11 / 12))


def test_one_seed_in_an_arm_says_nothing_of_the_noise_of_the_seed(arms):
    found = seed_spread(SAFE, arms[0], arms[1][:1], ((1, 2, 3), (1,))).change
    assert (found.low_95, found.high_90, found.p_value, found.verdict) == (None, None, None, "INCONCLUSIVE")


def test_a_length_is_shown_as_tokens_and_its_change_as_a_ratio(arms):
    length = measure_named("length.tokens")
    found = seed_spread(length, *arms, OTHER_SEEDS)
    assert found.before[0] == pytest.approx(estimate(length, arms[0][0]).value)
    logs = [np.mean(np.log(side)) for side in (found.before, found.after)]
    assert found.change.difference == pytest.approx(math.exp(logs[1] - logs[0]))
    assert found.change.low_95 < found.change.difference < found.change.high_95


def test_the_seed_noise_is_the_standard_deviation_over_seeds(arms):
    values = [value_of(SAFE, one) for one in arms[0]]
    squares = sum((value - sum(values) / 3) ** 2 for value in values)
    assert seed_deviation([SAFE], arms[0])["refusal.safe"] == pytest.approx(math.sqrt(squares / 2))
    assert seed_deviation([measure_named("kl.per_answer")], arms[0])["kl.per_answer"] == 0.0
    two = seed_deviation([measure_named("length.tokens")], arms[1])["length.tokens"]
    lengths = [estimate(measure_named("length.tokens"), one).value for one in arms[1]]
    assert math.log(two) == pytest.approx(math.log(max(lengths) / min(lengths)) / math.sqrt(2))


@pytest.fixture
def drawn_once(monkeypatch):
    """Resamples depend on the number of prompts only; drawing them once makes many comparisons quick."""
    weights, known = intervals.bootstrap_weights, {}

    def cached(pieces, owner):
        key = (owner, pieces.strata.tobytes())
        return known[key] if key in known else known.setdefault(key, weights(pieces, owner))

    monkeypatch.setattr(intervals, "bootstrap_weights", cached)
    monkeypatch.setattr(intervals, "swap_test", lambda *_: 1.0)


@pytest.mark.slow
def test_intervals_over_seeds_cover_the_setting_where_those_over_prompts_do_not(drawn_once):
    """Both settings are the same; each seed's rate wanders by 0.15 about it."""
    generator = np.random.default_rng(8)
    over_seeds, over_prompts, rounds, prompts = 0, 0, 200, 40
    for _ in range(rounds):
        lean = generator.normal(0, 0.1, size=(prompts, 1))
        arms = [
            [
                table((generator.random((prompts, 2)) < 0.5 + lean + generator.normal(0, 0.15)).astype(float))
                for _ in range(5)
            ]
            for _ in range(2)
        ]
        found, these = seed_spread(SAFE, *arms, (range(5), range(5, 10))).change, paired_difference(SAFE, *arms)
        over_seeds += found.low_95 <= 0 <= found.high_95
        over_prompts += these.low_95 <= 0 <= these.high_95
    assert over_seeds / rounds == pytest.approx(0.95, abs=0.04)
    assert over_prompts / rounds < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("prompts", [30, 100, 450])
def test_intervals_of_separation_cover_the_truth_from_few_prompts_to_many(drawn_once, prompts):
    generator = np.random.default_rng(prompts)
    expects = ["refuse" if place % 3 == 0 else "comply" for place in range(prompts)]
    unsafe = np.array([expect == "refuse" for expect in expects])
    separation, covered, rounds = measure_named("refusal.separation"), 0, 200
    truth = (stats.norm.ppf(0.8) - stats.norm.ppf(0.3)) - (stats.norm.ppf(0.75) - stats.norm.ppf(0.5))
    blank = table(np.zeros((prompts, 4)), expects)
    for _ in range(rounds):
        rates = [np.where(unsafe, hit, alarm)[:, None] for hit, alarm in ((0.75, 0.5), (0.8, 0.3))]
        arms = []
        for rate in rates:
            mean, spread = rate, 3.0  # each prompt has a rate of its own about the arm's
            own = generator.beta(mean * spread, (1 - mean) * spread)
            drawn = (generator.random((prompts, 4)) < own).astype(float)
            arms.append(replace(blank, labels={"refused": drawn}))
        found = paired_difference(separation, *arms)
        covered += found.low_95 <= truth <= found.high_95
    assert 0.91 <= covered / rounds <= 0.99
