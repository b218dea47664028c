"""Each fault of TRL 1.12's stock loop in what it does, shown to be there, and our loop in the same situation."""

import copy

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import TrainerCallback

from ppo_cli.engine.checkpoints import load_checkpoint, save_checkpoint
from ppo_cli.engine.policy import require_separate_reference
from ppo_cli.engine.trl_config import to_trl_config
from ppo_cli.errors import CheckFailedError, ConfigError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models import memory_estimate
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers
from ppo_cli.setup.resolve import read_inputs
from ppo_cli.store.layout import RunLayout
from tests.engine.trl_stock_trainer import EOS, same, short_is_good, tiny_critic, tiny_prompts, weights
from tests.tiny_models import tiny_lm


@pytest.fixture
def small_pieces(monkeypatch):
    """Makes our loop accumulate each step over several micro-batches."""
    monkeypatch.setitem(memory_estimate.START_TOKENS, "cpu", 60)


# --- optimizer steps ---------------------------------------------------------------------------------


def test_trl_takes_a_step_for_every_micro_batch_of_the_last_batch_of_a_pass(stock, ours, small_pieces, monkeypatch):
    settings = {"gradient_accumulation_steps": 4, "per_device_train_batch_size": 2, "updates": 4}
    assert stock(prompts=tiny_prompts(16), **settings).train().steps == [2, 8, 2, 8]
    assert stock(prompts=tiny_prompts(8), **settings).train().steps == [8, 8, 8, 8]

    training = ours(prompts=8)  # a pass over the data is one batch
    backward, passes = training.trainer.accelerator.backward, []
    monkeypatch.setattr(training.trainer.accelerator, "backward", lambda loss: (passes.append(1), backward(loss)))
    assert training.train().steps == [4, 4, 4, 4]  # 2 epochs of 2 minibatches
    assert len(passes) >= 2 * 16


def test_trl_merges_minibatches_under_accumulation_and_divides_what_it_logs(stock, ours, small_pieces):
    accumulation = {"gradient_accumulation_steps": 4, "per_device_train_batch_size": 2}
    training = stock(**accumulation, num_mini_batches=4, learning_rate=1e-6, updates=1).train()
    assert training.steps == [2]  # 2 epochs of 4 minibatches should be 8 steps
    assert training.logged[0]["val/ratio"] == pytest.approx(0.25, abs=0.01)  # and it was 1

    training = ours(
        "ppo.episodes_per_update=16", "ppo.minibatches=4", "ppo.updates=2", "ppo.learning_rate=1e-6"
    ).train()
    assert training.steps == [8, 8]
    assert training.metrics[0].ratio == pytest.approx(1, abs=0.01)


def test_trl_ignores_max_grad_norm(stock, ours):
    assert min(stock(max_grad_norm=1e-6).train().gradient_norms) > 1e-2
    training = ours("ppo.max_grad_norm=1e-6").train()
    assert max(training.gradient_norms) <= 1.01e-6
    assert training.metrics[0].grad_norm > 1e-2  # what is reported is the norm before


# --- settings ----------------------------------------------------------------------------------------


def test_trl_takes_settings_that_do_nothing(stock):
    training = stock(bf16=True, gradient_checkpointing=True, max_steps=1, logging_steps=4, updates=4)
    assert training.trainer.accelerator.mixed_precision == "no"
    assert not training.policy.is_gradient_checkpointing
    assert len(training.train().logged) == 4

    adapted = get_peft_model(tiny_lm(), LoraConfig(target_modules=["q_proj"], lora_dropout=0.3))
    stock(policy=adapted)
    assert not [module for module in adapted.modules() if isinstance(module, torch.nn.Dropout) and module.p > 0]


@pytest.mark.parametrize(
    "override",
    [
        "ppo.bf16=true",
        "ppo.gradient_checkpointing=true",
        "ppo.max_steps=1",
        "ppo.gradient_accumulation_steps=4",
        "ppo.missing_eos_penalty=1.0",
        "evaluation.eval_steps=1",
        "model.train.lora.dropout=0.3",
        "kl.horizon=100",  # nothing without kl.target
    ],
)
def test_our_config_refuses_what_would_do_nothing(tiny_config, override):
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        load_experiment(tiny_config, [override])


def test_nothing_that_trl_ignores_reaches_it_from_our_config(tiny_config, tmp_path):
    args = to_trl_config(load_experiment(tiny_config).experiment, tmp_path, torch.device("cpu"))
    assert (args.bf16, args.gradient_checkpointing, args.missing_eos_penalty) == (False, False, None)
    assert (args.gradient_accumulation_steps, args.num_sample_generations) == (1, 0)


@pytest.mark.slow
def test_every_variable_of_ours_changes_the_result(ours):
    base = ("ppo.updates=2", "ppo.minibatches=1", "ppo.epochs=3", "ppo.max_grad_norm=0.5")
    plain = ours(*base, reward=short_is_good).train()
    for change in (
        "ppo.updates=1",
        "ppo.episodes_per_update=16",
        "ppo.epochs=1",
        "ppo.minibatches=2",
        "ppo.learning_rate=1e-3",
        "ppo.critic_learning_rate=1e-2",
        "ppo.warmup_updates=1",
        "ppo.cliprange=0.02",
        "ppo.cliprange_value=0.001",
        "ppo.gamma=0.9",
        "ppo.gae_lambda=0.5",
        "ppo.max_grad_norm=0.1",
        "ppo.whiten_rewards=true",
        "kl.coef=0.5",
        "kl.estimator=k3",
        "kl.target=0.01 kl.horizon=20",
        "model.train.top_layers=1",
        "model.train.lora.r=2",
        "model.train.lora.alpha=2",
        "rollout.temperature=0.8",
        "rollout.max_new_tokens=4",
        "seed=2",
    ):
        changed = ours(*base, *change.split(), reward=short_is_good).train()
        pairs = zip(plain.weights().values(), changed.weights().values(), strict=False)
        assert any(a.shape != b.shape or (a - b).abs().max() > 1e-4 for a, b in pairs), change


# --- data --------------------------------------------------------------------------------------------


def test_trl_waits_for_ever_when_the_data_are_fewer_than_a_batch(stock, ours, tiny_config):
    training = stock(prompts=tiny_prompts(7), per_device_train_batch_size=8)
    assert list(training.trainer.dataloader) == []  # and its loop asks for the next batch until there is one

    (notice,) = read_inputs(load_experiment(tiny_config, ["ppo.episodes_per_update=32"]).experiment).notices
    assert "an update answers 32 prompts and" in notice
    assert "holds 24, so it takes prompts more than once" in notice
    assert len(ours(prompts=7).train().metrics) == 4  # the loop continues with the next pass


def test_trl_fails_on_a_column_of_text(stock, ours):
    prompts = {"input_ids": tiny_prompts(16), "category": ["plain"] * 16}
    with pytest.raises(ValueError, match="Unable to create tensor"):
        stock(prompts=prompts).train()
    assert ours("ppo.updates=2").train().episodes[0].prompt_id.startswith("train-")


# --- models ------------------------------------------------------------------------------------------


def test_trl_accepts_a_reference_made_of_the_trained_weights(stock, ours):
    policy = tiny_lm(seed=3)
    training = stock(policy=policy, reference=copy.copy(policy), updates=4).train()
    assert not same(training.start, weights(policy))
    assert [row["objective/kl"] for row in training.logged] == pytest.approx([0] * 4, abs=1e-5)

    training = ours("kl.coef=0.0", reward=short_is_good)
    trained = training.trainer.policy.parameters
    with pytest.raises(CheckFailedError, match="The policy is its own reference"):
        require_separate_reference(trained, {"copy": next(iter(trained.values())).data})
    digest = training.trainer.policy.reference_digest()
    assert training.train().metrics[-1].kl > 0.01
    assert training.trainer.policy.reference_digest() == digest


def test_trl_trains_a_reward_model_that_is_also_the_critic(stock, ours):
    both = tiny_critic()
    before = weights(both)
    stock(critic=both, reward=both).train()
    assert not same(before, weights(both))

    training = ours()
    stepped = {id(parameter) for group in training.trainer.adamw.param_groups for parameter in group["params"]}
    policy, critic = training.trainer.policy.parameters.values(), training.trainer.critic.parameters()
    assert stepped == {id(parameter) for parameter in [*policy, *critic]}
    assert not list(training.trainer.reward_model.parameters())


def test_trl_trains_every_weight_of_the_critic_beside_an_adapter(stock, ours):
    adapted, critic = get_peft_model(tiny_lm(), LoraConfig(r=4, target_modules=["q_proj"])), tiny_critic()
    before = weights(critic)
    stock(policy=adapted, critic=critic).train()
    after = weights(critic)
    assert all(not torch.equal(before[name], after[name]) for name in before if "layers" in name)

    training = ours().train()
    assert {name.partition(".")[0] for name, _ in training.trainer.critic.named_parameters()} == {"head"}
    after = weights(training.trainer.policy.trainable)
    moved = {name for name, value in after.items() if not torch.equal(value, training.start[name])}
    assert moved
    assert all(".lora_" in name for name in moved)


# --- resuming, stopping, repeating -------------------------------------------------------------------


def test_trl_cannot_resume_and_its_checkpoints_lack_the_critic(stock, ours, tiny_model, tmp_path):
    training = stock(updates=2, save_strategy="steps", save_steps=2).train()
    saved = tmp_path / "stock" / "checkpoint-2"
    assert "optimizer.pt" in {file.name for file in saved.iterdir()}
    assert not [name for name in load_file(saved / "model.safetensors") if "score" in name or "value" in name]
    with pytest.raises(TypeError):
        training.trainer.train(resume_from_checkpoint=str(saved))
    again = stock(updates=4, resume_from_checkpoint=str(saved)).train()
    assert len(again.logged) == 4  # all over again, not 2 more

    whole, first = ours().train(), ours().train(lambda update: update < 2)
    layout = RunLayout(tmp_path / "run")
    layout.checkpoints.mkdir(parents=True)
    save_checkpoint(first.trainer, layout, tiny_model)
    second = ours()
    load_checkpoint(second.trainer, layout.checkpoint(2))
    assert second.train().metrics == whole.metrics[2:]
    assert same(second.weights(), whole.weights())


class StopAtOnce(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        control.should_training_stop = True
        return control


def test_trl_ignores_a_callback_that_stops_the_training(stock, ours):
    assert len(stock(updates=3, callbacks=[StopAtOnce()]).train().logged) == 3

    training = ours().train(lambda update: False)
    assert (len(training.metrics), training.reason) == (1, "stopped by the user")
    training = ours("kl.stop_at=0.05", "kl.coef=0.0", "ppo.updates=20", reward=short_is_good).train()
    assert len(training.metrics) < 20
    assert "kl.stop_at" in training.reason


def test_trl_gives_another_result_from_the_same_seed(stock, ours):
    def train_both(global_seed):
        np.random.seed(global_seed)  # noqa: NPY002 - the generator that TRL draws minibatches from
        torch.manual_seed(global_seed)
        torchs, mine = stock(seed=5, num_mini_batches=2).train(), ours("seed=5", "ppo.updates=2").train()
        return weights(torchs.policy), mine.weights()

    (stock_first, first), (stock_second, second) = train_both(1), train_both(2)
    assert not same(stock_first, stock_second)
    assert same(first, second)


def evaluate(trainer):
    """What an evaluation may do: sample from the policy, and draw from global generators."""
    torch.rand(3)
    np.random.random(3)  # noqa: NPY002
    with trainer.policy.merged_model() as model:
        params = SamplingParams(max_new_tokens=8, temperature=1.0, stop_ids=(EOS,), pad_id=0)
        sample_answers(model, tiny_prompts(4), [keyed_uniforms(7, i, count=8)[None] for i in range(4)], params)
    return True


def test_trl_trains_differently_when_it_is_evaluated(stock, ours, capsys):
    def train_stock(samples):
        np.random.seed(1)  # noqa: NPY002
        evaluation = tiny_prompts(8)
        return weights(stock(num_sample_generations=samples, evaluation=evaluation, updates=3).train().policy)

    plain = train_stock(0)
    assert same(plain, train_stock(0))
    assert not same(plain, train_stock(3))

    plain = ours().train()
    evaluated = ours()
    evaluated.train(lambda update: evaluate(evaluated.trainer))
    assert evaluated.metrics == plain.metrics
    assert same(evaluated.weights(), plain.weights())
