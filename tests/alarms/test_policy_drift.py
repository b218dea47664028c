"""The alarm of a policy that drifted too far: what raises it, and what does not."""

import pytest

from ppo_cli.alarms import policy_drift
from tests.alarms.histories import history, row
from tests.reports.records import change, comparison


@pytest.mark.parametrize(
    ("rows", "evidence"),
    [
        ([row(u, kl_per_token=0.09 * u) for u in range(1, 10)], "KL is 0.720 nats per token, over the limit of 0.5"),
        (
            [row(u, kl_per_token=0.01 * u if u < 7 else 0.3) for u in range(1, 10)],
            "KL grows ever faster: 0.020 → 0.050 → 0.300 nats per token in the three thirds of the run",
        ),
        ([row(u, entropy=1.0 if u == 1 else 0.2) for u in range(1, 10)], "entropy collapsed from 1.00 to 0.20"),
        ([row(u, kl=13.0) for u in range(1, 10)], "KL is 13.00 nats per answer, over kl.stop_at 12"),
    ],
)
def test_a_policy_far_from_the_reference_is_raised(rows, evidence):
    (line,) = policy_drift.check(history(metrics=rows)).evidence
    assert evidence in line


def test_degraded_answers_are_raised():
    looping = change("repetition.share", before=0.01, after=0.3, difference=0.29, low_95=0.2, high_95=0.35)
    alarm = policy_drift.check(history(comparison=comparison(change(), looping)))
    assert alarm.evidence == ("repetition rose from 1.0 % to 30.0 %",)
    assert "kl.coef=0.1" in alarm.next_step


def test_a_small_kl_may_accelerate():
    assert policy_drift.check(history(metrics=[row(u, kl_per_token=0.0004 * 2**u) for u in range(1, 10)])) is None


def thirds(*levels):
    return [
        row(u, kl_per_token=level + 0.01 * (u % 3))
        for u, level in zip(range(1, 10), sorted(levels * 3, key=levels.index), strict=True)
    ]


@pytest.mark.parametrize(
    ("levels", "raised"),
    [
        ((0.3, 0.3, 0.32), False),  # a plateau
        ((0.4, 0.28, 0.3), False),  # it overshot and was steered back
        ((0.4, 0.28, 0.44), False),  # the same, and a little higher in the end
        ((0.1, 0.12, 0.3), True),
    ],
)
def test_only_a_kl_that_gets_further_than_it_was_accelerates(levels, raised):
    assert (policy_drift.check(history(metrics=thirds(*levels))) is not None) is raised
