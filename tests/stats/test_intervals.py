"""Intervals and paired tests: known numbers, symmetry, coverage."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ppo_cli.behaviours.measures import MEASURES, measure_named
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.intervals import estimate, minimum_detectable, paired_difference, point_estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.resampling import DRAWS
from ppo_cli.stats.significance import holm, mcnemar
from tests.answers import labelled_answer

CALIBRATION = Path(__file__).parents[3] / "shared" / "calibration" / "xstest_human_labels.csv"


def table(refused, expects=None, texts=None, tokens=None):
    """Samples from refused[prompt][sample]."""
    rows = []
    for index, samples in enumerate(refused):
        expect = expects[index] if expects else "comply"
        for number, value in enumerate(samples):
            rows.append(
                labelled_answer(
                    Prompt(
                        id=f"p{index:04d}",
                        text="",
                        category="unsafe.x" if expect == "refuse" else "plain.x",
                        expect=expect,
                    ),
                    number,
                    texts[index][number] if texts else "some words here",
                    refused=float(value),
                    tokens=float(tokens[index][number]) if tokens else 10.0,
                    ended=1.0,
                    empty=0.0,
                    repetition=0.0,
                    **({"kl": 0.5 + index, "kl_tokens": 10.0} if number == 0 else {}),
                )
            )
    return label_matrix(rows)


def test_mcnemar_is_the_sign_test_on_the_prompts_that_changed():
    before = np.array([1.0] * 80 + [0.0] * 5 + [1.0] * 200 + [0.0] * 165)
    after = np.array([0.0] * 80 + [1.0] * 5 + [1.0] * 200 + [0.0] * 165)
    assert mcnemar(before, after) == pytest.approx(1.8e-18, rel=0.02)
    assert mcnemar(before, before) == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_detectable_effect_is_280_percent_of_the_standard_error():
    assert minimum_detectable(0.1) == pytest.approx(0.2802, abs=1e-4)
    assert minimum_detectable(0.0) is None
    assert minimum_detectable(math.nan) is None


def test_separation_by_hand():
    """Hits 3 of 4 and false alarms 1 of 4, log-linear: z(3.5/5) - z(1.5/5)."""
    found = estimate(
        measure_named("refusal.separation"),
        table([[1], [1], [1], [0], [1], [0], [0], [0]], ["refuse"] * 4 + ["comply"] * 4),
    )
    assert found.value == pytest.approx(stats.norm.ppf(0.7) - stats.norm.ppf(0.3))
    lean = estimate(
        measure_named("refusal.bias"),
        table([[1], [1], [1], [0], [1], [0], [0], [0]], ["refuse"] * 4 + ["comply"] * 4),
    )
    assert lean.value == pytest.approx(0.0, abs=1e-12)


def test_agreement_by_hand():
    """Of 4 answers: 3 against 1 agree in 3 of 6 pairs; 4 of 4 in all."""
    found = estimate(measure_named("consistency.refusal"), table([[1, 1, 1, 0], [0, 0, 0, 0]]))
    assert found.value == pytest.approx((0.5 + 1.0) / 2)


def test_geometric_mean_and_ratio_by_hand():
    data = table([[0, 0], [0, 0]], tokens=[[4, 16], [8, 8]])
    assert estimate(measure_named("length.tokens"), data).value == pytest.approx(8.0)
    assert estimate(measure_named("kl.per_token"), data).value == pytest.approx((0.5 + 1.5) / 20)
    assert estimate(measure_named("kl.per_answer"), data).value == pytest.approx(1.0)


def test_distinct_2_by_hand():
    """a b, b c, b c, c d: three different pairs of four."""
    found = estimate(measure_named("diversity.distinct_2"), table([[0], [0]], texts=[["a b c"], ["b c d"]]))
    assert found.value == pytest.approx(3 / 4)


def test_measures_of_the_whole_set_by_hand():
    data = table([[0], [0], [0]], texts=[["a b c"], ["a b d"], ["x"]])
    assert estimate(measure_named("diversity.distinct_1"), data).value == pytest.approx(5 / 7)
    assert estimate(measure_named("diversity.distinct_3"), data).value == pytest.approx(1.0)
    openings = table([[0, 0], [0, 0]], texts=[["I can not do x", "I can not do y"], ["Use a lid", "I can not do"]])
    assert estimate(measure_named("style.top_opening"), openings).value == pytest.approx(3 / 4)


def test_one_prompt_with_data_is_equal_to_itself_and_otherwise_unknown():
    measure = measure_named("diversity.distinct_3")
    a, b = (table([[0], [0]], texts=[["a b c"], [text]]) for text in ("x", "y"))
    found = paired_difference(measure, a, a)
    assert (found.difference, found.low_95, found.high_95, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert not math.isfinite(paired_difference(measure, a, b).high_95)


def test_self_bleu_by_hand():
    """a b c d and a b c e: 3 of 4 words, (2+1) of (3+1) pairs, (1+1) of (2+1) triples, (0+1) of (1+1) fours."""
    pair = table([[0], [0]], texts=[["a b c d"], ["a b c e"]])
    expected = (3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4)
    assert estimate(measure_named("diversity.self_bleu"), pair).value == pytest.approx(expected)
    same, other = (table([[0], [0]], texts=[["a b c d"], [text]]) for text in ("a b c d", "v w x y"))
    assert estimate(measure_named("diversity.self_bleu"), same).value == pytest.approx(1.0)
    assert estimate(measure_named("diversity.self_bleu"), other).value == 0.0


def test_answers_all_alike_compress_to_less():
    generator = np.random.default_rng(0)
    letters = "abcdefghijklmnop"
    varied = [["".join(generator.choice(list(letters), 30))] for _ in range(40)]
    many = estimate(measure_named("diversity.compression"), table([[0]] * 40, texts=varied)).value
    alike = estimate(measure_named("diversity.compression"), table([[0]] * 40, texts=[["the same words"]] * 40)).value
    assert alike < 0.1 < 0.4 < many


def test_selectivity_and_word_for_word_by_hand():
    def asking(expects, asks):
        return label_matrix(
            [
                labelled_answer(Prompt(id=f"p{i}", text="", category="x", expect=expect), 0, "a", asks=float(asked))
                for i, (expect, asked) in enumerate(zip(expects, asks, strict=True))
            ]
        )

    found = estimate(
        measure_named("clarification.selectivity"), asking(["clarify"] * 4 + ["comply"] * 4, [1, 1, 1, 0, 1, 0, 0, 0])
    )
    assert found.value == pytest.approx(0.75 - 0.25)
    texts = table([[0, 0, 0], [0, 0, 0]], texts=[["It is.", "it is", "No."], ["a", "b", "c"]])
    assert estimate(measure_named("consistency.identical"), texts).value == pytest.approx((1 / 3 + 0) / 2)


def test_a_rank_correlation_is_spearmans():
    generator = np.random.default_rng(4)
    tokens = generator.integers(3, 60, size=(50, 2)).astype(float)
    reward = tokens / 60 + generator.normal(0, 0.3, size=(50, 2))
    data = label_matrix(
        [
            labelled_answer(Prompt(id=f"p{i:02d}", text=""), k, "a", tokens=tokens[i, k], reward=reward[i, k])
            for i in range(50)
            for k in range(2)
        ]
    )
    found = estimate(measure_named("reward.length_correlation"), data)
    assert found.value == pytest.approx(stats.spearmanr(tokens.ravel(), reward.ravel()).statistic)
    assert found.low_95 < found.value < found.high_95
    flat = label_matrix([labelled_answer(Prompt(id=f"p{i}", text=""), 0, "a", tokens=5.0, reward=i) for i in range(5)])
    assert estimate(measure_named("reward.length_correlation"), flat).value is None


@pytest.mark.parametrize(
    "name", ["diversity.self_bleu", "diversity.compression", "style.top_opening", "diversity.distinct_2"]
)
def test_a_measure_of_the_whole_set_seldom_calls_chance_a_change(name):
    """Two policies with one vocabulary: the swap test keeps its level."""
    generator = np.random.default_rng(6)
    vocabulary, rejected, rounds = [f"w{i}" for i in range(30)], 0, 40
    for _ in range(rounds):
        a, b = (
            table([[0]] * 24, texts=[[" ".join(generator.choice(vocabulary, 6))] for _ in range(24)]) for _ in range(2)
        )
        rejected += paired_difference(measure_named(name), a, b).p_value < 0.05
    assert rejected <= 6  # 2 expected; more than 6 has a chance below 1 %


def test_measures_without_data_have_no_value():
    data = table([[0]])
    assert estimate(measure_named("refusal.unsafe"), data).value is None
    assert estimate(measure_named("refusal.separation"), data).value is None
    assert estimate(measure_named("consistency.refusal"), data).value is None


@pytest.fixture
def two_policies():
    generator = np.random.default_rng(3)
    expects = ["refuse" if i % 3 == 0 else "comply" for i in range(90)]
    words = "one two three four five six seven eight nine ten".split()

    def policy(unsafe, safe):
        refused = [[generator.random() < (unsafe if e == "refuse" else safe) for _ in range(4)] for e in expects]
        texts = [[" ".join(generator.choice(words, 8)) for _ in range(4)] for _ in expects]
        tokens = [[int(generator.integers(3, 40)) for _ in range(4)] for _ in expects]
        return table(refused, expects, texts, tokens)

    return policy(0.8, 0.6), policy(0.85, 0.3)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_a_policy_against_itself_differs_by_exactly_zero(two_policies, measure):
    found = paired_difference(measure, two_policies[0], two_policies[0])
    if found is not None:
        assert (found.difference, found.low_95, found.high_95, found.p_value) == (0.0, 0.0, 0.0, 1.0)
        assert (found.prompts_up, found.prompts_down) == (0, 0)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_swapping_the_arms_turns_the_sign(two_policies, measure):
    a, b = two_policies
    there, back = paired_difference(measure, a, b), paired_difference(measure, b, a)
    if there is not None and back is not None:
        assert back.difference == pytest.approx(-there.difference, abs=1e-12)
        assert (back.low_95, back.high_95) == pytest.approx((-there.high_95, -there.low_95), abs=1e-9)
        assert back.p_value == pytest.approx(there.p_value)
        assert (back.prompts_up, back.prompts_down) == (there.prompts_down, there.prompts_up)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_the_value_without_its_interval_is_that_of_the_estimate(two_policies, measure):
    assert point_estimate(measure, two_policies[0]) == estimate(measure, two_policies[0]).value


def test_order_of_samples_does_not_matter(two_policies):
    rows = [
        labelled_answer(Prompt(id=f"p{i}", text="", expect="comply"), k, "a b", refused=float(i % 2))
        for i in range(5)
        for k in range(2)
    ]
    forwards, backwards = label_matrix(rows), label_matrix(rows[::-1])
    np.testing.assert_array_equal(forwards.labels["refused"], backwards.labels["refused"])
    assert forwards.prompt_ids == backwards.prompt_ids


@pytest.mark.slow
def test_intervals_of_a_mean_cover_the_truth():
    """Prompts with their own refusal rates, four samples each, two policies with the same rates."""
    generator = np.random.default_rng(5)
    covered, rejected, rounds = 0, 0, 400
    measure = measure_named("refusal.safe")
    for _ in range(rounds):
        rates = generator.beta(0.8, 0.8, size=60)
        a = table((generator.random((60, 4)) < rates[:, None]).astype(float))
        b = table((generator.random((60, 4)) < rates[:, None]).astype(float))
        found = paired_difference(measure, a, b)
        covered += found.low_95 <= 0 <= found.high_95
        rejected += found.p_value < 0.05
    assert 0.92 <= covered / rounds <= 0.98
    assert rejected / rounds <= 0.075


@pytest.mark.parametrize(
    "name", ["refusal.safe", "refusal.separation", "length.tokens", "diversity.compression", "consistency.refusal"]
)
def test_the_90_percent_interval_lies_within_the_95_percent_one(two_policies, name):
    a, b = two_policies
    found = paired_difference(measure_named(name), a, b)
    assert found.low_95 < found.interval_90[0] < found.difference < found.interval_90[1] < found.high_95
    mirrored = paired_difference(measure_named(name), b, a)
    assert (mirrored.interval_90[0], mirrored.interval_90[1]) == pytest.approx(
        (-found.interval_90[1], -found.interval_90[0])
    )


def test_a_swap_test_sees_what_is_there(two_policies):
    a, b = two_policies
    assert paired_difference(measure_named("refusal.safe"), a, b).p_value == pytest.approx(1 / (DRAWS + 1))
    assert paired_difference(measure_named("refusal.separation"), a, b).p_value < 0.01


@pytest.mark.skipif(not CALIBRATION.is_file(), reason="the human labels are not part of the project")
def test_two_prompts_of_llama_2_by_human_labels():
    with CALIBRATION.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    arms = {}
    for row in rows:
        arms.setdefault(row["model"], {})[row["id"]] = float(row["final_label"][0] != "1")
    ids = sorted(arms["llama2orig"])
    a, b = (table([[arms[name][prompt]] for prompt in ids]) for name in ("llama2orig", "llama2new"))
    found = paired_difference(measure_named("refusal.safe"), a, b)
    assert found.difference == pytest.approx(-0.167, abs=0.0005)
    assert (found.prompts_down, found.prompts_up) == (80, 5)
    assert found.p_value == pytest.approx(1.8e-18, rel=0.02)
