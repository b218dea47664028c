"""The pretended GPU refuses what a real one refuses, and computes what a CPU computes."""

import pytest
import torch

from ppo_cli.models.determinism import CUBLAS_WORKSPACE, strict_algorithms
from tests.cuda_disguise import DisguiseError, disguised_cuda


@pytest.fixture
def disguise():
    with disguised_cuda() as made:
        yield made


def on_gpu(*shape):
    return torch.arange(float(torch.Size(shape).numel()), device="cuda").view(shape)


def test_the_device_follows_from_inputs_to_outputs(disguise):
    made = [torch.ones(2).to("cuda"), torch.ones(2).cuda(), torch.ones(2, device="cuda:0")]
    moved = [*made, torch.nn.Linear(2, 2).cuda().weight]
    for tensor in (*moved, moved[0] + 1, moved[0].new_zeros(3), moved[0][:1], moved[0].to(torch.float64)):
        assert tensor.device == torch.device("cuda", 0)
        assert tensor.is_cuda
    for tensor in (moved[0].cpu(), torch.ones(2), moved[0].to("cpu"), torch.tensor(moved[0].tolist())):
        assert tensor.device.type == "cpu"


def test_gradients_are_on_the_device(disguise):
    layer = torch.nn.Linear(3, 1).cuda()
    layer(on_gpu(2, 3)).sum().backward()
    assert layer.weight.grad.is_cuda


@pytest.mark.parametrize(
    "violation",
    [
        lambda: on_gpu(2) + torch.ones(2),
        lambda: torch.nn.Linear(2, 2)(on_gpu(1, 2)),
        lambda: torch.ones(3)[on_gpu(2).long()],
        lambda: torch.cat([on_gpu(2), torch.ones(2)]),
        lambda: on_gpu(2).numpy(),
        lambda: torch.where(on_gpu(2) > 0, torch.ones(2), 0.0),
    ],
)
def test_a_mixture_of_devices_raises(disguise, violation):
    with pytest.raises(DisguiseError):
        violation()


def test_what_a_gpu_allows_is_allowed(disguise):
    tensor = on_gpu(3)
    assert (tensor + torch.tensor(1.0)).tolist() == [1.0, 2.0, 3.0]  # a number may be anywhere
    assert tensor[[0, 2]].tolist() == [0.0, 2.0]
    tensor.copy_(torch.ones(3))
    assert float(tensor.sum()) == 3.0


@pytest.mark.parametrize(
    "violation",
    [
        lambda tensor: tensor.sum().item(),
        lambda tensor: float(tensor[0]),
        lambda tensor: tensor.tolist(),
        lambda tensor: tensor.cpu(),
        lambda tensor: tensor.to("cpu"),
        lambda tensor: tensor.nonzero(),
        lambda tensor: tensor[tensor > 1],
        lambda tensor: tensor.masked_select(tensor > 1),
        lambda tensor: bool((tensor > 1).any()),
        lambda tensor: tensor.copy_(torch.ones(4)),
        lambda tensor: tensor[[0, 1]],
        lambda tensor: torch.where(tensor > 1, tensor, 0.0),
        lambda _tensor: torch.tensor([1.0], device="cuda"),
        lambda _tensor: torch.ones(1).cuda(),
        lambda _tensor: torch.cuda.synchronize(),
    ],
)
def test_what_waits_or_copies_raises_while_recording(disguise, violation):
    tensor = on_gpu(4)
    violation(tensor)  # allowed otherwise
    with pytest.raises(DisguiseError, match="while a CUDA graph is recorded"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        violation(tensor)


def test_recording_runs_nothing_and_replaying_everything(disguise):
    total, step = on_gpu(2), torch.ones(2, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        doubled = (total + torch.arange(2, device="cuda")) * 2
        total += step
    assert total.tolist() == [0.0, 1.0]
    assert doubled.isnan().all()
    graph.replay()
    assert (doubled.tolist(), total.tolist()) == ([0.0, 4.0], [1.0, 2.0])
    step.fill_(10.0)
    graph.replay()
    assert (doubled.tolist(), total.tolist()) == ([2.0, 6.0], [11.0, 12.0])


def test_strict_algorithms_refuse_a_sum_of_floats_that_adds_up(disguise, monkeypatch):
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    with strict_algorithms(torch.device("cuda")):
        on_gpu(3).long().cumsum(0)
        with pytest.raises(DisguiseError, match="deterministic"):
            on_gpu(3).cumsum(0)
    on_gpu(3).cumsum(0)


def test_without_the_disguise_nothing_is_left():
    with disguised_cuda():
        tensor = on_gpu(2)
    assert tensor.device.type == "cpu"
    assert not tensor.is_cuda
    assert "device" not in vars(torch.Tensor)
