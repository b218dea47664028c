"""One process sees one GPU, chosen before CUDA starts."""

import os

import pytest
import torch

from ppo_cli.errors import ConfigError
from ppo_cli.models.determinism import CUBLAS_WORKSPACE
from ppo_cli.models.device import choose_device
from ppo_cli.models.one_gpu import ONE_GPU, require_one_gpu, use_one_gpu


@pytest.fixture
def gpus(monkeypatch):
    """A machine with four GPUs, where CUDA has not started; asking whether it is there would start it."""

    def count():
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        return len(listed.split(",")) if listed else 4

    for name in ("CUDA_VISIBLE_DEVICES", "LOCAL_RANK", ONE_GPU, CUBLAS_WORKSPACE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", count)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("this starts CUDA"))
    return monkeypatch


@pytest.mark.parametrize(
    ("device", "listed", "rank", "seen"),
    [
        ("auto", None, None, "0"),
        ("cuda:2", None, None, "2"),
        ("cuda:1", "5,7", None, "7"),
        ("auto", None, "3", "3"),
        ("cuda", "4,6", "1", "6"),
        ("cuda:1", None, "2", "2"),
    ],
)
def test_a_process_sees_its_gpu_only(gpus, device, listed, rank, seen):
    if listed:
        gpus.setenv("CUDA_VISIBLE_DEVICES", listed)
    if rank:
        gpus.setenv("LOCAL_RANK", rank)
    use_one_gpu(device)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen
    assert os.environ.get("LOCAL_RANK", "0") == "0"
    gpus.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(device).index in (None, 0)


def test_a_deterministic_workspace_is_chosen_before_cuda_starts(gpus):
    use_one_gpu("cpu")
    assert CUBLAS_WORKSPACE not in os.environ
    use_one_gpu("auto")
    assert os.environ[CUBLAS_WORKSPACE] == ":4096:8"
    gpus.setenv(CUBLAS_WORKSPACE, ":16:8")
    use_one_gpu("auto")
    assert os.environ[CUBLAS_WORKSPACE] == ":16:8"


@pytest.mark.parametrize(("device", "listed"), [("cpu", None), ("cuda:9", None), ("auto", "3")])
def test_nothing_changes_where_there_is_nothing_to_choose(gpus, device, listed):
    if listed:
        gpus.setenv("CUDA_VISIBLE_DEVICES", listed)
    use_one_gpu(device)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == listed


def test_a_device_that_is_not_there_is_still_named(gpus):
    use_one_gpu("cuda:9")
    gpus.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match="cuda:9"):
        choose_device("cuda:9")


def test_a_function_of_the_python_interface_chooses_before_it_asks_for_cuda(gpus):
    gpus.setattr(torch.cuda, "is_available", lambda: "CUDA_VISIBLE_DEVICES" in os.environ)
    assert choose_device("auto").type == "cuda"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    require_one_gpu(torch.device("cuda"))


def test_another_gpu_in_the_same_process_is_refused(gpus):
    use_one_gpu("cuda:1")
    use_one_gpu("cuda:1")
    use_one_gpu("auto")
    with pytest.raises(ConfigError, match="sees only cuda:1"):
        use_one_gpu("cuda:0")


def test_training_is_refused_where_cuda_started_with_several(gpus):
    gpus.setattr(torch.cuda, "is_initialized", lambda: True)
    use_one_gpu("auto")
    with pytest.raises(ConfigError, match="has used CUDA before, with 4 GPUs in sight"):
        require_one_gpu(torch.device("cuda", 0))
    require_one_gpu(torch.device("cpu"))
    gpus.setenv("LOCAL_RANK", "1")
    require_one_gpu(torch.device("cuda", 1))
