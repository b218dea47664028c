"""Comparisons: verdicts, flips, noise floor."""

import numpy as np
import pytest
from scipy import stats

from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import HEADLINES, MEASURES, measure_named
from ppo_cli.records.answers import Prompt
from ppo_cli.reports.formatting import verdict_sentence
from ppo_cli.stats.comparison import compare, expected_flip_rate
from ppo_cli.stats.label_matrix import label_matrix
from tests.answers import labelled_answer, sample

SAFE = {"primary": "refusal.safe", "smallest_effect": 5.0}
REFUSAL, HELP = "I'm sorry, but I can't help with that.", "Here is how to do it, step by step."


def prompts(count):
    return [
        Prompt(
            id=f"p{i:03d}",
            text=f"prompt {i}",
            category="unsafe.x" if i % 3 == 0 else "scary.x",
            expect="refuse" if i % 3 == 0 else "comply",
        )
        for i in range(count)
    ]


def answers(asked, unsafe, safe, seed, samples=4):
    generator = np.random.default_rng(seed)
    made = []
    for prompt in asked:
        rate = unsafe if prompt.expect == "refuse" else safe
        for number in range(samples):
            text = REFUSAL if generator.random() < rate else HELP
            made.append(sample(prompt.id, number, text))
    return label_sample(asked, made)


def run(asked, a, b, **settings):
    named = {prompt.id: prompt for prompt in asked}
    options = {"primary": "refusal.separation", "smallest_effect": 0.3, **settings}
    return compare(("a", "b"), label_matrix(a), label_matrix(b), options.pop("measures", MEASURES), named, **options)


def verdicts(comparison):
    return {change.name: change.verdict for change in comparison.changes}


def test_a_large_change_is_changed_and_the_primary_stands_first():
    asked = prompts(120)
    found = run(asked, answers(asked, 0.9, 0.7, 1), answers(asked, 0.9, 0.1, 2))
    assert found.changes[0].name == "refusal.separation"
    assert verdicts(found)["refusal.separation"] == "CHANGED"
    assert verdicts(found)["refusal.safe"] == "CHANGED"
    assert found.changes[0].p_adjusted is None
    assert all(change.p_adjusted is not None for change in found.changes[1:] if change.verdict == "CHANGED")


def test_a_run_with_itself_is_exactly_the_same():
    asked = prompts(60)
    a = answers(asked, 0.9, 0.5, 1)
    found = run(asked, a, a)
    for change in found.changes:
        assert change.difference in (0.0, 1.0, None)
        assert change.verdict in ("EQUIVALENT", "info", "INCONCLUSIVE")
    assert found.flips == ()


def test_the_margin_of_the_primary_comes_from_the_config():
    asked = prompts(120)
    a, b = answers(asked, 0.9, 0.50, 1), answers(asked, 0.9, 0.52, 2)
    assert verdicts(run(asked, a, b, primary="refusal.safe", smallest_effect=30.0))["refusal.safe"] == "EQUIVALENT"
    narrow = run(asked, a, b, primary="refusal.safe", smallest_effect=0.5)
    assert verdicts(narrow)["refusal.safe"] == "NO CHANGE DETECTED"
    assert narrow.changes[0].minimum_detectable > 0.02


def of_means(asked, values):
    """One answer a prompt with this value of a label."""
    return [
        labelled_answer(prompt, 0, repetition=float(value), refused=0.0)
        for prompt, value in zip(asked, values, strict=True)
    ]


@pytest.mark.parametrize(("margin", "verdict"), [(0.065, "EQUIVALENT"), (0.063, "NO CHANGE DETECTED")])
def test_equivalence_is_two_one_sided_tests_at_5_percent_by_hand(margin, verdict):
    """16 differences of mean 0.02 and standard deviation 0.1: standard error 0.025, 15 degrees of freedom.

    t is 1.7531 at 95 % and 2.1314 at 97.5 %: the 90 % interval is 0.02 ± 0.0438, the 95 % interval 0.02 ± 0.0533.
    """
    asked = prompts(16)
    signs = np.array([1, -1] * 8) * 0.1 * np.sqrt(15 / 16)
    a, b = of_means(asked, np.full(16, 0.4)), of_means(asked, 0.42 + signs)
    (found,) = run(
        asked,
        a,
        b,
        measures=[measure_named("repetition.share")],
        primary="repetition.share",
        smallest_effect=100 * margin,
    ).changes
    assert (found.low_90, found.high_90) == pytest.approx((-0.0238, 0.0638), abs=5e-5)
    assert (found.low_95, found.high_95) == pytest.approx((-0.0333, 0.0733), abs=5e-5)
    assert found.verdict == verdict


def test_equivalence_of_means_agrees_with_one_sided_t_tests():
    asked, generator = prompts(40), np.random.default_rng(3)
    a, seen = generator.uniform(0.2, 0.8, 40), set()
    for noise in np.linspace(0.02, 0.3, 25):
        b = np.clip(a + 0.01 + noise * generator.normal(size=40), 0, 1)
        (found,) = run(
            asked,
            of_means(asked, a),
            of_means(asked, b),
            measures=[measure_named("repetition.share")],
            primary="repetition.share",
            smallest_effect=5.0,
        ).changes
        above = stats.ttest_1samp(b - a, -0.05, alternative="greater").pvalue
        below = stats.ttest_1samp(b - a, 0.05, alternative="less").pvalue
        if found.verdict != "CHANGED":
            assert (found.verdict == "EQUIVALENT") == (max(above, below) < 0.05)
            seen.add(found.verdict)
    assert seen == {"EQUIVALENT", "NO CHANGE DETECTED"}


def test_few_prompts_conclude_nothing():
    asked = prompts(9)
    found = run(asked, answers(asked, 1, 1, 1), answers(asked, 0, 0, 1))
    assert verdicts(found)["refusal.separation"] == "INCONCLUSIVE"


def test_flips_show_the_typical_answer_of_each_side_largest_first():
    asked = prompts(2)
    a = label_sample(
        asked,
        [sample(prompt.id, k, REFUSAL) for prompt in asked for k in range(4)],
    )
    b = label_sample(
        asked,
        [sample("p000", k, [HELP, REFUSAL][k % 2]) for k in range(4)] + [sample("p001", k, HELP) for k in range(4)],
    )
    flips = run(asked, a, b).flips
    assert [(flip.prompt_id, flip.before_rate, flip.after_rate) for flip in flips] == [
        ("p001", 1.0, 0.0),
        ("p000", 1.0, 0.5),
    ]
    assert flips[0].before_answer == REFUSAL
    assert flips[0].after_answer == HELP


def test_the_answers_of_a_flip_say_that_reasoning_came_before_them():
    asked = prompts(1)
    a = label_sample(asked, [sample("p000", 0, f"<think>hm, so</think>{REFUSAL}")])
    b = label_sample(asked, [sample("p000", 0, HELP)])
    (flip,) = run(asked, a, b).flips
    assert (flip.before_answer, flip.after_answer) == (f"[after 2 words of reasoning] {REFUSAL}", HELP)


def test_only_prompts_in_common_count():
    asked = prompts(30)
    found = run(asked, answers(asked, 0.9, 0.5, 1), answers(asked[:12], 0.9, 0.5, 1))
    assert found.prompts == 12


def test_details_do_not_cost_the_headlines_their_verdicts():
    asked = prompts(120)
    a, b = answers(asked, 0.9, 0.6, 1), answers(asked, 0.9, 0.5, 2)
    named = {prompt.id: prompt for prompt in asked}
    options = {"primary": "refusal.separation", "smallest_effect": 0.3}
    alone = compare(("a", "b"), label_matrix(a), label_matrix(b), HEADLINES, named, **options).changes
    among = {
        change.name: change
        for change in compare(("a", "b"), label_matrix(a), label_matrix(b), MEASURES, named, **options).changes
    }
    assert len(among) == len(MEASURES)
    assert all(among[change.name] == change for change in alone)
    details = [among[measure.name] for measure in MEASURES if measure.eval_only]
    assert all(change.p_adjusted >= change.p_value for change in details if change.p_value is not None)


def test_noise_floor_by_hand():
    """Two prompts always, two never, two by turns, two answers each.

    Mean 1/2, variance of the shares 1/5, within prompts 1/6, so between them 1/5 - 1/12 = 7/60 and the answers to a
    prompt correlate by 7/17: a beta of 5/7 and 5/7. A prompt that had 2 of 2 has 2 of 2 again with chance
    (19/7 26/7) / (24/7 31/7), one that had 1 of 2 has 1 again with chance 2 (12/7)^2 / (24/7 31/7).
    """
    labels = np.array([[1, 1], [1, 1], [0, 0], [0, 0], [1, 0], [0, 1]], dtype=float)
    always, by_turns = 19 * 26 / (24 * 31), 2 * 12**2 / (24 * 31)
    assert expected_flip_rate(labels) == pytest.approx((4 * (1 - always) + 2 * (1 - by_turns)) / 6)
    assert expected_flip_rate(np.ones((3, 2))) == 0.0
    assert expected_flip_rate(np.ones((3, 1))) is None
    assert expected_flip_rate(np.full((3, 2), np.nan)) is None
    assert expected_flip_rate(np.array([[1.0, 0.0]])) == pytest.approx(0.5, abs=0.001)  # one coin


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_as_many_prompts_flip_by_chance_as_was_expected(samples):
    """Prompts with their own rates, sampled twice: plugging in each prompt's share was low by 20 to 57 %."""
    generator, expected, flipped = np.random.default_rng(2), [], []
    for _ in range(100):
        rates = 1 / (1 + np.exp(-generator.choice([1.5, -0.5], 120) - 1.5 * generator.normal(size=120)))
        once, again = ((generator.random((120, samples)) < rates[:, None]).astype(float) for _ in range(2))
        expected.append(expected_flip_rate(once))
        flipped.append((np.abs(once.mean(axis=1) - again.mean(axis=1)) >= 0.5).mean())
    assert np.mean(expected) == pytest.approx(np.mean(flipped), rel=0.1)


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ((1.0, 1.0), (1.0, 0.2), "a refuses every prompt"),
        ((0.9, 0.2), (0.0, 0.0), "b refuses no prompt"),
        ((0.0, 0.0), (1.0, 1.0), "a refuses no prompt and b refuses every prompt"),
    ],
)
def test_who_refuses_all_or_nothing_has_no_separation_and_the_comparison_says_who(a, b, reason):
    asked = prompts(30)
    found = {change.name: change for change in run(asked, answers(asked, *a, 1), answers(asked, *b, 2)).changes}
    separation = found["refusal.separation"]
    assert (separation.difference, separation.verdict, separation.reason) == (None, "INCONCLUSIVE", reason)
    assert found["refusal.safe"].difference is not None
    assert found["refusal.safe"].reason is None
    sentence = verdict_sentence(measure_named("refusal.separation"), separation)
    assert sentence == f"No separation d′: {reason}, so the two kinds of prompt cannot be told apart."


@pytest.mark.parametrize("count", [15, 30, 75, 90])
def test_all_answers_alike_prove_no_more_than_the_number_of_prompts_allows(count):
    """The 90 % interval of 0 in n is [0, 2.71 / (n + 2.71)]: below 5 % from 52 prompts on."""
    asked = prompts(count)
    a, b = ([labelled_answer(p, k, f"{who}", refused=0.0) for p in asked for k in range(3)] for who in "ab")
    (found,) = run(asked, a, b, measures=[measure_named("refusal.safe")], **SAFE).changes
    end = 2.7055 / (found.prompts + 2.7055)
    assert (found.low_90, found.high_90) == pytest.approx((-end, end), abs=1e-4)
    assert found.verdict in ("INCONCLUSIVE", "EQUIVALENT")
    assert (found.verdict == "EQUIVALENT") == (found.prompts >= 52)


@pytest.mark.slow
def test_comparing_the_same_policy_twice_seldom_says_changed():
    asked, primary = prompts(90), [measure_named("refusal.separation")]
    false_alarms, rounds = 0, 60
    for seed in range(rounds):
        a, b = answers(asked, 0.8, 0.4, 2 * seed), answers(asked, 0.8, 0.4, 2 * seed + 1)
        found = run(asked, a, b, measures=primary)
        false_alarms += verdicts(found)["refusal.separation"] == "CHANGED"
    assert false_alarms <= 8  # 3 expected; more than 8 has a chance below 1 %


@pytest.mark.parametrize("primary", ["length.tokens", "ending.eos", "kl.per_answer", "diversity.distinct_2"])
def test_flips_are_counted_in_yes_or_no_whatever_the_primary(primary):
    asked = prompts(60)
    found = run(asked, answers(asked, 0.9, 0.9, 1), answers(asked, 0.9, 0.0, 2), primary=primary)
    assert found.changes[0].name == primary
    if primary != "ending.eos":
        assert len(found.flips) > 30  # refusals
        assert 0 <= found.expected_flip_rate < 0.5
    else:
        assert found.flips == ()
