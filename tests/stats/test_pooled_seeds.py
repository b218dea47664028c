"""The change from step 0 over the seeds of one setting, against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.stats.pooled_seeds import pooled_change

RATE, LENGTH = measure_named("refusal.safe"), measure_named("length.tokens")


def test_the_interval_is_a_t_interval_of_the_seeds_about_one_step_0():
    pooled = pooled_change(RATE, 0.5, [0.3, 0.4, 0.2])
    change, half = pooled.change, float(stats.t.ppf(0.975, 2)) * 0.1 / math.sqrt(3)
    assert (pooled.before, pooled.seeds) == (0.5, 3)
    assert (pooled.after, change.difference) == (pytest.approx(0.3), pytest.approx(-0.2))
    assert (change.low_95, change.high_95) == (pytest.approx(-0.2 - half), pytest.approx(-0.2 + half))
    assert change.p_value == pytest.approx(float(stats.ttest_1samp([0.3, 0.4, 0.2], 0.5).pvalue))
    assert change.verdict == "NO CHANGE DETECTED"
    assert pooled_change(RATE, 0.9, [0.3, 0.4, 0.2]).change.verdict == "CHANGED"


def test_seeds_are_equivalent_only_where_the_90_percent_interval_lies_within_the_margin():
    """Mean 0.01 and standard deviation 0.02 of three seeds: 90 % is 0.01 ± 2.920 · 0.02 / √3 = [−0.024, 0.044]."""
    after = [0.49, 0.51, 0.53]
    for margin, verdict in ((0.043, "NO CHANGE DETECTED"), (0.044, "EQUIVALENT")):
        change = pooled_change(replace(RATE, equivalence_margin=margin), 0.5, after).change
        assert (change.low_90, change.high_90) == (pytest.approx(-0.0237, abs=1e-4), pytest.approx(0.0437, abs=1e-4))
        assert change.verdict == verdict
        assert change.equivalent == (verdict == "EQUIVALENT")


def test_a_length_is_pooled_as_a_ratio():
    pooled = pooled_change(LENGTH, 10.0, [20.0, 40.0, 20.0])
    change = pooled.change
    logs = np.log([2.0, 4.0, 2.0])
    assert change.difference == pytest.approx(math.exp(logs.mean()))
    assert pooled.after == pytest.approx(10 * math.exp(logs.mean()))
    assert math.log(change.low_95) == pytest.approx(stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))[0])
    assert (change.verdict == "CHANGED") == (change.low_95 > 1)
    assert pooled_change(LENGTH, 0.0, [20.0]) is None


@pytest.mark.parametrize("after", [[0.3], [0.3, 0.3, 0.3]])
def test_one_seed_and_seeds_that_agree_to_the_last_digit_have_no_interval(after):
    change = pooled_change(RATE, 0.5, after).change
    assert (change.low_95, change.high_95, change.p_value) == (None, None, None)
    assert change.verdict == "INCONCLUSIVE"


def test_without_a_seed_there_is_nothing():
    assert pooled_change(RATE, 0.5, []) is None


def test_seeds_that_only_differ_by_chance_are_called_different_in_one_of_twenty():
    generator = np.random.default_rng(0)
    draws = 2000
    drawn = (pooled_change(RATE, 0.5, list(generator.normal(0.5, 0.1, 3))).change for _ in range(draws))
    found = sum(change.verdict == "CHANGED" for change in drawn)
    assert found / draws == pytest.approx(0.05, abs=0.015)
