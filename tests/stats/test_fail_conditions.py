"""--fail-if: what is read, what is refused, when it fails."""

import pytest

from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.errors import UsageError
from ppo_cli.records.measures import Estimate
from ppo_cli.stats.fail_conditions import check_condition, read_condition
from tests.reports.records import change


def read(text):
    return read_condition(text, MEASURES)


@pytest.mark.parametrize(
    ("text", "name", "of", "sign", "number"),
    [
        ("refusal.safe > 0.2", "refusal.safe", "value", ">", 0.2),
        ("refusal.safe>20%", "refusal.safe", "value", ">", 0.2),
        ("  change( refusal.safe ) >= .1 ", "refusal.safe", "change", ">=", 0.1),
        ("change(refusal.unsafe) < -5 %", "refusal.unsafe", "change", "<", -0.05),
        ("refusal.separation <= 1e-1", "refusal.separation", "value", "<=", 0.1),
        ("length.tokens > 120", "length.tokens", "value", ">", 120.0),
    ],
)
def test_a_condition_is_a_measure_a_sign_and_a_number(text, name, of, sign, number):
    found = read(text)
    assert (found.measure.name, found.of, found.operator) == (name, of, sign)
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
    ],
)
def test_anything_else_is_refused_with_the_next_step(text, said):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(("sign", "failed"), [(">", False), (">=", True), ("<", False), ("<=", True)])
def test_the_bound_itself_belongs_to_the_signs_with_equality(sign, failed):
    estimate = Estimate(name="refusal.safe", value=0.25, low_95=0.2, high_95=0.3, prompts=9)
    found = check_condition(read(f"refusal.safe {sign} 0.25"), estimate)
    assert found.failed is failed
    assert (found.value, found.low_95, found.high_95) == (0.25, 0.2, 0.3)


def test_a_change_is_judged_by_its_difference():
    moved = change("refusal.safe", difference=0.12, low_95=0.02, high_95=0.22)
    assert check_condition(read("change(refusal.safe) > 0.1"), moved).failed
    assert not check_condition(read("change(refusal.safe) > 0.13"), moved).failed


def test_what_was_not_measured_is_not_passed_silently():
    with pytest.raises(UsageError, match=r"no data for refusal\.safe"):
        check_condition(
            read("refusal.safe > 0.2"), Estimate(name="refusal.safe", value=None, low_95=None, high_95=None, prompts=0)
        )
