"""What a tracker is sent: flat numbers with readable names."""

from dataclasses import fields, replace

from ppo_cli.engine.tracking import NAMES, evaluation_numbers, update_numbers
from ppo_cli.records.measures import Estimate
from ppo_cli.records.training import UpdateMetrics
from tests.reports.records import metrics


def test_every_number_of_an_update_has_a_readable_name():
    assert set(NAMES) == {field.name for field in fields(UpdateMetrics)} - {
        "update",
        "terms",
        "term_statistics",
        "placebo",
    }
    assert len(set(NAMES.values())) == len(NAMES)


def test_an_update_is_flat_and_fields_without_a_value_are_left_out():
    spread = {"ended": {"mean": 0.5, "over_baseline": 0.125, "over_baseline_std": 0.25, "scale": 2.0}}
    terms = {"ended": 0.5, "on_topic": 0.25}
    update = replace(metrics(), terms=terms, term_statistics=spread, explained_variance=None)
    numbers = update_numbers(update)
    assert numbers["reward/mean"] == update.reward
    assert numbers["kl/nats_per_answer"] == update.kl
    assert numbers["loss/policy"] == update.policy_loss
    assert numbers["reward/terms/on_topic"] == 0.25
    assert numbers["reward/terms/ended/over_baseline_std"] == 0.25
    assert len(numbers) == len(NAMES) - 1 + 2 + 3
    assert all(isinstance(value, int | float) for value in numbers.values())


def test_a_measure_has_its_interval_where_it_has_one():
    estimates = [
        Estimate(name="length.tokens", value=12.0, low_95=11.0, high_95=13.0, prompts=8),
        Estimate(name="refusal.separation", value=None, low_95=None, high_95=None, prompts=0),
        Estimate(name="diversity.distinct_2", value=0.5, low_95=None, high_95=None, prompts=8),
    ]
    assert evaluation_numbers(estimates, "interim") == {
        "eval_interim/length.tokens": 12.0,
        "eval_interim/length.tokens/low": 11.0,
        "eval_interim/length.tokens/high": 13.0,
        "eval_interim/diversity.distinct_2": 0.5,
    }
