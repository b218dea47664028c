"""A placebo: rewards permuted among the answers of an update, the same in every process and after an interruption."""

import pytest
import torch

from ppo_cli.engine.placebo import permuted
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.experiment.load import load_experiment
from ppo_cli.records.answers import RewardScore
from ppo_cli.records.events import ignore_events
from tests.engine.trainer_inputs import trainer_inputs
from tests.tiny_models import tiny_lm


def scores(answers, rewards=None):
    true = [-answer.token_count / 4 for answer in answers]
    return [
        RewardScore(reward=reward, terms={"short": value}, baseline_terms={})
        for reward, value in zip(rewards or true, true, strict=True)
    ]


def short_is_good(_prompts, answers, _baseline):
    return scores(answers)


@pytest.fixture
def build(tiny_config, tiny_model, tmp_path):
    def make(*overrides, reward=short_is_good):
        experiment = load_experiment(tiny_config, ["reward.baseline=none", *overrides]).experiment
        inputs = trainer_inputs(experiment, tiny_model, model=tiny_lm("llama", seed=3), reward=reward)
        return PolicyTrainer(experiment, inputs, tmp_path / "trl", ignore_events)

    return make


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.policy.parameters.values()])


def run(trainer, until=99):
    metrics, episodes = [], []

    def record(row, made, _seconds):
        metrics.append(row)
        episodes.extend(made)

    trainer.train(record, lambda update: update < until)
    return metrics, episodes


def test_the_rewards_are_the_same_in_another_order_that_seed_and_update_decide():
    rewards = torch.arange(64.0)
    once = permuted(rewards, seed=1, update=2)
    assert sorted(once.tolist()) == rewards.tolist() != once.tolist()
    assert torch.equal(once, permuted(rewards, seed=1, update=2))
    assert not torch.equal(once, permuted(rewards, seed=1, update=3))
    assert not torch.equal(once, permuted(rewards, seed=2, update=2))


@pytest.mark.parametrize("answers_per_prompt", [1, 2])
def test_a_placebo_takes_the_steps_of_permuted_rewards_and_records_the_true_ones(build, answers_per_prompt):
    placebo = build("reward.placebo=true", f"ppo.answers_per_prompt={answers_per_prompt}")
    metrics, episodes = run(placebo)
    assert all(row.placebo for row in metrics)
    assert all(episode.reward == -episode.answer.token_count / 4 for episode in episodes)

    updates = []

    def permuted_before(_prompts, answers, _baseline):
        updates.append(len(updates) + 1)
        true = torch.tensor([-answer.token_count / 4 for answer in answers])
        return scores(answers, permuted(true, 1, updates[-1]).tolist())

    by_hand = build(f"ppo.answers_per_prompt={answers_per_prompt}", reward=permuted_before)
    rows, _ = run(by_hand)
    assert torch.equal(weights(placebo), weights(by_hand))
    assert not any(row.placebo for row in rows)
    treated = build(f"ppo.answers_per_prompt={answers_per_prompt}")
    run(treated)
    assert not torch.equal(weights(placebo), weights(treated))


def test_a_placebo_that_stops_goes_on_with_the_same_permutations(build):
    whole, cut = build("reward.placebo=true"), build("reward.placebo=true")
    run(whole)
    run(cut, until=2)
    assert cut.updates_done == 2
    run(cut)
    assert torch.equal(weights(whole), weights(cut))
