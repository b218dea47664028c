"""AdamW on float32 masters: what bfloat16 would swallow is kept, and float32 is plain AdamW."""

import torch
from torch import nn

from ppo_cli.engine.optimizer import MasterWeightAdamW


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
