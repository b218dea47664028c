"""An Apple GPU as a device: asked for, refused where there is none, and what is left to the CPU. Needs none."""

import pytest
import torch

from ppo_cli.engine.process_launcher import launch
from ppo_cli.errors import ConfigError, UsageError
from ppo_cli.models import device
from ppo_cli.models.cost_estimate import REACHED_SPEED_SHARE
from ppo_cli.models.memory_estimate import PROGRAM_BYTES, START_TOKENS

MPS = torch.device("mps")


@pytest.mark.skipif(device.has_mps(), reason="this machine has one")
def test_it_is_refused_where_there_is_none():
    for wanted in ("mps", "mps:0"):
        with pytest.raises(ConfigError, match=f"device: {wanted} was asked for, and this machine has no Apple GPU"):
            device.choose_device(wanted)
    with pytest.raises(ConfigError, match="is not supported") as refused:
        device.choose_device("xpu")
    assert "mps" in refused.value.next_step


def test_it_has_to_be_asked_for_and_takes_float32(monkeypatch):
    monkeypatch.setattr(device, "has_mps", lambda: True)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert device.choose_device("mps") == device.choose_device("mps:0") == MPS
    assert device.choose_device("auto").type != "mps"
    assert device.choose_dtype("auto", MPS) == torch.float32
    assert device.choose_dtype("bfloat16", MPS) == torch.bfloat16


def test_several_processes_do_not_share_it(monkeypatch):
    monkeypatch.setattr(device, "has_mps", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ConfigError, match="several processes cannot share an Apple GPU"):
        device.choose_device("mps")
    with pytest.raises(UsageError, match="several processes cannot share an Apple GPU"):
        launch(2, "mps", lambda: None)


def test_sums_in_float64_are_made_where_there_is_float64():
    assert device.float64_device(MPS) == torch.device("cpu")
    assert device.float64_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    values = torch.tensor([0.1, 1e-9], dtype=torch.float32)
    assert torch.equal(device.in_float64(values), values.double())


def test_float64_is_rounded_for_it_and_kept_elsewhere():
    numbers = torch.tensor([0.1, 0.2], dtype=torch.float64)
    assert device.moved(numbers, torch.device("cpu")) is numbers
    assert device.moved(numbers, torch.device("meta")).dtype == torch.float64


def test_tables_by_device_have_it():
    assert {"cpu", "cuda", "mps"} == set(PROGRAM_BYTES) == set(START_TOKENS) == set(REACHED_SPEED_SHARE)
