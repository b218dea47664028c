"""Our loop without TRL's constructor: the lines below are all that it takes of it, and give the same weights.

docs/verify-engine.md, "When transformers 6 comes", says what this is for.
"""

from types import SimpleNamespace

import torch
from trl.experimental.ppo import PPOTrainer

from ppo_cli.conformance.adapter import Settings
from ppo_cli.conformance.own_engine import OwnEngine
from ppo_cli.conformance.trainings import Trainings
from tests.engine.trl_stock_trainer import forget_accelerators


class PlainOptimizer:
    """What accelerate wraps around an optimizer, on one process without mixed precision."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.step, self.zero_grad = optimizer.step, optimizer.zero_grad


def construct(self, *, args, model, **_):
    """In place of TRL's `PPOTrainer.__init__`."""
    self.args, self.model = args, model
    self.callback_handler = SimpleNamespace(remove_callback=lambda callback: None)
    self.accelerator = SimpleNamespace(backward=torch.Tensor.backward)
    self.create_optimizer_and_scheduler(0)
    self.optimizer = PlainOptimizer(self.optimizer)


def test_the_same_weights_without_trls_constructor(tmp_path, monkeypatch):
    forget_accelerators()
    settings = Settings(epochs=2, minibatches=2, micro_batch=2)
    folders = [tmp_path / name for name in ("with", "without")]
    for folder in folders:
        folder.mkdir()
    with_trl = Trainings(OwnEngine(), folders[0]).run(settings, 3).weights[-1]
    monkeypatch.setattr(PPOTrainer, "__init__", construct)
    without = Trainings(OwnEngine(), folders[1]).run(settings, 3).weights[-1]
    assert all(torch.equal(without[name], weight) for name, weight in with_trl.items())
