"""Best of n: the KL bound, the unbiased estimate of the best reward, and which draws are the best."""

import math
from itertools import combinations

import numpy as np
import pytest

from ppo_cli.stats.best_of_n import best_of_groups, expected_best, kl_bound


@pytest.mark.parametrize(("n", "nats"), [(1, 0.0), (2, math.log(2) - 0.5), (4, math.log(4) - 0.75), (16, 1.8351)])
def test_the_bound_of_the_kl(n, nats):
    assert kl_bound(n) == pytest.approx(nats, abs=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_expected_best_is_the_mean_over_all_choices_of_n_draws(n):
    rewards = np.random.default_rng(0).normal(size=(4, 5)).round(1)  # some are equal
    by_hand = [np.mean([max(choice) for choice in combinations(row, n)]) for row in rewards.tolist()]
    assert expected_best(rewards, n) == pytest.approx(by_hand)


def test_the_best_draw_of_each_group_is_the_first_of_equal_ones():
    rewards = np.array([[0.0, 2.0, 2.0, 1.0, 5.0], [3.0, 1.0, 0.0, 0.0, 9.0]])
    assert best_of_groups(rewards, 2).tolist() == [[1, 2], [0, 2]]
    assert best_of_groups(rewards, 5).tolist() == [[4], [4]]
