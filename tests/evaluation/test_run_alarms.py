"""Tiny runs that go wrong, each in one way, and one that does not: what rings, where it is shown and kept."""

import json
import shutil
from pathlib import Path

import pytest

from tests.terminal import only_run, succeed
from tests.tiny_models import rows, write_rows, write_tiny_config

GENTLE = ("ppo.learning_rate=3e-3", "kl.coef=0.2")
"""Settings under which the tiny model moves a little and nothing breaks."""


def kept(run):
    return json.loads((run / "alarms.json").read_text(encoding="utf-8"))


def names(run):
    return [alarm["name"] for alarm in kept(run)["alarms"]]


@pytest.fixture(scope="session")
def healthy(trained):
    return trained(*GENTLE, "ppo.updates=6")


def own_config(folder, model, train=None, evaluation=None):
    config = write_tiny_config(folder, model)
    for name, lines in (("train", train), ("eval", evaluation)):
        if lines:
            write_rows(folder / f"{name}.jsonl", lines)
    return config


def test_a_healthy_run_is_silent_and_gets_one_advice(healthy):
    record = kept(healthy)
    assert record["alarms"] == []
    assert record["by_step"] == {"2": [], "4": [], "6": []}
    assert record["last"] is True
    assert set(record["advice"]) == {"key", "value", "reason"}


def test_a_reward_that_is_not_what_the_run_is_judged_by(trained):
    run = trained("ppo.updates=9", "ppo.episodes_per_update=16", "ppo.learning_rate=1e-2", "kl.coef=0.1")
    assert names(run) == ["reward_hacking"]


def test_a_kl_that_costs_nothing(trained):
    run = trained("ppo.updates=6", "ppo.learning_rate=0.1", "kl.coef=0")
    assert names(run) == ["unstable_updates", "policy_drift"]


def test_a_policy_that_is_not_let_go(trained):
    run = trained("ppo.updates=6", "ppo.learning_rate=1e-5", "kl.coef=50")
    assert names(run) == ["no_learning"]
    assert kept(run)["advice"]["key"] == "kl.coef"


def test_prompts_that_are_few(tiny_model, tmp_path):
    succeed("train", own_config(tmp_path / "own", tiny_model, train=rows("train", 8)), *GENTLE)
    assert names(only_run()) == ["narrow_data"]


def test_an_evaluation_that_was_trained_on(tiny_model, tmp_path):
    leaked = [*rows("train", 6), *rows("eval", 10, start=60)]
    succeed("train", own_config(tmp_path / "own", tiny_model, evaluation=leaked), *GENTLE, "--force")
    assert names(only_run()) == ["eval_contamination"]
    assert kept(only_run())["advice"]["key"] == "prompts.eval"


def test_a_first_round_that_claims_the_last(tiny_config):
    screen = succeed("train", tiny_config, *GENTLE, "goal=Be ready for production.")
    assert names(only_run()) == ["too_many_changes"]
    assert "▲ Too much changed at once" in screen.out
    assert "round 1 asks: is it controllable. The goal mentions 'for production'." in " ".join(screen.out.split())
    assert "alarm: Too much changed at once" in screen.out


def test_the_same_run_keeps_the_same_alarms_to_the_byte(shared_config, healthy):
    succeed("train", shared_config, *GENTLE, "ppo.updates=6", "--runs-dir", "again")
    assert (only_run("again") / "alarms.json").read_bytes() == (healthy / "alarms.json").read_bytes()


def test_a_run_older_than_alarms_has_them_from_its_records(trained, healthy, tmp_path):
    wrong = trained("ppo.updates=6", "ppo.learning_rate=1e-5", "kl.coef=50")
    for run in (healthy, wrong):
        shutil.copytree(run, tmp_path / "runs" / run.name)
    words = ("compare", healthy.name, wrong.name, "--allow-confounded", "--json")
    told = succeed(*words).json[0]
    for run in Path("runs").iterdir():
        (run / "alarms.json").unlink()
    again = succeed(*words).json[0]
    assert told["alarms"] == again["alarms"]
    assert [alarm["name"] for alarm in told["alarms"][wrong.name]] == ["no_learning"]
    assert told["alarms"][healthy.name] == []
    assert told["advice"] == again["advice"]
