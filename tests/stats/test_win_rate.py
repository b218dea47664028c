"""The win rate of blind votes: its exact interval, and how many votes would settle it, against hand and simulation."""

import numpy as np
import pytest
from scipy import stats

from ppo_cli.records.chat import Vote, VotedModel
from ppo_cli.stats.win_rate import exact_interval, votes_needed, win_rate

MODEL = VotedModel(run="r", lock="l", step=0, checkpoint=None)


def votes(choices, openings=None, voter=""):
    """Votes, each on a conversation of its own unless their openings are given."""
    openings = openings or [f"prompt {number}" for number in range(len(choices))]
    return [
        Vote(
            time="",
            voter=voter,
            before=MODEL,
            after=MODEL,
            vote=choice,
            shown_first="before",
            turns=(opening,),
            system=None,
            answer_before="",
            answer_after="",
            temperature=0.7,
            max_new_tokens=8,
            seed=1,
        )
        for choice, opening in zip(choices, openings, strict=True)
    ]


def test_three_wins_of_three_by_hand():
    """The lower end solves p**3 = 0.025; six of six is the shortest row of wins with 2 * 0.5**n < 0.05."""
    rate = win_rate(votes(["after"] * 3))
    assert (rate.rate, rate.high_95, rate.settled) == (1.0, 1.0, False)
    assert rate.low_95 == pytest.approx(0.025 ** (1 / 3), abs=1e-9)
    assert votes_needed(1.0) == 6
    assert rate.more_votes == 3


def test_six_wins_of_six_settle_it_and_five_do_not():
    assert win_rate(votes(["after"] * 6)).settled
    assert not win_rate(votes(["after"] * 5)).settled
    assert win_rate(votes(["before"] * 6)).settled
    assert win_rate(votes(["after"] * 6)).more_votes is None


@pytest.mark.parametrize(("wins", "size"), [(0, 7), (3, 10), (13, 20), (20, 20), (60, 100)])
def test_the_interval_is_clopper_and_pearsons(wins, size):
    rate = win_rate(votes(["after"] * wins + ["before"] * (size - wins)))
    by_scipy = stats.binomtest(wins, size).proportion_ci(0.95, method="exact")
    assert (rate.low_95, rate.high_95) == pytest.approx((by_scipy.low, by_scipy.high))


@pytest.mark.parametrize("size", [5, 6, 17, 60, 201])
def test_two_equal_models_are_called_different_in_at_most_one_of_twenty(size):
    """Summed over all outcomes, without a draw."""
    excluded = [
        k for k in range(size + 1) if not (lambda ends: ends[0] <= 0.5 <= ends[1])(exact_interval(k / size, size))
    ]
    assert stats.binom.pmf(excluded, size, 0.5).sum() <= 0.05


@pytest.mark.parametrize("rate", [0.6, 0.3, 0.75, 0.9])
def test_so_many_votes_settle_it_in_four_of_five_simulations(rate):
    """Simulated wins, judged by scipy's own sign test; a fifth fewer votes settle it less often than that."""
    needed = votes_needed(rate)
    generator = np.random.default_rng(3)

    def settled(size):
        p_values = np.array([stats.binomtest(k, size).pvalue for k in range(size + 1)])
        return (p_values[generator.binomial(size, rate, 20_000)] < 0.05).mean()

    assert 0.79 < settled(needed) < 0.9
    assert settled(int(needed * 0.8)) < 0.8


def test_the_number_is_that_of_the_normal_approximation_for_a_rate_near_one_half():
    """n = ((1.96 * 0.5 + 0.8416 * sqrt(p (1 - p))) / (p - 0.5))**2, for p = 0.55: 783."""
    assert votes_needed(0.55) == pytest.approx(783, rel=0.02)
    assert votes_needed(0.5) is None
    assert votes_needed(0.55) == votes_needed(0.45)


def test_a_tie_counts_as_half_a_win_or_not_at_all():
    given = votes(["after", "after", "before", "tie", "tie"])
    half, ignored = win_rate(given), win_rate(given, "ignore")
    assert (half.wins, half.losses, half.ties) == (ignored.wins, ignored.losses, ignored.ties) == (2, 1, 2)
    assert half.rate == pytest.approx(3 / 5)
    assert ignored.rate == pytest.approx(2 / 3)
    assert win_rate(votes(["tie"] * 3), "ignore").rate is None
    assert win_rate(votes(["tie"] * 3)).rate == 0.5


def test_votes_on_one_conversation_count_as_alike():
    """Ten people who say the same of one pair of answers say no more than one."""
    alone = win_rate(votes(["after"] * 10, ["the same"] * 10))
    assert not alone.settled
    assert (alone.low_95, alone.high_95) == pytest.approx(exact_interval(1.0, 1.0))
    spread = win_rate(votes(["after"] * 10))
    two_each = win_rate(votes(["after", "after", "before", "before"] * 5, [f"p{n // 2}" for n in range(20)]))
    by_one = win_rate(votes(["after", "before"] * 10))
    assert spread.settled
    assert two_each.high_95 - two_each.low_95 > by_one.high_95 - by_one.low_95


def test_no_votes_have_no_rate():
    rate = win_rate([])
    assert (rate.rate, rate.low_95, rate.more_votes, rate.votes) == (None, None, None, 0)
