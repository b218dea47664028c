"""Passes that fit into memory: halved where it runs out, with the results of the lower size; and recomputing."""

import pytest
import torch

from ppo_cli.engine.tokens_per_pass import TokensPerPass
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import MemoryFullError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models.memory_estimate import MIN_START_TOKENS, START_TOKENS, largest_start
from ppo_cli.records.answers import RewardScore
from ppo_cli.records.events import Notice, ignore_events
from tests.engine.trainer_inputs import trainer_inputs
from tests.tiny_models import tiny_lm

FITS = 80
"""Tokens, rows times length, that the memory of these tests holds."""


@pytest.fixture
def build(tiny_config, tiny_model, tmp_path):
    def make(*overrides, family="llama", on_event=ignore_events):
        settings = ["reward.baseline=none", "ppo.updates=2", *overrides]
        experiment = load_experiment(tiny_config, settings).experiment
        inputs = trainer_inputs(experiment, tiny_model, model=tiny_lm(family, seed=3), reward=short_is_good)
        return PolicyTrainer(experiment, inputs, tmp_path / "trl", on_event)

    return make


def short_is_good(prompts, answers, baseline_answers):
    return [RewardScore(reward=-answer.token_count / 4, terms={"short": -1.0}, baseline_terms={}) for answer in answers]


def small_memory(trainer, *, forward=True):
    """Makes passes of more than FITS tokens run out of memory: going forward, or half-way through going backward."""
    hidden = trainer.policy.policy_hidden

    def full(_gradient):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def limited(activations, ids):
        if forward and ids.numel() > FITS:
            full(None)
        states = hidden(activations, ids)
        if ids.numel() > FITS and states.requires_grad:
            # The lowest weights are the last to get a gradient: those of all others must not be counted twice.
            next(iter(trainer.policy.parameters.values())).register_hook(_once(full))
        return states

    trainer.policy.policy_hidden = limited


def _once(action):
    left = [1]

    def hook(gradient):
        if left.pop() if left else 0:
            action(gradient)

    return hook


def result(trainer):
    """The metrics and the trained weights after two updates."""
    metrics = []
    trainer.train(lambda row, _episodes, _seconds: metrics.append(row), lambda _update: True)
    return metrics, {name: value.detach().clone() for name, value in trainer.policy.parameters.items()}


@pytest.mark.parametrize("forward", [True, False], ids=["forward", "backward"])
def test_a_run_that_ran_out_of_memory_has_the_bytes_of_one_with_the_lower_size(build, forward):
    notices = []
    trainer = build(on_event=lambda event: notices.append(event) if isinstance(event, Notice) else None)
    small_memory(trainer, forward=forward)
    metrics, weights = result(trainer)
    assert trainer.passes.size.tokens < START_TOKENS["cpu"]
    assert [notice.text for notice in notices][-1].startswith(
        f"Memory ran out: passes hold {trainer.passes.size.tokens}"
    )
    if forward:  # before the first update, so that everything ran with the size that was found
        lower, lower_weights = result(build(f"ppo.tokens_per_pass={trainer.passes.size.tokens}"))
        assert metrics == lower
        assert all(torch.equal(weights[name], value) for name, value in lower_weights.items())
    else:  # in the first step, after the pass before the update
        whole, whole_weights = result(build())
        assert metrics[0].kl == whole[0].kl
        for name, value in whole_weights.items():
            torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-4)


def test_the_size_is_remembered_and_halved_no_further(build):
    trainer = build("ppo.updates=3")
    small_memory(trainer)
    sizes = []
    trainer.train(lambda *_: sizes.append(trainer.passes.size.tokens), lambda _update: True)
    assert len(set(sizes)) == 1
    assert FITS / 2 < sizes[0] <= FITS


@pytest.mark.parametrize(
    ("override", "key"),
    [("ppo.tokens_per_pass=512", "ppo.tokens_per_pass=auto"), ("ppo.tokens_per_pass=auto", "gradient_checkpointing")],
)
def test_where_nothing_is_left_to_halve_the_message_names_the_key_to_change(build, monkeypatch, override, key):
    trainer = build(override)
    monkeypatch.setattr("tests.engine.test_tokens_per_pass.FITS", 1)
    small_memory(trainer)
    failed = []
    with pytest.raises(MemoryFullError, match="The memory of the GPU is full in a pass of") as error:
        trainer.train(lambda *_: None, lambda _update: True, lambda *found: failed.append(found))
    assert key in error.value.next_step
    assert not failed  # nothing is wrong with the answers


def test_other_errors_are_not_taken_for_a_full_memory():
    size = TokensPerPass("auto", 2048, ignore_events)

    def work():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        size.fit(work, 10)
    assert size.tokens == 2048


def test_a_resumed_run_goes_on_with_the_lower_size_unless_the_config_sets_one():
    auto, fixed = TokensPerPass("auto", 2048, ignore_events), TokensPerPass(1024, 2048, ignore_events)
    auto.resume_at(256)
    fixed.resume_at(256)
    assert (auto.tokens, fixed.tokens) == (256, 1024)
    auto.resume_at(None)  # a checkpoint of an earlier version
    auto.resume_at(4096)
    assert auto.tokens == 256


def test_a_gpu_starts_with_the_power_of_two_that_fits():
    assert [largest_start(fit) for fit in (1e9, 16384, 16383, 5000, 300, 3)] == [
        16384,
        16384,
        8192,
        4096,
        MIN_START_TOKENS,
        MIN_START_TOKENS,
    ]


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3", "gemma2"])
def test_gradient_checkpointing_changes_no_byte(build, family):
    overrides = ["ppo.critic=layers"]
    metrics, weights = result(build(*overrides, family=family))
    again, again_weights = result(build(*overrides, "model.train.gradient_checkpointing=true", family=family))
    assert again == metrics
    assert all(torch.equal(again_weights[name], value) for name, value in weights.items())
