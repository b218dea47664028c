"""The alarm of unstable updates: what raises it, and what does not."""

import pytest

from ppo_cli.alarms import advice, unstable_updates
from ppo_cli.experiment.schema import Ppo
from tests.alarms.histories import experiment, history, row


def rows(name, value, updates):
    """A run of nine updates in which some have this value."""
    return [row(update, **({name: value} if update in updates else {})) for update in range(1, 10)]


@pytest.mark.parametrize(
    ("name", "value", "evidence"),
    [
        ("approx_kl", 0.6, "approx_kl was above 0.25 nats per token in 3 of 9 updates (typically 0.60)"),
        ("clip_fraction", 0.4, "more than 30% of the tokens were clipped in 3 of 9 updates (typically 0.40)"),
        ("ratio", 3.8, "the mean ratio was more than 0.5 away from 1 in 3 of 9 updates (typically 3.80)"),
        ("ratio", 0.2, "the mean ratio was more than 0.5 away from 1 in 3 of 9 updates (typically 0.20)"),
        (
            "explained_variance",
            -2.0,
            "the critic's explained variance was below −0.5 in 3 of 5 of the later updates (typically −2.00)",
        ),
    ],
)
def test_values_that_often_leave_their_range_are_raised_and_single_ones_are_not(name, value, evidence):
    (line,) = unstable_updates.check(
        history(metrics=rows(name, value, {2, 5, 8} if name != "explained_variance" else {5, 7, 9}))
    ).evidence
    assert line == evidence
    assert unstable_updates.check(history(metrics=rows(name, value, {3, 8}))) is None


def test_a_critic_may_be_wrong_while_it_learns_and_may_have_no_value():
    assert unstable_updates.check(history(metrics=rows("explained_variance", -2.0, {1, 2, 3, 4}))) is None
    assert unstable_updates.check(history(metrics=rows("explained_variance", None, set(range(1, 10))))) is None
    assert unstable_updates.check(history(metrics=[])) is None


@pytest.mark.parametrize(
    ("name", "value", "ppo", "step"),
    [
        ("approx_kl", 0.6, {}, "ppo.target_kl=0.1"),
        ("approx_kl", 0.6, {"target_kl": 0.1, "learning_rate": 3e-3}, "ppo.learning_rate=0.001"),
        ("explained_variance", -2.0, {}, "ppo.gae_lambda=1"),
        (
            "explained_variance",
            -2.0,
            {"gae_lambda": 1.0, "critic_learning_rate": 3e-3},
            "ppo.critic_learning_rate=0.001",
        ),
    ],
)
def test_the_remedy_is_that_of_the_cause(name, value, ppo, step):
    run = history(metrics=rows(name, value, {5, 7, 9}), experiment=experiment(ppo=Ppo(**ppo)))
    alarm = unstable_updates.check(run)
    suggested = advice.suggest_after_training(run, (alarm,), "c.yaml")
    assert suggested.command == f"ppo train c.yaml {step}"
    assert step.partition("=")[0] in alarm.next_step
