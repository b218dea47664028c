"""Finding and loading models: safetensors only, pad never eos, sentences instead of tracebacks."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from ppo_cli.errors import ConfigError, ModelError
from ppo_cli.models import model_source, prompt_fit
from ppo_cli.models.cost_estimate import (
    BUILTIN_SHAPE,
    CHECK_SECONDS,
    FIT_TOKENS,
    REACHED_SPEED_SHARE,
    SETUP_SECONDS,
    PlannedWork,
    cost_of_work,
)
from ppo_cli.models.device import choose_device, choose_dtype
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.models.memory_estimate import ModelShape
from ppo_cli.models.model_digests import model_digests


@pytest.fixture
def folder(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit(path, **changes):
    values = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            values.pop(name, None)
        else:
            values[name] = value
    path.write_text(json.dumps(values))


def test_a_prompt_is_rendered_up_to_where_the_answer_begins(folder):
    tokenizer = load_tokenizer(folder)
    assert tokenizer.tokenizer.convert_ids_to_tokens(tokenizer.render("ab")) == [
        "<user>",
        "a",
        "b",
        "<eos>",
        "<assistant>",
    ]
    assert tokenizer.decode([14, 15, 2]) == "hi"


def test_a_system_prompt_comes_first(folder):
    ids = load_tokenizer(folder, system_prompt="be").render("a")
    assert ids[-3:] == load_tokenizer(folder).render("a")[-3:]
    assert len(ids) > len(load_tokenizer(folder).render("a"))


def test_pad_apart_from_eos_is_kept_and_pad_equal_to_eos_is_replaced(folder):
    assert load_tokenizer(folder).pad_id == 0
    edit(folder / "tokenizer_config.json", pad_token="<eos>")
    tokenizer = load_tokenizer(folder)
    assert tokenizer.pad_id not in (tokenizer.tokenizer.eos_token_id, tokenizer.tokenizer.bos_token_id)
    assert tokenizer.tokenizer.padding_side == "left"


def test_every_end_token_of_the_model_stops_an_answer(folder):
    edit(folder / "generation_config.json", eos_token_id=[2, 4])
    assert load_tokenizer(folder).stop_ids == (2, 4, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: edit(f / "tokenizer_config.json", eos_token=None), "no eos token"),
        (lambda f: (f / "chat_template.jinja").unlink(), "no chat template"),
        (
            lambda f: [(f / n).unlink() for n in ("tokenizer.json", "tokenizer_config.json")],
            "cannot be read: there is no tokenizer.json",
        ),
    ],
)
def test_an_unusable_tokenizer_is_a_sentence(folder, change, message):
    change(folder)
    with pytest.raises(ModelError, match=message):
        load_tokenizer(folder)


def test_the_checkpoints_generation_config_is_replaced(folder):
    edit(folder / "generation_config.json", repetition_penalty=1.5)
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, tokenizer, torch.device("cpu"), torch.float32)
    assert model.generation_config.repetition_penalty in (None, 1.0)
    assert model.generation_config.pad_token_id == 0
    assert not model.training


def test_damaged_weights_are_a_sentence(folder):
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="is damaged or was not copied completely"):
        load_model(folder, load_tokenizer(folder), torch.device("cpu"), torch.float32)


def test_digests_differ_after_one_changed_byte(folder):
    tokenizer = load_tokenizer(folder)
    before = model_digests(folder, tokenizer)
    raw = bytearray((folder / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(raw))
    after = model_digests(folder, tokenizer)
    assert before["weights"] != after["weights"]
    assert before["tokenizer"] == after["tokenizer"]


def test_a_folder_is_taken_as_it_is(folder):
    source = model_source.resolve(str(folder))
    assert source.folder == folder
    assert source.revision is None


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("builtin:gpt5", "no built-in model 'gpt5'"),
        ("/no/such/folder", "no such folder"),
        ("what is this", "neither builtin:NAME, a folder, nor a Hugging Face id"),
        ("someone/some-model", "is not on this machine and the Hugging Face hub does not answer"),
    ],
)
def test_an_unknown_model_is_a_sentence(start, message):
    with pytest.raises(ModelError, match=message):
        model_source.resolve(start)


def test_a_folder_without_safetensors_is_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        model_source.resolve(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match="is not a model folder"):
        model_source.resolve(str(folder))


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="'fridge' is not a device"):
        choose_device("fridge")
    if not torch.cuda.is_available():
        assert choose_device("auto").type == "cpu"
        with pytest.raises(ConfigError, match="cuda was asked for, and this machine has no CUDA"):
            choose_device("cuda")
    assert choose_dtype("float32", torch.device("cpu")) == torch.float32
    assert choose_dtype("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


def test_cost_grows_with_the_work():
    shape = ModelShape(
        parameters=1e8,
        embedding_parameters=1e7,
        layers=10,
        width=512,
        vocabulary=20000,
        inner_width=2048,
        heads=8,
        key_width=256,
    )
    work = {
        "updates": 10,
        "episodes": 64,
        "epochs": 2,
        "trained_layers": 5,
        "max_new_tokens": 32,
        "baseline_answers": 100,
        "prompt_tokens": 30.0,
        "sft_tokens": 0.0,
        "whole_evaluations": 2,
        "interim_evaluations": 0,
        "eval_prompts": 100,
        "interim_prompts": 50,
        "eval_samples": 4,
        "eval_max_new_tokens": 48,
        "checkpoints_kept": 2,
    }
    small = cost_of_work(PlannedWork(**work), shape, "cpu", 100.0, 2)
    large = cost_of_work(
        PlannedWork(**{**work, "updates": 20, "whole_evaluations": 4, "baseline_answers": 200}), shape, "cpu", 100.0, 2
    )
    fixed = SETUP_SECONDS + CHECK_SECONDS
    assert large.seconds - fixed == pytest.approx(2 * (small.seconds - fixed), rel=0.01)
    assert small.episodes == 640
    assert cost_of_work(PlannedWork(**work), None, "cpu", 100.0, 2).seconds is None


def test_judging_the_fit_of_an_answer_costs_its_tokens_once_per_prompt_that_it_is_read_after():
    """2 operations per weight and token: 10 prompt tokens once, and 12 answer tokens after each of 3 prompts."""
    body, head = 2 * (BUILTIN_SHAPE.parameters - 49152 * 576), 2 * 49152 * 576
    nothing = dict.fromkeys(
        ("updates", "episodes", "epochs", "baseline_answers", "sft_tokens", "whole_evaluations", "interim_evaluations"),
        0,
    ) | dict.fromkeys(("eval_prompts", "interim_prompts", "eval_samples", "eval_max_new_tokens", "checkpoints_kept"), 1)
    work = PlannedWork(**nothing, trained_layers=None, max_new_tokens=20, prompt_tokens=10.0)
    judged = replace(work, scored_fits=100, scored_others=2)
    before, after = (cost_of_work(each, BUILTIN_SHAPE, "cpu", 100.0, 2).seconds for each in (work, judged))
    expected = 100 * (10 * body + 3 * 12 * (body + head))
    assert after - before == pytest.approx(expected / (100e9 * REACHED_SPEED_SHARE["cpu"]))
    assert FIT_TOKENS == prompt_fit.MAX_TOKENS


def test_each_of_several_processes_gets_a_gpu_of_its_own_where_cuda_has_started(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")


class NoNetworkError(Exception):
    """What the hub's client raises without a network: not an OSError."""


def test_without_a_network_the_copy_in_the_hubs_cache_is_used(folder, monkeypatch, tmp_path):
    import huggingface_hub

    def unreachable(*_arguments, **_settings):
        raise NoNetworkError("[Errno -2] Name or service not known")

    def cached_copy(start, *, revision=None, local_files_only=False, **_settings):
        return str(folder) if local_files_only else unreachable()

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached_copy)
    assert model_source.resolve("someone/some-model").folder == folder
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **__: (_ for _ in ()).throw(ValueError("no copy"))
    )
    with pytest.raises(ModelError, match="is not on this machine and the Hugging Face hub does not answer"):
        model_source.resolve("someone/some-model")


def test_a_cache_that_may_not_be_written_is_replaced_by_a_folder_of_this_users_own(monkeypatch, tmp_path):
    import tempfile

    from ppo_cli.errors import NoPermissionError
    from ppo_cli.models import cache_dir

    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("PPO_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(NoPermissionError, match="No permission"):
        cache_dir.cache_folder()
    monkeypatch.delenv("PPO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = cache_dir.cache_folder()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
