"""Our loop against TRL's own, on the same rollouts: same metrics, same final weights.

TRL's loop runs unpatched but for where its randomness comes from: it is given our sampled answers and our minibatch
order, and an unprepared loader (the prepared one breaks its accumulation).
"""

import copy

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl.experimental.ppo import PPOTrainer, ppo_trainer

from benchmarks.trl_reward_adapter import RewardModule
from ppo_cli.engine import experience as experience_module
from ppo_cli.engine.critic import CriticModule
from ppo_cli.engine.optimizer import MasterWeightAdamW
from ppo_cli.engine.trainer import ADAM_EPSILON, PolicyTrainer
from ppo_cli.engine.trl_config import to_trl_config
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models import token_draw
from ppo_cli.models.sampling import keyed_uniforms
from ppo_cli.records.events import ignore_events
from tests.engine.trainer_inputs import trainer_inputs
from tests.engine.trl_stock_trainer import collect_no_garbage

OURS_TO_TRL = {
    "reward": "objective/scores",
    "policy_loss": "loss/policy_avg",
    "value_loss": "loss/value_avg",
    "clip_fraction": "policy/clipfrac_avg",
    "learning_rate": "lr",
}


@pytest.fixture
def experiment(tiny_config):
    loaded = load_experiment(
        tiny_config,
        [
            "ppo.max_grad_norm=1e9",
            "ppo.updates=3",
            "ppo.learning_rate=1e-3",
            "reward.baseline=none",
            "ppo.episodes_per_update=16",
            "ppo.gae_lambda=1",  # below 1 TRL discounts the score of an answer that is shorter than another one
        ],
    )
    return loaded.experiment


@pytest.fixture(autouse=True)
def never_pad(monkeypatch):
    """Keeps the pad token out of sampled answers: TRL takes it for padding at any position."""
    draw = token_draw._draw_from

    def draw_without_pad(logits, uniforms, temperature):
        return draw(logits.index_fill(1, torch.tensor([0]), -torch.inf), uniforms, temperature)

    monkeypatch.setattr(token_draw, "_draw_from", draw_without_pad)
    monkeypatch.setitem(experience_module.MAX_SAMPLER_MISMATCH_NATS, torch.float32, 1.0)


def train_ours(experiment, tiny_model, folder):
    trainer = PolicyTrainer(experiment, trainer_inputs(experiment, tiny_model), folder, ignore_events)
    metrics, rollouts = [], {}
    generate = trainer.generate

    def recording(update):
        rollouts[update] = generate(update)
        return rollouts[update]

    trainer.generate = recording
    trainer.train(lambda row, episodes, seconds: metrics.append(row), lambda update: True)
    return trainer, metrics, rollouts


def train_stock(experiment, tiny_model, folder, rollouts, monkeypatch):
    """TRL's loop with our modules, fed the rollouts of our run."""
    inputs = trainer_inputs(experiment, tiny_model)
    policy, tokenizer = inputs.policy, inputs.tokenizer
    reference = None
    if experiment.model.train.lora is None:
        reference = copy.deepcopy(policy.model).requires_grad_(False)
    critic = CriticModule(policy, experiment.ppo.critic, seed=experiment.seed)
    groups = [
        {"params": list(policy.parameters.values()), "lr": experiment.ppo.learning_rate},
        {"params": list(critic.parameters()), "lr": experiment.ppo.critic_learning_rate},
    ]
    optimizer = MasterWeightAdamW(groups, eps=ADAM_EPSILON, weight_decay=0.0)
    warmup = experiment.ppo.warmup_updates
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: min(1.0, (update + 1) / (warmup + 1)))
    prompts = dict(zip(map(tuple, inputs.prompt_token_ids), inputs.prompts, strict=True))
    width = max(map(len, prompts))
    trainer = PPOTrainer(
        args=to_trl_config(experiment, folder, torch.device("cpu")),
        processing_class=tokenizer.tokenizer,
        model=policy.trainable,
        ref_model=reference,
        reward_model=RewardModule(inputs.reward, tokenizer, prompts, {}),
        train_dataset=Dataset.from_dict({"input_ids": [list(ids) for ids in prompts]}),
        value_model=critic,
        optimizers=(optimizer, schedule),
    )
    queries = {update: left_padded(rollouts[update], width, tokenizer.pad_id) for update in rollouts}
    trainer.dataloader = [{"input_ids": queries[update]} for update in sorted(rollouts)]
    updates = iter(sorted(rollouts))

    def our_answers(model, queries, size, pad_id, generation_config):
        batch = rollouts[next(updates)]
        answers = torch.where(batch.response_mask, batch.targets, pad_id)
        whole = torch.cat([queries, answers], dim=1)
        logits = ppo_trainer.forward(model, whole, pad_id).logits[:, queries.shape[1] - 1 : -1]
        return whole, logits / (experiment.rollout.temperature + 1e-7)

    orders = iter(
        np.argsort(keyed_uniforms(experiment.seed, "minibatches", update, epoch, count=16), kind="stable")
        for update in sorted(rollouts)
        for epoch in range(experiment.ppo.epochs)
    )
    monkeypatch.setattr(ppo_trainer, "batch_generation", our_answers)
    monkeypatch.setattr(ppo_trainer.np.random, "permutation", lambda count: next(orders))
    logged = []
    monkeypatch.setattr(trainer, "log", logged.append)
    collect_no_garbage(monkeypatch)
    trainer.train()
    return policy, critic, logged


def left_padded(rollouts, width, pad_id):
    rows = []
    for ids, length in zip(rollouts.ids, rollouts.prompt_lengths, strict=True):
        rows.append(torch.cat([torch.full((width - int(length),), pad_id), ids[: int(length)]]))
    return torch.stack(rows)


@pytest.fixture
def compare_loops(experiment, tiny_model, tmp_path, monkeypatch):
    """Trains by both loops and compares what they logged and their final weights."""

    def compare_loops(*, lora, estimator="k1", whiten=False, critic="head"):
        train = experiment.model.train if lora else experiment.model.train.model_copy(update={"lora": None})
        changes = {
            "model": experiment.model.model_copy(update={"train": train}),
            "kl": experiment.kl.model_copy(update={"estimator": estimator}),
            "ppo": experiment.ppo.model_copy(update={"whiten_rewards": whiten, "critic": critic}),
        }
        settings = experiment.model_copy(update=changes)
        trainer, metrics, rollouts = train_ours(settings, tiny_model, tmp_path / "ours")
        assert any(int(batch.lengths.min()) < int(batch.lengths.max()) for batch in rollouts.values())

        policy, critic, logged = train_stock(settings, tiny_model, tmp_path / "stock", rollouts, monkeypatch)

        assert len(logged) == len(metrics) == 3
        for ours, stock, batch in zip(metrics, logged, rollouts.values(), strict=True):
            for name, stock_name in OURS_TO_TRL.items():
                assert getattr(ours, name) == pytest.approx(stock[stock_name], rel=1e-4, abs=1e-5), name
            assert ours.kl_penalty == pytest.approx(-stock["objective/non_score_reward"], rel=1e-4, abs=1e-6)
            if estimator == "k1":  # ours reports k1 whatever the penalty uses
                assert ours.kl == pytest.approx(stock["objective/kl"], rel=1e-4, abs=1e-5)
            # TRL averages over padding too, where the ratio is 1 and its logarithm 0.
            diluted = 1 - (1 - stock["val/ratio"]) * batch.response_mask.numel() / float(batch.response_mask.sum())
            assert ours.ratio == pytest.approx(diluted, rel=2e-2)
        for name, weight in policy.parameters.items():
            torch.testing.assert_close(trainer.policy.parameters[name], weight, rtol=1e-5, atol=1e-5)
        for ours, stock in zip(trainer.critic.parameters(), critic.parameters(), strict=True):
            torch.testing.assert_close(ours, stock, rtol=1e-5, atol=1e-5)

    return compare_loops


@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
@pytest.mark.parametrize("estimator", ["k1", "k3"])
@pytest.mark.parametrize("whiten", [False, True], ids=["plain", "whitened"])
def test_same_metrics_and_same_weights(compare_loops, lora, estimator, whiten):
    compare_loops(lora=lora, estimator=estimator, whiten=whiten)


@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_a_critic_with_layers_of_its_own_learns_as_trls_does(compare_loops, lora):
    compare_loops(lora=lora, critic="layers")
