"""The one change that is suggested after a run and after a comparison."""

from dataclasses import replace

import pytest

from ppo_cli.alarms import advice, check_all
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.results import ComparisonResult
from tests.alarms.histories import STAYED, experiment, history, rising, row
from tests.reports.records import change, comparison


def test_a_healthy_run_raises_no_alarm_and_the_next_step_is_another_seed():
    run = history(episodes=rising())
    assert check_all(run) == ()
    suggested = advice.suggest_after_training(run, (), "runs/x/config.yaml")
    assert (suggested.key, suggested.value) == ("seed", "2")
    assert suggested.command == "ppo train runs/x/config.yaml seed=2"


@pytest.mark.parametrize(("round_", "override"), [(1, "kl.coef=0.1"), (2, "round=1")])
def test_advice_keeps_to_the_keys_of_its_round(round_, override):
    run = history(experiment=experiment(round=round_), metrics=[row(u, kl_per_token=0.09 * u) for u in range(1, 10)])
    suggested = advice.suggest_after_training(run, check_all(run), "c.yaml")
    assert f"{suggested.key}={suggested.value}" == override


def outcome(found, treatments):
    return ComparisonResult(
        before="a",
        after="b",
        goal="g",
        steps=(9, 9),
        same_groups=(),
        treatments=treatments,
        seeds=(1, 1),
        confounders={},
        same_run=False,
        comparison=comparison(found),
    )


AGREED = replace(STAYED, verdict="EQUIVALENT")


@pytest.mark.parametrize(
    ("found", "treatments", "command"),
    [
        (change(), {"kl.coef": (0.1, 0.05)}, "ppo train b.yaml seed=3"),
        (STAYED, {"kl.coef": (0.1, 0.05)}, "ppo train b.yaml kl.coef=0.025"),
        (change(difference=-1.0), {"ppo.epochs": (2, 4)}, "ppo train a.yaml ppo.epochs=1"),
        (STAYED, {"prompts.train": ("1a2b", "3c4d")}, "ppo train b.yaml seed=3"),
        (change(), {"prompts.train": ("1a2b", "3c4d"), "kl.coef": (0.1, 0.05)}, "ppo train a.yaml kl.coef=0.05"),
        (AGREED, {}, "ppo train b.yaml round=2"),
        (STAYED, {}, "ppo train b.yaml seed=3"),
        (change(), {}, "ppo train b.yaml seed=3"),
    ],
)
def test_after_a_comparison_one_step_is_proposed(found, treatments, command):
    measure = measure_named("refusal.separation")
    suggested = advice.suggest_after_comparison(
        outcome(found, treatments), measure, round_=1, configs=("a.yaml", "b.yaml"), seeds=[1, 2]
    )
    assert suggested.command == command


def test_a_run_and_its_copy_are_not_two_seeds():
    suggested = advice.suggest_after_comparison(
        outcome(AGREED, {}), measure_named("refusal.separation"), round_=1, configs=("a.yaml", "b.yaml"), seeds=[1, 1]
    )
    assert suggested.command == "ppo train b.yaml seed=2"
