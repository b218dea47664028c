"""AdamW on float32 masters, plain and with moments in 8 bits: what bfloat16 would swallow is kept."""

import pytest
import torch
from torch import nn

from ppo_cli.engine.eight_bit_adamw import make_optimizer
from ppo_cli.engine.optimizer import MasterWeightAdamW
from ppo_cli.errors import ConfigError


def test_small_steps_add_up_although_bfloat16_would_swallow_each():
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    naive = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    ours = MasterWeightAdamW([{"params": [weight], "lr": 1e-3}], weight_decay=0.0)
    plain = torch.optim.AdamW([naive], lr=1e-3, weight_decay=0.0)
    for _ in range(20):
        weight.grad, naive.grad = torch.ones_like(weight), torch.ones_like(naive)
        ours.collect_gradients()
        ours.step()
        ours.zero_grad()
        plain.step()
    assert abs(weight.item() - 0.98) < 0.004
    assert naive.item() == 1.0


def test_float32_weights_step_as_under_plain_adamw():
    torch.manual_seed(0)
    first = nn.Linear(5, 3)
    second = nn.Linear(5, 3)
    second.load_state_dict(first.state_dict())
    ours = MasterWeightAdamW([{"params": list(first.parameters()), "lr": 1e-2}], weight_decay=0.1)
    plain = torch.optim.AdamW(second.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(5):
        data = torch.randn(4, 5)
        for model, optimizer in ((first, ours), (second, plain)):
            model(data).pow(2).sum().backward()
            if optimizer is ours:
                ours.collect_gradients()
            optimizer.step()
            optimizer.zero_grad()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_gradients_gather_over_micro_batches_in_float32():
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    ours = MasterWeightAdamW([{"params": [weight], "lr": 1e-3}])
    for gradient in (1.0, 0.001, 0.001):
        weight.grad = torch.full_like(weight, gradient)
        ours.collect_gradients()
    assert abs(float(ours.masters()[0].grad) - 1.002) < 1e-5
    assert weight.grad is None


@pytest.mark.parametrize("name", ["adamw_8bit", "paged_adamw_8bit"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_moments_in_8_bits_step_nearly_as_adamw_and_survive_a_checkpoint(name, dtype):
    pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    start, gradients = torch.randn(64, 80), [torch.randn(64, 80) for _ in range(6)]

    def stepped(kind, gradients, optimizer=None):
        weight = nn.Parameter(start.to(dtype, copy=True)) if optimizer is None else optimizer.weights_and_masters[0][0]
        optimizer = optimizer or make_optimizer(kind, [{"params": [weight], "lr": 1e-2}], weight_decay=0.0)
        for gradient in gradients:
            weight.grad = gradient.to(dtype)
            optimizer.collect_gradients()
            optimizer.step()
            optimizer.zero_grad()
        return optimizer

    exact, ours = stepped("adamw", gradients), stepped(name, gradients)
    (master,) = ours.masters()
    assert {value.dtype for key, value in ours.moments(master).items() if key.startswith("state")} == {torch.uint8}
    moved = (exact.masters()[0] - start).abs().mean()
    assert (exact.masters()[0] - master).abs().mean() < 0.1 * moved

    half = stepped(name, gradients[:3])
    resumed = stepped(name, [])
    with torch.no_grad():
        resumed.masters()[0].copy_(half.masters()[0])
    resumed.restore_moments(resumed.masters()[0], half.moments(half.masters()[0]))
    resumed.round_into_weights()
    assert torch.equal(stepped(name, gradients[3:], resumed).masters()[0], master)


def test_without_bitsandbytes_the_message_names_the_key(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"ppo\.optimizer: adamw_8bit needs bitsandbytes"):
        make_optimizer("adamw_8bit", [])
