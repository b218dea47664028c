"""Trackers look on: they get what metrics.jsonl has, change no number, and never end a run."""

import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers.integrations import TensorBoardCallback

from ppo_cli.engine import tracking
from ppo_cli.engine.trainer import PolicyTrainer
from tests.terminal import error_of, only_run, ppo, records, refused, succeed

ON = "tracking=[tensorboard]"


def events(folder):
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def curves(run):
    """Every curve as [(step, value)], in the order of the event files."""
    found = events(run / "tracking" / "tensorboard")
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_events_hold_the_numbers_of_metrics_jsonl(trained):
    run = trained(ON)
    found = curves(run)
    for name, readable in tracking.NAMES.items():
        told_of = [(row["update"], np.float32(row[name])) for row in rows(run) if row[name] is not None]
        assert found.get(f"train/{readable}", []) == told_of, name
    for term in ("ends_turn", "matches_expect"):
        expected = [(row["update"], np.float32(row["terms"][term])) for row in rows(run)]
        assert found[f"train/reward/terms/{term}"] == expected


def test_the_events_hold_each_evaluation_with_its_interval(trained):
    run = trained(ON)
    found = curves(run)
    for kind, steps in {"interim": [2], "whole": [0, 4]}.items():
        assert [step for step, _ in found[f"eval/{kind}/length.tokens"]] == steps
    for place, step in enumerate((0, 4)):
        summary = json.loads((run / "eval" / f"step-{step:06d}" / "summary.json").read_text())
        measure = summary["measures"]["length.tokens"]
        for end, name in (("value", ""), ("low_95", "/low"), ("high_95", "/high")):
            assert found[f"eval/whole/length.tokens{name}"][place] == (step, np.float32(measure[end]))


def test_the_parameters_are_the_configs_own_keys(tiny_config):
    succeed("train", tiny_config, ON, "model.system_prompt=Stay calm.", "ppo.updates=2")
    (shown,) = events(only_run() / "tracking" / "tensorboard").Tensors("args/text_summary")
    parameters = json.loads(shown.tensor_proto.string_val[0])
    assert parameters["kl.coef"] == 0.05
    assert parameters["reward.terms.ends_turn.weight"] == 1.0
    assert not {"name", "output", "prompts.train", "model.system_prompt", "hub_token"} & set(parameters)
    assert not [
        path for path in (only_run() / "tracking").rglob("*") if path.is_file() and b"calm" in path.read_bytes()
    ]


def test_a_tracker_changes_no_byte_of_a_run_and_writes_only_into_its_folder(trained):
    plain, tracked = trained(), trained(ON)
    assert plain.name == tracked.name
    assert records(tracked) == records(plain)
    outside = {path.relative_to(tracked).as_posix() for path in tracked.rglob("*") if path.is_file()} - {
        path.relative_to(plain).as_posix() for path in plain.rglob("*") if path.is_file()
    }
    assert outside
    assert all(path.startswith("tracking/") for path in outside)
    assert not (plain / "tracking").exists()


def test_a_tracker_that_draws_and_prints_changes_neither_numbers_nor_the_result(shared_config, trained, monkeypatch):
    def meddling(*_, **__):
        sys.stdout.write("an advertisement\n")
        torch.manual_seed(0)
        torch.rand(3)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the global generator is the point

    monkeypatch.setattr(TensorBoardCallback, "on_log", meddling)
    screen = succeed("train", shared_config, ON, "--json")
    assert screen.json["updates"] == 4
    assert "an advertisement" in screen.err
    assert records(only_run()) == records(trained())


def test_a_tracker_that_fails_in_the_middle_is_left_alone_and_the_run_goes_on(shared_config, trained, monkeypatch):
    log = TensorBoardCallback.on_log

    def failing(callback, args, state, control, logs=None, **more):
        if state.global_step == 2:
            raise ConnectionError("the server is gone.")
        log(callback, args, state, control, logs, **more)

    monkeypatch.setattr(TensorBoardCallback, "on_log", failing)
    screen = succeed("train", shared_config, ON)
    message = (
        "tensorboard failed and is not sent the rest of this run (the server is gone); metrics.jsonl has everything."
    )
    assert screen.out.count(message) == 1
    assert [step for step, _ in curves(only_run())["train/reward/mean"]] == [1]
    assert records(only_run()) == records(trained())


def test_a_tracker_that_cannot_begin_is_told_before_the_training(shared_config, trained, monkeypatch):
    def failing(*_, **__):
        raise OSError("no account.\nA long story follows.")

    with monkeypatch.context() as broken:
        broken.setattr(TensorBoardCallback, "on_train_begin", failing)
        message = refused("train", shared_config, ON)
    run = only_run()
    assert message == (
        "tracking: tensorboard cannot start: no account. → "
        f"Fix that, or continue without it: ppo train --resume runs/{run.name} 'tracking=[]'"
    )
    assert not (run / "metrics.jsonl").exists()
    succeed("train", "--resume", run, "tracking=[]")
    assert records(run) == records(trained())


@pytest.mark.parametrize("folder", [False, True], ids=["nothing", "a folder of that name"])
def test_a_tracker_that_is_not_installed_is_refused_before_a_run_begins(tiny_config, monkeypatch, tmp_path, folder):
    if folder:
        (tmp_path / "wandb").mkdir()
    find = tracking.find_spec

    def among_nothing_installed(name):
        with monkeypatch.context() as bare:
            bare.setattr(sys, "path", [str(tmp_path)])
            return find(name)

    monkeypatch.setattr(tracking, "find_spec", among_nothing_installed)
    for words in (["train", tiny_config], ["train", tiny_config, "--dry-run"]):
        message = refused(*words, "tracking=[wandb]")
        assert message.startswith("tracking: wandb is not installed. → Install it with `")
        assert " -m pip install wandb`" in message
    assert not Path("runs").exists()


# --- resuming ----------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(shared_config, monkeypatch):
    """Gives a run stopped in its fourth update: updates 1 to 3 are recorded, the last checkpoint is of the second."""

    def interrupted(*overrides):
        finish = PolicyTrainer.finish_update

        def stopping(trainer, metrics):
            if metrics.update == 4:
                raise KeyboardInterrupt
            finish(trainer, metrics)

        with monkeypatch.context() as stopped:
            stopped.setattr(PolicyTrainer, "finish_update", stopping)
            assert ppo("train", shared_config, *overrides).code == 130
        run = only_run()
        assert [row["update"] for row in rows(run)] == [1, 2, 3]
        assert max(path.name for path in (run / "checkpoints").iterdir()) == "step-000002"
        return run

    return interrupted


def test_a_resumed_run_sends_each_step_once(interrupted, trained):
    run = interrupted(ON)
    assert [step for step, _ in curves(run)["train/reward/mean"]] == [1, 2, 3]
    succeed("train", "--resume", run)
    assert curves(run) == curves(trained(ON))
    assert records(run) == records(trained())


def test_a_tracker_may_be_added_or_left_out_on_resuming_and_nothing_else(interrupted, trained):
    run = interrupted()
    message = refused("train", "--resume", run, ON, "kl.coef=1")
    assert message.startswith("--resume continues a run as it was started, so kl.coef=1 would have no effect. → ")
    assert "did you mean tensorboard?" in refused("train", "--resume", run, "tracking=[tensorbord]")
    succeed("train", "--resume", run, ON)
    assert [step for step, _ in curves(run)["train/reward/mean"]] == [3, 4]
    assert records(run) == records(trained())


@pytest.mark.parametrize("text", ['{"tensorboard": 3}', '{"wandb": {"id": "../x", "steps": {}}}', "{"])
def test_a_damaged_record_of_what_was_sent_is_told(interrupted, text):
    run = interrupted(ON)
    (run / "tracking" / tracking.SENT_FILE).write_text(text)
    assert "sent.json is damaged. → " in error_of(ppo("train", "--resume", run))
    (run / "tracking" / tracking.SENT_FILE).unlink()
    succeed("train", "--resume", run)


# --- the environment ---------------------------------------------------------------------------------


def test_the_users_environment_is_in_charge_and_left_as_it_was(tiny_config, monkeypatch, tmp_path):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "mine"))
    before = dict(os.environ)
    succeed("train", tiny_config, ON, "ppo.updates=2")
    assert dict(os.environ) == before
    assert "train/reward/mean" in events(tmp_path / "mine").Tags()["scalars"]


def test_variables_of_a_tracker_do_not_outlast_its_run(tiny_config, monkeypatch):
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    before = dict(os.environ)
    succeed("train", tiny_config, ON, "ppo.updates=2")
    assert dict(os.environ) == before


def test_no_secret_of_the_environment_gets_into_a_run(tiny_config, monkeypatch):
    secret = "correct-horse-battery"
    for name in ("WANDB_API_KEY", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "TRACKIO_WRITE_TOKEN"):
        monkeypatch.setenv(name, secret)
    succeed("train", tiny_config, ON, "ppo.updates=2")
    files = [path for path in only_run().rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", ["wandb", "trackio", "mlflow", "swanlab"])
def test_every_tracker_is_told_to_keep_its_files_below_the_run(name, tmp_path):
    told_to = tracking.tracker_environment(name, tmp_path / "tracking", "tiny", "abc")
    places = [value for value in told_to.values() if "/" in value]
    assert places
    assert all(str(tmp_path / "tracking") in value for value in places)
    assert ("abc" in told_to.values()) == (name != "trackio")  # trackio goes on by the run's name
