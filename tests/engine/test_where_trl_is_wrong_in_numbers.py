"""Each fault of TRL 1.12's stock loop in the numbers it learns from or logs, and our loop in the same situation."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from trl.experimental.ppo import ppo_trainer

from ppo_cli.engine.checkpoints import save_checkpoint
from ppo_cli.errors import CheckFailedError, ConfigError, PpoError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models.lm_head import MAX_ROWS_PER_PASS
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.records.answers import RewardScore
from ppo_cli.store.layout import RunLayout
from tests.engine.trl_stock_trainer import EOS, PAD, all_finite, same, short_is_good, tiny_prompts, weights
from tests.rewards.made_rewards import batch_reward
from tests.tiny_models import SHAPE, tiny_lm, tiny_tokenizer

STOP = 10  # a letter


@pytest.fixture
def folder(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def give_answers(monkeypatch, answers):
    """Makes TRL's loop use these answers [rows, T], with the log-probabilities that the policy gives them."""

    def given(model, queries, size, pad_id, generation_config):
        whole = torch.cat([queries, answers], dim=1)
        logits = ppo_trainer.forward(model, whole, pad_id).logits[:, queries.shape[1] - 1 : -1]
        return whole, logits / (generation_config.temperature + 1e-7)

    monkeypatch.setattr(ppo_trainer, "batch_generation", given)


def change_rollouts(monkeypatch, trainer, change):
    generate = trainer.generate
    monkeypatch.setattr(trainer, "generate", lambda update: change(generate(update)))


def keep_rollouts(monkeypatch, trainer):
    kept = []
    change_rollouts(monkeypatch, trainer, lambda rollouts: kept.append(rollouts) or rollouts)
    return kept


# --- pad, eos and stop -------------------------------------------------------------------------------


def test_trl_masks_out_the_end_of_every_turn_when_pad_is_eos(stock, ours, folder, monkeypatch):
    prompts = [[*row[:2], EOS, *row[3:]] for row in tiny_prompts(8)]
    answers = torch.tensor([[7, 8, EOS, PAD]] * 8)
    learnt, seen = [], []
    whiten = ppo_trainer.masked_whiten
    monkeypatch.setattr(
        ppo_trainer, "masked_whiten", lambda values, mask: (learnt.append(int(mask.sum())), whiten(values, mask))[1]
    )

    def train(tokenizer):
        give_answers(monkeypatch, torch.where(answers == PAD, tokenizer.pad_token_id, answers))
        training = stock(prompts=prompts, updates=1, tokenizer=tokenizer)
        training.policy.register_forward_pre_hook(lambda _, a, kw: seen.append(kw["input_ids"]), with_kwargs=True)
        training.train()
        return learnt.pop(), seen.pop()

    tokens, ids = train(tiny_tokenizer())
    assert tokens == 8 * 3
    assert (ids[:, 2] == EOS).all()
    both = tiny_tokenizer()
    both.pad_token = "<eos>"
    tokens, ids = train(both)
    assert tokens == 8 * 2  # the end of the answer is not learnt
    assert (ids[:, 2] == 0).all()  # the end of the user's turn is gone

    edit(folder / "tokenizer_config.json", pad_token="<eos>")
    training = ours("ppo.updates=1", "rollout.max_new_tokens=40", model=folder)
    kept = keep_rollouts(monkeypatch, training.trainer)
    training.train()
    (rollouts,) = kept
    ended = torch.tensor([answer.ended for answer in rollouts.answers])
    last = rollouts.targets.gather(1, rollouts.lengths[:, None] - 1).squeeze(1)
    assert (last[ended] == EOS).any()
    assert rollouts.response_mask.sum() == sum(answer.token_count for answer in rollouts.answers)
    assert (rollouts.ids == EOS).sum() == 8 + (last == EOS).sum()  # one ends each user's turn


def test_trl_fines_answers_that_ended_with_another_stop_token_and_logs_the_fine_as_the_score(
    stock, ours, folder, monkeypatch
):
    seen = []

    def constant(answers):
        seen.append(answers)
        return torch.ones(len(answers))

    settings = {"stop_token": None, "stop_token_id": STOP, "response_length": 24, "missing_eos_penalty": 10.0}
    training = stock(reward=constant, updates=1, **settings).train()
    (answers,) = seen
    stopped, has_eos = ((answers == token).any(1).float().mean().item() for token in (STOP, EOS))
    assert stopped > has_eos
    assert training.logged[0]["objective/scores"] == pytest.approx(1 - 10 * (1 - has_eos))

    edit(folder / "generation_config.json", eos_token_id=[EOS, STOP])
    overrides = ["ppo.updates=1", "rollout.max_new_tokens=24", "reward.terms.ends_turn.weight=10"]
    training = ours(*overrides, "reward.terms.matches_expect.weight=0.1", model=folder)
    kept = keep_rollouts(monkeypatch, training.trainer)
    row = training.train().metrics[0]
    (rollouts,) = kept
    stopped = ((rollouts.targets == STOP) & rollouts.response_mask).any(1)
    assert stopped.any()
    assert all(rollouts.answers[index].ended for index in stopped.nonzero())
    assert row.terms["ends_turn"] == row.eos_rate == sum(answer.ended for answer in rollouts.answers) / 8
    assert row.reward == pytest.approx(10 * row.terms["ends_turn"] + 0.1 * row.terms["matches_expect"])


def test_trl_exports_a_model_that_never_stops(stock, ours, folder, tmp_path):
    training = stock(stop_token=None, updates=1)
    training.trainer.save_model(str(tmp_path / "exported"))
    assert json.loads((tmp_path / "exported" / "generation_config.json").read_text()).get("eos_token_id") is None

    edit(folder / "generation_config.json", eos_token_id=[EOS, STOP], repetition_penalty=1.5)
    layout = RunLayout(tmp_path / "run")
    layout.checkpoints.mkdir(parents=True)
    saved = save_checkpoint(ours("ppo.updates=1", model=folder).train().trainer, layout, folder)
    exported = json.loads((saved / "generation_config.json").read_text())
    assert (exported["eos_token_id"], exported["repetition_penalty"]) == ([EOS, STOP], 1.5)


@pytest.mark.parametrize("leak", [{"repetition_penalty": 1.5}, {"suppress_tokens": [20, 21, 22, 23]}])
def test_trl_sees_a_kl_before_the_first_step_if_the_model_brings_generation_settings(stock, ours, folder, leak):
    policy = tiny_lm(seed=3)
    assert stock(policy=policy, updates=1).train().logged[0]["objective/kl"] == pytest.approx(0, abs=1e-5)
    policy = tiny_lm(seed=3)
    policy.generation_config.update(**leak)
    assert abs(stock(policy=policy, updates=1).train().logged[0]["objective/kl"]) > 0.02

    edit(folder / "generation_config.json", **leak)
    policy = load_model(folder, load_tokenizer(folder), torch.device("cpu"), torch.float32)
    policy.generation_config.update(**leak)
    row = ours("ppo.updates=1", policy=policy, model=folder).train().metrics[0]
    assert row.kl == pytest.approx(0, abs=1e-5)
    assert row.sampler_mismatch < 1e-5


# --- memory ------------------------------------------------------------------------------------------


class WidestScores(TorchDispatchMode):
    """Keeps the greatest number of rows in any tensor whose last axis is the vocabulary."""

    rows = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor) and value.ndim and value.shape[-1] == SHAPE["vocab_size"]:
                self.rows = max(self.rows, value.numel() // SHAPE["vocab_size"])
        return result


def test_trl_holds_scores_over_the_whole_vocabulary_for_every_token_of_a_batch(stock, ours):
    batch, length = 32, 8
    training = stock(per_device_train_batch_size=batch, response_length=length, updates=1)
    training.trainer.args.local_rollout_forward_batch_size = 4  # does not bound it
    with WidestScores() as widest:
        training.train()
    assert widest.rows >= batch * length

    training = ours(f"ppo.episodes_per_update={batch}", "ppo.updates=1", "ppo.minibatches=1", prompts=24)
    with WidestScores() as widest:
        training.train()
    assert sum(episode.answer.token_count for episode in training.episodes) > 1.4 * MAX_ROWS_PER_PASS
    assert 0 < widest.rows <= MAX_ROWS_PER_PASS


# --- what is not finite ------------------------------------------------------------------------------


def one_is_not_a_number(prompts, answers, others):
    return [
        RewardScore(reward=float("nan") if index == 0 else 1.0, terms={}, baseline_terms={})
        for index in range(len(prompts))
    ]


def test_trl_loses_every_weight_to_one_reward_that_is_not_a_number(stock, ours):
    training = stock(reward=lambda answers: torch.tensor([float("nan"), *[1.0] * (len(answers) - 1)]), updates=1)
    training.train()
    assert all(not torch.isfinite(value).any() for name, value in weights(training.policy).items() if "proj" in name)

    checked = batch_reward(lambda answers: [float("nan"), *[1.0] * (len(answers) - 1)])
    unchecked = one_is_not_a_number
    for reward, error, message in (
        (checked, CheckFailedError, "is nan"),
        (unchecked, PpoError, "not all finite"),
    ):
        training = ours(reward=reward)
        with pytest.raises(error, match=message):
            training.train()
        assert same(weights(training.trainer.policy.trainable), training.start)


def test_trl_loses_every_weight_when_a_batch_has_one_token(stock, ours, tiny_config, monkeypatch):
    give_answers(monkeypatch, torch.tensor([[EOS, PAD, PAD]]))
    training = stock(per_device_train_batch_size=1, updates=1).train()
    assert not all_finite(weights(training.policy))

    with pytest.raises(ConfigError, match=r"ppo\.episodes_per_update"):
        load_experiment(tiny_config, ["ppo.episodes_per_update=1", "ppo.minibatches=1"])
    training = ours("ppo.updates=1", "ppo.episodes_per_update=4", "ppo.minibatches=1", "rollout.max_new_tokens=1")
    assert all_finite(training.train().weights())
    assert training.metrics[0].mean_answer_tokens == 1


def test_trl_logs_no_loss_when_a_micro_batch_begins_with_padding(stock, ours, monkeypatch):
    give_answers(monkeypatch, torch.tensor([[PAD, PAD]] * 4 + [[8, EOS]] * 4))
    settings = {"gradient_accumulation_steps": 8, "per_device_train_batch_size": 1, "updates": 1}
    assert math.isnan(stock(**settings).train().logged[0]["loss/policy_avg"])

    policy = tiny_lm(seed=3)
    with torch.no_grad():
        policy.lm_head.weight[PAD] = 8 * policy.lm_head.weight[PAD]  # drawn often
    training = ours("ppo.updates=2", policy=policy).train()
    assert any(episode.answer.token_count == 1 for episode in training.episodes)
    assert all(episode.answer.token_count >= 1 for episode in training.episodes)
    assert all(math.isfinite(row.policy_loss) and math.isfinite(row.value_loss) for row in training.metrics)


# --- metrics -----------------------------------------------------------------------------------------


def test_trl_averages_over_padding_so_short_answers_look_safe(stock, ours, monkeypatch):
    def train_stock(padding):
        answers = torch.randint(6, 30, (8, 5), generator=torch.Generator().manual_seed(1))
        answers[:, 4] = EOS
        give_answers(monkeypatch, torch.nn.functional.pad(answers, (0, padding), value=PAD))
        training = stock(updates=1, num_ppo_epochs=4, adam_epsilon=1e-2).train()
        return training.logged[0]["policy/approxkl_avg"], weights(training.policy)

    (narrow, first), (wide, second) = train_stock(1), train_stock(13)
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-4)
    assert wide / narrow == pytest.approx((5 + 1) / (5 + 13), rel=1e-2)

    def train_ours(padding):
        training = ours("ppo.updates=1", "ppo.epochs=4")

        def widen(rollouts):
            steps = torch.arange(rollouts.targets.shape[1] + padding)[None, :]
            pad = {
                name: torch.nn.functional.pad(getattr(rollouts, name), (0, padding))
                for name in ("targets", "response_mask", "sampler_logprobs")
            }
            return replace(rollouts, **pad, value_mask=steps <= rollouts.lengths[:, None])

        change_rollouts(monkeypatch, training.trainer, widen)
        return training.train().metrics[0]

    narrow, wide = train_ours(1), train_ours(13)
    assert wide.approx_kl > 0
    for name in ("approx_kl", "ratio", "entropy", "policy_loss", "clip_fraction", "kl"):
        assert getattr(wide, name) == pytest.approx(getattr(narrow, name), rel=1e-3, abs=1e-6), name


def test_trl_logs_a_kl_that_grows_with_the_length_of_the_answers(stock, ours):
    settings = {"kl_estimator": "k3", "per_device_train_batch_size": 32, "updates": 1}
    short, long = (
        stock(reference=tiny_lm(seed=4), response_length=length, **settings).train().logged[0]["objective/kl"]
        for length in (2, 12)
    )
    assert long > 3 * short > 0

    row = ours("ppo.updates=3", "kl.coef=0.0", reward=short_is_good).train().metrics[-1]
    assert row.kl != 0
    assert row.kl_per_token == pytest.approx(row.kl / row.mean_answer_tokens)


def test_trl_logs_no_spread_of_the_reward(stock, ours):
    constant = stock(updates=1, reward=lambda answers: torch.ones(8), kl_coef=0.0).train().logged[0]
    spread = stock(updates=1, reward=lambda answers: torch.tensor([0.0, 2.0] * 4), kl_coef=0.0).train().logged[0]
    objectives = [name for name in spread if name.startswith("objective/")]
    assert {name: constant[name] for name in objectives} == {name: spread[name] for name in objectives}

    training = ours("ppo.updates=1").train()
    rewards = torch.tensor([episode.reward for episode in training.episodes])
    assert training.metrics[0].reward_std == pytest.approx(float(rewards.std(correction=0)))
    assert training.metrics[0].reward_std > 0
