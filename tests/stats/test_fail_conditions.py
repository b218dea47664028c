"""--fail-if: what is read, what is refused, when it fails."""

import math

import pytest

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.errors import UsageError
from ppo_cli.records.measures import Estimate
from ppo_cli.reports.formatting import condition_sentence
from ppo_cli.stats.fail_conditions import check_condition, read_condition
from tests.reports.records import change


def read(text):
    return read_condition(text, MEASURES)


@pytest.mark.parametrize(
    ("text", "name", "of", "by", "sign", "number"),
    [
        ("refusal.safe > 0.2", "refusal.safe", "value", "bound", ">", 0.2),
        ("refusal.safe>20%", "refusal.safe", "value", "bound", ">", 0.2),
        ("  change( refusal.safe ) >= .1 ", "refusal.safe", "change", "bound", ">=", 0.1),
        ("change(refusal.unsafe) < -5 %", "refusal.unsafe", "change", "bound", "<", -0.05),
        ("refusal.separation <= 1e-1", "refusal.separation", "value", "bound", "<=", 0.1),
        ("length.tokens > 120", "length.tokens", "value", "bound", ">", 120.0),
        ("estimate(refusal.safe) > 0.2", "refusal.safe", "value", "estimate", ">", 0.2),
        ("Estimate( change( refusal.safe ) ) > 10%", "refusal.safe", "change", "estimate", ">", 0.1),
    ],
)
def test_a_condition_is_a_measure_a_sign_and_a_number(text, name, of, by, sign, number):
    found = read(text)
    assert (found.measure.name, found.of, found.by, found.operator) == (name, of, by, sign)
    assert found.number == pytest.approx(number)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("refusal.sfe > 0.2", "no measure 'refusal.sfe'. Did you mean refusal.safe?"),
        ("refusal.safe > 20", "is a share from 0 to 1, so 20 is never reached. Write 0.2 or 20%."),
        ("refusal.separation > 5%", "refusal.separation is no share"),
        ("refusal.safe == 0.2", "is not a measure, one of"),
        ("refusal.safe > high", "is not a measure, one of"),
        ("__import__('os').getcwd() > 1", "is not a measure, one of"),
        ("refusal.safe > 0.2 or refusal.unsafe < 1", "is not a measure, one of"),
        ("", "is not a measure, one of"),
        ("estimate(refusal.safe > 0.2", "is not a measure, one of"),
        ("change(estimate(refusal.safe)) > 0.2", "is not a measure, one of"),
        ("change(refusal.safe > 0.2", "is not a measure, one of"),
    ],
)
def test_anything_else_is_refused_with_the_next_step(text, said):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert said in str(caught.value)


SAFE = Estimate(name="refusal.safe", value=0.25, low_95=0.2, high_95=0.3, prompts=9)


@pytest.mark.parametrize(("sign", "failed"), [(">", False), (">=", True), ("<", False), ("<=", True)])
def test_the_number_itself_belongs_to_the_signs_with_equality(sign, failed):
    found = check_condition(read(f"estimate(refusal.safe) {sign} 0.25"), SAFE)
    assert found.failed is failed
    assert (found.value, found.low_95, found.high_95) == (0.25, 0.2, 0.3)


@pytest.mark.parametrize(
    ("condition", "estimate_meets", "failed"),
    [
        ("refusal.safe > 0.24", True, True),
        ("refusal.safe > 0.29", False, True),
        ("refusal.safe > 0.3", False, False),
        ("refusal.safe >= 0.3", False, True),
        ("refusal.safe < 0.26", True, True),
        ("refusal.safe < 0.21", False, True),
        ("refusal.safe < 0.2", False, False),
        ("estimate(refusal.safe) > 0.24", True, True),
        ("estimate(refusal.safe) > 0.29", False, False),
        ("estimate(refusal.safe) < 0.21", False, False),
    ],
)
def test_a_condition_fails_unless_the_interval_rules_it_out(condition, estimate_meets, failed):
    found = check_condition(read(condition), SAFE)
    assert (found.estimate_meets, found.failed) == (estimate_meets, failed)


def test_a_value_without_an_interval_rules_nothing_out():
    alone = Estimate(name="refusal.safe", value=0.25, low_95=None, high_95=None, prompts=1)
    endless = Estimate(name="refusal.safe", value=0.25, low_95=-math.inf, high_95=math.inf, prompts=1)
    for unknown in (alone, endless):
        assert check_condition(read("refusal.safe > 0.9"), unknown).failed
        assert not check_condition(read("estimate(refusal.safe) > 0.9"), unknown).failed


def test_a_change_is_judged_by_the_end_of_its_interval():
    moved = change("refusal.safe", difference=0.12, low_95=0.02, high_95=0.22)
    assert check_condition(read("change(refusal.safe) > 0.13"), moved).failed
    assert not check_condition(read("change(refusal.safe) > 0.23"), moved).failed
    assert check_condition(read("estimate(change(refusal.safe)) > 0.1"), moved).failed
    assert not check_condition(read("estimate(change(refusal.safe)) > 0.13"), moved).failed


def test_a_condition_that_cannot_be_judged_says_why():
    nothing = Estimate(
        name="refusal.separation", value=None, low_95=None, high_95=None, prompts=9, reason="refuses every prompt"
    )
    with pytest.raises(UsageError, match=r"there is no refusal\.separation, for it refuses every prompt\."):
        check_condition(read("refusal.separation < 1"), nothing)


@pytest.mark.parametrize(("number", "said"), [(0.24, "is met"), (0.28, "is not ruled out"), (0.31, "is not met")])
def test_the_sentence_tells_what_is_met_from_what_is_not_ruled_out(number, said):
    found = check_condition(read(f"refusal.safe > {number}"), SAFE)
    assert condition_sentence(found) == f"refusal.safe > {number} {said}: 25.0 % [20.0, 30.0]"


def test_what_was_not_measured_is_not_passed_silently():
    with pytest.raises(UsageError, match=r"no data for refusal\.safe"):
        check_condition(
            read("refusal.safe > 0.2"), Estimate(name="refusal.safe", value=None, low_95=None, high_95=None, prompts=0)
        )
