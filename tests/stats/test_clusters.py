"""Prompts that vary together: known numbers, coverage, and nothing else where each is alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ppo_cli.behaviours.measures import BY_CATEGORY, MEASURES, measure_named
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.by_category import by_category
from ppo_cli.stats.clusters import cluster_numbers, independent_share, mean_error
from ppo_cli.stats.corpus_metrics import leave_group_out
from ppo_cli.stats.intervals import estimate, paired_difference
from ppo_cli.stats.label_matrix import LabelMatrix
from ppo_cli.stats.measure_statistics import prompt_statistics
from ppo_cli.stats.resampling import bootstrap_weights, smallest_stratum, swaps_of
from ppo_cli.stats.score_intervals import effective_size
from ppo_cli.stats.seed_variance import seed_spread

SAFE, SEPARATION = measure_named("refusal.safe"), measure_named("refusal.separation")


def table(refused, topics, expects=None, text="some words here"):
    refused = np.asarray(refused, dtype=float)
    rows, samples = refused.shape
    return LabelMatrix(
        prompt_ids=tuple(f"p{row:04d}" for row in range(rows)),
        categories=tuple(topics),
        expects=tuple(expects or ["comply"] * rows),
        labels={"refused": refused, "tokens": 5 + refused, "repetition": refused / 2},
        texts=tuple(tuple(f"{text} {row % 7} {sample}" for sample in range(samples)) for row in range(rows)),
        clusters=tuple(topics),
    )


def test_the_standard_error_of_clusters_by_hand():
    """Two clusters of two: mean 2.5, sums of residuals -2 and 2, √(2/1 · (4 + 4)) / 4 = 1."""
    values, clusters = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1])
    assert mean_error(values, clusters) == pytest.approx((1.0, 1))
    assert mean_error(values, None) == pytest.approx((np.std(values, ddof=1) / 2, 3))
    assert mean_error(values, np.arange(4)) == pytest.approx(mean_error(values, None))
    assert np.isnan(mean_error(values, np.zeros(4, dtype=int))[0])


def test_the_effective_size_of_clusters_by_hand():
    """The variance alone is 5/12, that of clusters 1: a design effect of 2.4, and t at one degree for z."""
    values, clusters = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1])
    few = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 1)) ** 2
    assert independent_share([values], clusters) == pytest.approx(few * 5 / 12)
    assert independent_share([np.ones(4)], clusters) == pytest.approx(few * 2 / 4)  # nothing known: two prompts
    assert independent_share([values], None) == 1.0
    assert effective_size([np.ones(60)], None, np.arange(60) // 3) == pytest.approx(
        20 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 19)) ** 2
    )


def test_clusters_are_drawn_swapped_and_left_out_as_one():
    topics = [f"t{row % 8}" for row in range(40)]
    expects = ["refuse" if row % 2 else "comply" for row in range(40)]  # each topic is of one kind
    labels = np.random.default_rng(0).integers(0, 2, (40, 2))
    one = table(labels, topics, expects)
    pieces, numbers = prompt_statistics(SEPARATION, one), cluster_numbers(topics)
    for weights in (bootstrap_weights(pieces, "x"), swaps_of(pieces, "x", 50), leave_group_out(one)):
        assert weights.shape[1] == 40
        for topic in range(8):
            assert (weights[:, numbers == topic] == weights[:, numbers == topic][:, :1]).all()
    drawn = bootstrap_weights(pieces, "x")
    assert (drawn[:, pieces.strata == 1].sum(axis=1) == 20).all()  # strata keep their number of topics
    assert smallest_stratum(pieces) == 4
    both = prompt_statistics(SEPARATION, table(labels, [f"t{row // 5}" for row in range(40)], expects))
    assert smallest_stratum(both) == 8  # every topic has both kinds: one stratum of topics
    assert not np.isnan(both.at(bootstrap_weights(both, "x"))).any()


def test_clusters_come_from_categories_or_pairs():
    made = replace(table(np.zeros((3, 1)), ["a", "a", "b"]), clusters=None)
    prompts = {
        key: Prompt(id=key, text="x", pair_id=pair) for key, pair in zip(made.prompt_ids, (None, "q", "q"), strict=True)
    }
    assert made.clustered(None, prompts).clusters is None
    assert made.clustered("category", prompts).clusters == ("a", "a", "b")
    alone, one, other = made.clustered("pair_id", prompts).clusters
    assert alone != one == other
    assert made.clustered("category", prompts).select(["p0002", "p0000"]).clusters == ("b", "a")


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_clusters_turn_with_the_arms_and_vanish_for_one_policy(measure):
    generator = np.random.default_rng(2)
    topics, expects = (
        [f"t{row % 12}" for row in range(48)],
        ["refuse" if row % 3 == 0 else "comply" for row in range(48)],
    )
    a, b = (table(generator.integers(0, 2, (48, 2)), topics, expects, text) for text in ("one two", "three four five"))
    there, back = paired_difference(measure, a, b), paired_difference(measure, b, a)
    if there is None or back is None:
        assert there is back
        return
    assert (back.low_95, back.high_95) == pytest.approx((-there.high_95, -there.low_95), abs=1e-9)
    assert back.p_value == pytest.approx(there.p_value)
    itself = paired_difference(measure, a, a)
    assert (itself.low_95, itself.high_95, itself.p_value) == (0.0, 0.0, 1.0)


def test_intervals_cover_where_topics_move_together():
    """Topics of 10 prompts with a change of their own: over prompts alone the interval is far too short."""
    generator, topics = np.random.default_rng(4), [f"t{row // 10}" for row in range(120)]
    alone, together, rounds = 0, 0, 200
    for _ in range(rounds):
        shift = np.repeat(generator.normal(0, 0.2, 12), 10)[:, None]
        a, b = ((generator.random((120, 3)) < 0.5 + sign * shift).astype(float) for sign in (-1, 1))
        one, other = table(a, topics, text="a"), table(b, topics, text="b")
        found = paired_difference(SAFE, one, other)
        together += found.low_95 <= 0 <= found.high_95
        single = paired_difference(SAFE, replace(one, clusters=None), replace(other, clusters=None))
        alone += single.low_95 <= 0 <= single.high_95
    assert together / rounds >= 0.91
    assert alone / rounds < 0.75


def test_one_cluster_alone_tells_nothing():
    generator = np.random.default_rng(5)
    a, b = (table(generator.integers(0, 2, (30, 2)), ["t"] * 30, text=text) for text in "ab")
    found = paired_difference(measure_named("length.tokens"), a, b)
    assert not np.isfinite(found.high_95)
    assert estimate(measure_named("length.tokens"), a).high_95 is None
    wide = paired_difference(SAFE, a, b)
    assert wide.high_95 - wide.low_95 > 0.5


def test_within_a_category_prompts_are_alone():
    generator, topics = np.random.default_rng(6), ["a"] * 20 + ["b"] * 20
    a, b = (table(generator.integers(0, 2, (40, 2)), topics, text=text) for text in "ab")
    plain = [replace(one, clusters=None) for one in (a, b)]
    assert by_category(b, a, BY_CATEGORY) == by_category(plain[1], plain[0], BY_CATEGORY)


def test_seeds_and_clusters_together():
    generator, topics = np.random.default_rng(7), [f"t{row % 10}" for row in range(40)]
    arms = [
        [table(generator.integers(0, 2, (40, 2)), topics, text=f"{arm}{seed}") for seed in range(2)] for arm in "ab"
    ]
    found = seed_spread(SAFE, *arms, ((1, 2), (3, 4))).change
    assert found.low_95 < found.difference < found.high_95
