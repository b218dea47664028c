"""Checkpoints: complete or absent, checked byte by byte, and training that continues with exactly the same numbers."""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from ppo_cli.engine.checkpoints import (
    list_checkpoints,
    load_checkpoint,
    newest_intact,
    origin_of,
    prune_checkpoints,
    save_checkpoint,
    verify_checkpoint,
)
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import IntegrityError, PpoError, UsageError
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.experiment.load import load_experiment
from ppo_cli.records.events import ignore_events
from ppo_cli.store.files import write_json
from ppo_cli.store.layout import RunLayout
from tests.engine.trainer_inputs import trainer_inputs
from tests.tiny_models import tiny_lm

UPDATES = 5
VARIANTS = {
    "lora": [],
    "full": ["model.train.lora=null"],
    "bfloat16": ["model.dtype=bfloat16"],
    "adaptive_kl": ["kl.target=0.01", "kl.horizon=16", "ppo.warmup_updates=3"],
}


@pytest.fixture(params=VARIANTS)
def build(request, tiny_config, tiny_model, tmp_path):
    overrides = ["reward.baseline=none", f"ppo.updates={UPDATES}", *VARIANTS[request.param]]
    experiment = load_experiment(tiny_config, overrides).experiment
    dtype = torch.bfloat16 if experiment.model.dtype == "bfloat16" else torch.float32

    def make():
        inputs = trainer_inputs(experiment, tiny_model, model=tiny_lm(seed=3, dtype=dtype))
        return PolicyTrainer(experiment, inputs, tmp_path / "trl", ignore_events)

    return make


@pytest.fixture
def layout(tmp_path):
    layout = RunLayout(tmp_path / "run")
    layout.checkpoints.mkdir(parents=True)
    return layout


def train(trainer, until=UPDATES):
    rows, episodes = [], []

    def record(row, made, seconds):
        rows.append(row)
        episodes.extend(made)

    trainer.train(record, lambda update: update < until)
    return rows, episodes


def test_training_continues_with_the_numbers_of_an_uninterrupted_one(build, layout, tiny_model):
    whole = build()
    rows, episodes = train(whole)

    first = build()
    train(first, until=2)
    save_checkpoint(first, layout, tiny_model)
    second = build()
    load_checkpoint(second, layout.checkpoint(2))
    rows_after, episodes_after = train(second)

    assert [asdict(row) for row in rows_after] == [asdict(row) for row in rows[2:]]
    assert episodes_after == episodes[2 * 8 :]
    for name, value in whole.policy.parameters.items():
        assert torch.equal(second.policy.parameters[name], value), name
    for ours, theirs in zip(second.adamw.masters(), whole.adamw.masters(), strict=True):
        assert torch.equal(ours, theirs)


class TestOnDisk:
    @pytest.fixture
    def build(self, tiny_config, tiny_model, tmp_path):
        experiment = load_experiment(tiny_config, ["reward.baseline=none"]).experiment
        inputs = trainer_inputs(experiment, tiny_model, model=tiny_lm())
        return PolicyTrainer(experiment, inputs, tmp_path / "trl", ignore_events)

    def saved(self, trainer, layout, tiny_model, update=1):
        trainer.updates_done = update
        return save_checkpoint(trainer, layout, tiny_model)

    def test_a_colleague_can_read_all_of_it(self, build, layout, tiny_model):
        folder = self.saved(build, layout, tiny_model)
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert len(files) > 5
        assert {path.stat().st_mode & 0o044 for path in files} == {0o044}

    @pytest.mark.parametrize(("best", "remaining"), [(None, [3, 4]), (1, [1, 3, 4]), (3, [3, 4])])
    def test_only_the_newest_and_the_best_are_kept(self, build, layout, tiny_model, best, remaining):
        for update in (1, 2, 3, 4):
            self.saved(build, layout, tiny_model, update)
        prune_checkpoints(layout, keep=2, best=best)
        assert sorted(layout.checkpoints.iterdir()) == [layout.checkpoint(update) for update in remaining]
        for folder in list_checkpoints(layout):
            verify_checkpoint(folder)

    def test_a_checkpoint_is_renamed_before_its_first_file_is_removed(self, build, layout, tiny_model, monkeypatch):
        for update in (1, 2):
            self.saved(build, layout, tiny_model, update)
        monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # killed before anything was removed
        prune_checkpoints(layout, keep=1, best=None)
        assert list_checkpoints(layout) == [layout.checkpoint(2)]
        assert len(list(layout.checkpoints.iterdir())) == 2
        monkeypatch.undo()
        prune_checkpoints(layout, keep=1, best=None)
        assert list(layout.checkpoints.iterdir()) == [layout.checkpoint(2)]

    def test_its_files_are_synced_before_it_gets_its_name(self, build, layout, tiny_model, monkeypatch):
        order, fsync, rename = [], os.fsync, Path.rename
        names = {}

        def synced(handle):
            names.setdefault(os.fstat(handle).st_ino, len(order))
            order.append("fsync")
            fsync(handle)

        def renamed(path, target):
            order.append("rename")
            return rename(path, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "rename", renamed)
        folder = self.saved(build, layout, tiny_model)
        for file in folder.rglob("*"):
            if file.is_file():
                assert names[file.stat().st_ino] < order.index("rename"), file
        assert order[-2:] == ["rename", "fsync"]

    def test_only_safetensors_and_text(self, build, layout, tiny_model):
        folder = self.saved(build, layout, tiny_model)
        assert {file.suffix for file in folder.rglob("*") if file.is_file()} <= {".safetensors", ".json", ".jinja"}
        assert json.loads((folder / "checkpoint.json").read_text())["update"] == 1

    @pytest.mark.parametrize("name", ["model.safetensors", "state/training.safetensors", "state/training.json"])
    def test_one_changed_byte_is_noticed(self, build, layout, tiny_model, name):
        folder = self.saved(build, layout, tiny_model)
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))
        with pytest.raises(IntegrityError, match=name.rsplit("/", maxsplit=1)[-1]):
            verify_checkpoint(folder)

    def test_the_newest_intact_one_is_found_and_damaged_ones_are_renamed(self, build, layout, tiny_model):
        assert newest_intact(layout) == (None, [])
        first, second, third = (self.saved(build, layout, tiny_model, update) for update in (1, 2, 3))
        assert newest_intact(layout) == (third, [])
        (third / "state" / "training.json").unlink()
        (second / "model.safetensors").write_bytes(b"no weights")
        newest, damaged = newest_intact(layout)
        assert newest == first
        assert [folder.name for folder in damaged] == ["step-000003.damaged", "step-000002.damaged"]
        assert list_checkpoints(layout) == [first]
        assert (layout.checkpoints / "step-000002.damaged" / "model.safetensors").read_bytes() == b"no weights"
        (first / "model.safetensors").unlink()
        with pytest.raises(IntegrityError, match="No checkpoint of this run is intact"):
            newest_intact(layout)

    def test_a_missing_file_is_noticed(self, build, layout, tiny_model):
        folder = self.saved(build, layout, tiny_model)
        (folder / "state" / "training.safetensors").unlink()
        with pytest.raises(IntegrityError, match="is missing"):
            load_checkpoint(build, folder)

    @pytest.mark.parametrize("name", ["adapter_model.safetensors", "state/more.json", "modeling.py"])
    def test_a_file_that_it_was_not_written_with_is_refused_where_it_would_be_read(
        self, build, layout, tiny_model, name
    ):
        folder = self.saved(build, layout, tiny_model)
        (folder / ".DS_Store").write_text("")
        verify_checkpoint(folder)
        (folder / name).write_text("{}")
        with pytest.raises(IntegrityError, match=f"{name} is not among the files"):
            verify_checkpoint(folder)
        assert newest_intact(layout) == (folder, [])  # going on reads only what is listed
        load_checkpoint(build, folder)

    def test_one_that_started_from_a_checkpoint_is_intact_and_says_so(self, build, layout, tiny_model):
        first = self.saved(build, layout, tiny_model)
        build.updates_done = 2
        second = save_checkpoint(build, layout, first)
        verify_checkpoint(second)
        origin = origin_of(second)
        assert (origin["run"], origin["update"], len(origin["sha256"])) == ("run", 2, 64)
        assert origin_of(tiny_model) is None

    def test_a_half_written_one_is_no_checkpoint_and_harms_no_other(self, build, layout, tiny_model, monkeypatch):
        whole = self.saved(build, layout, tiny_model, 1)

        def full(*_arguments, **_settings):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ppo_cli.engine.checkpoints.save_file", full)
        with pytest.raises(PpoError, match="space"):
            self.saved(build, layout, tiny_model, 2)
        assert list_checkpoints(layout) == [whole]
        assert list(layout.checkpoints.iterdir()) == [whole]  # a full disk has its space back
        verify_checkpoint(whole)
        monkeypatch.undo()
        self.saved(build, layout, tiny_model, 2)  # leftovers of the failed one do not matter
        assert list_checkpoints(layout) == [whole, layout.checkpoint(2)]

    def test_a_checkpoint_of_another_shape_is_refused(self, build, layout, tiny_model, tiny_config, tmp_path):
        folder = self.saved(build, layout, tiny_model)
        experiment = load_experiment(tiny_config, ["reward.baseline=none", "model.train.lora.r=2"]).experiment
        inputs = replace(build.inputs, policy=Policy(tiny_lm(), experiment.model.train, seed=1))
        with pytest.raises(IntegrityError, match="does not fit this model"):
            load_checkpoint(PolicyTrainer(experiment, inputs, tmp_path / "trl", ignore_events), folder)

    def test_a_copied_checkpoint_is_still_intact(self, build, layout, tiny_model, tmp_path):
        shutil.copytree(self.saved(build, layout, tiny_model), tmp_path / "elsewhere")
        assert verify_checkpoint(tmp_path / "elsewhere")["update"] == 1


def a_checkpoint(folder):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    write_json(folder / "checkpoint.json", {"files": {"config.json": sha256_file(folder / "config.json")}})


def test_pruning_follows_no_link_and_removes_only_its_own_leftovers(tmp_path):
    layout, other = RunLayout(tmp_path / "run"), tmp_path / "other" / "checkpoints"
    for step in (1, 2, 3):
        a_checkpoint(other / f"step-00000{step}")
    a_checkpoint(layout.checkpoint(9))
    (layout.checkpoints / "step-000001").symlink_to(other / "step-000001")
    mine, leftover = layout.checkpoints / ".step-notes", layout.checkpoints / ".step-000003.partial"
    mine.mkdir()
    leftover.mkdir()
    prune_checkpoints(layout, keep=1, best=None)
    assert (mine.is_dir(), leftover.exists(), (other / "step-000001" / "config.json").is_file()) == (True, False, True)
    linked = RunLayout(tmp_path / "linked")
    linked.root.mkdir()
    linked.checkpoints.symlink_to(other)
    with pytest.raises(UsageError, match="is a link"):
        prune_checkpoints(linked, keep=1, best=None)
    assert len(list(other.iterdir())) == 3


@pytest.mark.parametrize("link", [False, True])
def test_what_is_not_in_the_manifest_is_refused(tmp_path, link):
    folder = tmp_path / "step-000004"
    a_checkpoint(folder)
    verify_checkpoint(folder)
    if link:
        (folder / "adapter").symlink_to(tmp_path)
    else:
        (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"adapter.* is not among the files"):
        verify_checkpoint(folder)
