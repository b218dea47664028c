"""The alarm of a policy that learnt nothing: what raises it, and what does not."""

import pytest

from ppo_cli.alarms import advice, no_learning
from ppo_cli.experiment.schema import Kl
from tests.alarms.histories import STAYED, experiment, history, row
from tests.reports.records import comparison


def test_equal_rewards_are_raised():
    alarm = no_learning.check(history(metrics=[row(update, reward_std=0.0) for update in range(1, 10)]))
    assert alarm.evidence == ("in 100% of the updates all rewards were equal",)


@pytest.mark.parametrize(("coef", "remedy"), [(5.0, "kl.coef=1.25"), (0.05, "ppo.learning_rate=0.0003")])
def test_a_policy_that_stays_is_raised_with_the_likelier_cause(coef, remedy):
    still = [row(update, kl=0.001, kl_coef=coef) for update in range(1, 10)]
    run = history(experiment=experiment(kl=Kl(coef=coef)), metrics=still, comparison=comparison(STAYED))
    alarm = no_learning.check(run)
    assert remedy in alarm.next_step
    suggested = advice.suggest_after_training(run, (alarm,), "c.yaml")
    assert f"{suggested.key}={suggested.value}" == remedy


def test_a_run_that_has_just_begun_may_stay_at_the_reference():
    assert no_learning.check(history(metrics=[row(update, kl=0.0) for update in range(1, 5)])) is None
