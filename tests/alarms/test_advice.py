"""The one change that is suggested after a run and after a comparison."""

from dataclasses import replace

import pytest

from ppo_cli.alarms import advice, check_all
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.schema import Kl
from ppo_cli.records.results import ComparisonResult
from tests.alarms.histories import STAYED, experiment, history, rising, row
from tests.reports.records import change, comparison


def test_a_healthy_run_raises_no_alarm_and_the_next_step_is_more_seeds():
    run = history(episodes=rising())
    assert check_all(run) == ()
    suggested = advice.suggest_after_training(run, (), "runs/x/config.yaml")
    assert (suggested.key, suggested.value) == ("--seeds", "3")
    assert suggested.command == "ppo train runs/x/config.yaml --seeds 3"
    assert suggested.reason.endswith("more seeds")


def after_no_change(run):
    return advice.suggest_after_training(run, (), "runs/x/config.yaml")


PRECISE = replace(STAYED, minimum_detectable=0.2)


@pytest.mark.parametrize(
    ("values", "command", "word"),
    [
        # the policy hardly moved: let it move, as far as people do
        ({"metrics": [row(9, kl=0.5)]}, "ppo train runs/x/config.yaml kl.coef=0.025", "only"),
        (
            {"metrics": [row(9, kl=0.5)], "experiment": experiment(kl=Kl(coef=0.006))},
            "ppo train runs/x/config.yaml ppo.updates=60",
            "only",
        ),
        # it moved, and the evaluation cannot show what matters
        (
            {"comparison": comparison(STAYED)},
            "ppo eval --checkpoint runs/x/last --prompts YOUR.jsonl",
            "more prompts",
        ),
        # it moved, and the evaluation would have shown it
        ({}, "ppo report runs/x", "read what the answers do instead"),
        ({"experiment": experiment(round=2)}, "ppo rehearse runs/x/config.yaml", "read which answers"),
        ({"experiment": experiment(round=4)}, "ppo report runs/x", "read what the answers do instead"),
    ],
)
def test_after_no_change_a_run_is_told_what_an_expert_would_type(values, command, word):
    suggested = after_no_change(history(**{"comparison": comparison(PRECISE), **values}))
    assert suggested.command == command
    assert word in suggested.reason


def test_a_guard_that_got_worse_is_read_before_anything_else():
    harm = change("refusal.unsafe", before=0.85, after=0.38, difference=-0.47, low_95=-0.55, high_95=-0.39)
    for primary in (change(), PRECISE):
        suggested = after_no_change(history(comparison=comparison(primary, harm)))
        assert suggested.command == "ppo report runs/x"
        assert suggested.reason.startswith("refusal of unsafe prompts got worse")


def test_a_penalty_that_is_strong_already_is_not_doubled():
    run = history(experiment=experiment(kl=Kl(coef=0.4)), comparison=comparison(change(difference=-1.0)))
    assert after_no_change(run).command == "ppo train runs/x/config.yaml ppo.updates=15"


@pytest.mark.parametrize("round_", [1, 2, 3, 4])
@pytest.mark.parametrize("found", [change(), STAYED, PRECISE, replace(PRECISE, verdict="EQUIVALENT")])
def test_no_other_round_is_suggested_without_an_alarm(round_, found):
    assert after_no_change(history(experiment=experiment(round=round_), comparison=comparison(found))).key != "round"


@pytest.mark.parametrize(("round_", "overrides"), [(1, "kl.coef=0.1"), (2, "round=1 kl.coef=0.1")])
def test_a_key_of_another_round_is_suggested_with_its_round(round_, overrides):
    run = history(experiment=experiment(round=round_), metrics=[row(u, kl_per_token=0.09 * u) for u in range(1, 10)])
    suggested = advice.suggest_after_training(run, check_all(run), "c.yaml")
    assert (suggested.key, suggested.value) == ("kl.coef", "0.1")
    assert suggested.command == f"ppo train c.yaml {overrides}"


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
WORSE = change("refusal.unsafe", before=0.85, after=0.38, difference=-0.47)


@pytest.mark.parametrize(
    ("found", "treatments", "command"),
    [
        (change(), {"kl.coef": (0.1, 0.05)}, "ppo train runs/b/config.yaml --seeds 3"),
        (PRECISE, {"kl.coef": (0.1, 0.05)}, "ppo train runs/b/config.yaml kl.coef=0.025"),
        (STAYED, {"kl.coef": (0.05, 0.5)}, "ppo train runs/b/config.yaml prompts.eval=YOUR.jsonl"),
        (PRECISE, {"kl.coef": (0.05, 0.5)}, "ppo report runs/b"),
        (change(difference=-1.0), {"ppo.epochs": (2, 4)}, "ppo train runs/a/config.yaml ppo.epochs=1"),
        (PRECISE, {"prompts.train": ("1a2b", "3c4d")}, "ppo report runs/b"),
        (
            change(),
            {"prompts.train": ("1a2b", "3c4d"), "kl.coef": (0.1, 0.05)},
            "ppo train runs/a/config.yaml kl.coef=0.05",
        ),
        (AGREED, {}, "ppo train runs/b/config.yaml --seeds 3"),
        (STAYED, {}, "ppo train runs/b/config.yaml --seeds 3"),
        (change(), {}, "ppo train runs/b/config.yaml --seeds 3"),
    ],
)
def test_after_a_comparison_one_step_is_proposed(found, treatments, command):
    assert compared(outcome(found, treatments)).command == command


def compared(found, seeds=(1, 2)):
    configs = ("runs/a/config.yaml", "runs/b/config.yaml")
    return advice.suggest_after_comparison(
        found, measure_named("refusal.separation"), round_=1, configs=configs, seeds=seeds
    )


def test_a_guard_that_got_worse_between_two_runs_is_read_first():
    found = replace(outcome(change(), {"kl.coef": (0.1, 0.05)}), comparison=comparison(change(), WORSE))
    assert compared(found).command == "ppo report runs/b"


def test_the_number_of_prompts_that_would_do_is_named():
    reason = compared(outcome(STAYED, {"kl.coef": (0.05, 0.5)})).reason
    assert reason == "150 prompts show a change of 0.40, and 0.30 matters: more prompts, about 270, for both settings"


def test_three_seeds_of_one_setting_are_enough_to_see_what_the_seed_does():
    assert compared(outcome(change(), {}), seeds=[1, 2, 3]).command == "ppo report runs/b"


def test_a_run_and_its_copy_are_not_two_seeds():
    assert compared(outcome(AGREED, {}), seeds=[1, 1]).command == "ppo train runs/b/config.yaml --seeds 3"
