"""Sampling and training on a pretended GPU (tests.cuda_disguise) against the CPU.

It shows that every tensor is where it should be and that what is recorded may be recorded; no kernel of a GPU runs.
"""

from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

import pytest
import torch

from ppo_cli.engine.checkpoints import load_checkpoint, save_checkpoint
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models import lm_head, slot_decoder, slot_sampling
from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.determinism import CUBLAS_WORKSPACE
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.sampling import sample_answers
from ppo_cli.records.events import ignore_events
from ppo_cli.store.layout import RunLayout
from tests.cuda_disguise import DisguiseError, disguised_cuda
from tests.engine.trainer_inputs import trainer_inputs
from tests.engine.trl_stock_trainer import forget_accelerators
from tests.models.test_sampling import PROMPTS, params, uniforms
from tests.models.test_slot_sampling import assert_same, third_layer
from tests.tiny_models import FAMILIES, tiny_lm

CUDA = torch.device("cuda")


@contextmanager
def pretended_gpu(monkeypatch):
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    forget_accelerators()
    with disguised_cuda() as disguise:
        yield disguise
    forget_accelerators()


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_steps_give_the_answers_of_the_cpu(family, monkeypatch):
    recorder = ActivationRecorder(third_layer(plain := tiny_lm(family)))
    expected = sample_answers(plain, PROMPTS, uniforms(2), params(), recorder=recorder)
    with pretended_gpu(monkeypatch) as disguise:
        model = tiny_lm(family).to(CUDA)
        recorder = ActivationRecorder(third_layer(model))
        recorded = sample_answers(model, PROMPTS, uniforms(2), params(), recorder=recorder)
        assert disguise.recorded_graphs == 1
        assert disguise.replays > 0
        assert all(answer.activations.is_cuda for answer in chain(*recorded))
    assert_same(expected, recorded, activations=True)


def test_refilled_slots_use_the_step_that_was_recorded_once(monkeypatch):
    monkeypatch.setattr(slot_sampling, "MAX_SLOTS", 2)
    expected = sample_answers(tiny_lm(), PROMPTS, uniforms(2), params())
    with pretended_gpu(monkeypatch) as disguise:
        assert_same(expected, sample_answers(tiny_lm().to(CUDA), PROMPTS, uniforms(2), params()))
        assert disguise.recorded_graphs == 1
        assert disguise.replays > 12


@pytest.mark.parametrize("trained", ["model.train.top_layers=null", "model.train.lora=null"])
def test_updates_and_a_resumed_run_are_those_of_the_cpu(trained, tiny_config, tiny_model, tmp_path, monkeypatch):
    experiment = load_experiment(tiny_config, ["reward.baseline=none", "ppo.updates=2", trained]).experiment
    expected = [vars(row) for row in train(experiment, tiny_model, torch.device("cpu"), tmp_path)]
    with pretended_gpu(monkeypatch):
        disguised = [vars(row) for row in train(experiment, tiny_model, CUDA, tmp_path / "gpu", saved=1)]
        resumed = [vars(row) for row in train(experiment, tiny_model, CUDA, tmp_path / "gpu", resume=True)]
    assert disguised[1:] == resumed
    for before, after in zip(expected, disguised, strict=True):
        numbers = {name: value for name, value in before.items() if isinstance(value, float)}
        assert len(numbers) > 8
        assert {name: after[name] for name in numbers} == pytest.approx(numbers, rel=1e-4, abs=1e-5)


def train(experiment, tokenizer_folder, device, folder, saved=None, resume=False):
    inputs = trainer_inputs(experiment, tokenizer_folder, model=tiny_lm(seed=3).to(device))
    layout = RunLayout(folder)
    layout.checkpoints.mkdir(parents=True, exist_ok=True)
    trainer = PolicyTrainer(experiment, replace(inputs, device=device), folder, ignore_events)
    if resume:
        load_checkpoint(trainer, layout.checkpoint(1))
    rows = []

    def after(update):
        if update == saved:
            save_checkpoint(trainer, layout, tokenizer_folder)
        return True

    trainer.train(lambda row, *_: rows.append(row), after)
    assert all(master.device.type == device.type for master in trainer.adamw.masters())
    return rows


def test_a_step_that_waits_for_the_gpu_is_noticed_and_stays_eager(monkeypatch):
    plain = slot_decoder.draw_tokens

    def waiting(head, hidden, numbers, temperature):
        assert float(numbers.sum()) >= 0
        return plain(head, hidden, numbers, temperature)

    monkeypatch.setattr(slot_decoder, "draw_tokens", waiting)
    expected = sample_answers(tiny_lm(), PROMPTS, uniforms(1), params())
    with pretended_gpu(monkeypatch) as disguise, pytest.warns(UserWarning, match="__float__ is illegal"):
        assert_same(expected, sample_answers(tiny_lm().to(CUDA), PROMPTS, uniforms(1), params()))
    assert disguise.replays == 0


def test_an_update_that_mixes_devices_is_noticed(tiny_config, tiny_model, tmp_path, monkeypatch):
    overrides = ["reward.baseline=none", "ppo.updates=1", "ppo.warmup_updates=0"]
    experiment = load_experiment(tiny_config, overrides).experiment
    plain = PolicyTrainer.compute_advantages

    def on_the_cpu(self, rollouts, scores):
        experience = plain(self, rollouts, scores)
        return replace(experience, advantages=experience.advantages.cpu())

    monkeypatch.setattr(PolicyTrainer, "compute_advantages", on_the_cpu)
    with pretended_gpu(monkeypatch), pytest.raises(DisguiseError, match=r"indices on cuda:0|tensors on cuda:0 and"):
        train(experiment, tiny_model, CUDA, tmp_path)


def test_logits_of_16_bit_weights_are_not_rounded_on_cuda(monkeypatch):
    model = tiny_lm(dtype=torch.bfloat16)
    hidden = torch.randn(5, 32, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    exact = hidden.float() @ LMHead(model).weight.detach().float().t()
    rounded = LMHead(model).logits(hidden).detach()
    assert torch.equal(rounded, exact.to(torch.bfloat16).float())  # so a CPU's recipes keep their bytes
    with disguised_cuda(), torch.no_grad():
        on_gpu = LMHead(model.to(CUDA)).logits(hidden.to(CUDA)).cpu()
    assert float((on_gpu - exact).abs().max()) < 1e-5
    assert float((rounded - exact).abs().max()) > 1e-3
    assert lm_head.MAX_ROWS_PER_PASS >= 5
