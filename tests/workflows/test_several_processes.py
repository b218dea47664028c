"""`ppo train` by two processes: the curve of one, records written once, the same numbers after an interruption."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.process_launcher import launch
from ppo_cli.errors import UsageError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.training.train import train
from tests.engine.test_distributed import TORCHRUN
from tests.terminal import only_run

PPO = [sys.executable, "-m", "ppo_cli"]


def start(tmp_path, output, *arguments, launcher=PPO):
    command = [*launcher, "train", *map(str, arguments), "--runs-dir", str(tmp_path / output)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finished(process):
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def rows(tmp_path, output, file):
    (path,) = (tmp_path / output).glob(f"*/{file}")
    return [json.loads(line) for line in path.read_text().splitlines()]


def alike(one, other):
    """Equal but for rounding."""
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        for name, value in left.items():
            if isinstance(value, float):
                assert right[name] == pytest.approx(value, abs=2e-4), name
            elif not isinstance(value, dict):
                assert right[name] == value, name


@pytest.mark.process
def test_two_processes_take_the_steps_of_one_and_go_on_after_an_interruption(tiny_config, tmp_path):
    for output, extra in (("one", ()), ("two", ("--processes", 2))):
        code, out, err = finished(start(tmp_path, output, tiny_config, *extra))
        assert code == 0, err
        assert out.count("finished after 4 updates") == 1

    for file in ("metrics.jsonl", "rollouts.jsonl"):
        alike(rows(tmp_path, "one", file), rows(tmp_path, "two", file))
    assert [row["episode"] for row in rows(tmp_path, "two", "rollouts.jsonl")] == list(range(1, 33))
    for step in (0, 2, 4):
        file = f"eval/step-{step:06d}/samples.jsonl"
        alike(rows(tmp_path, "one", file), rows(tmp_path, "two", file))

    process = start(tmp_path, "cut", tiny_config, "--processes", 2)
    while not list((tmp_path / "cut").glob("*/checkpoints/step-000002")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finished(process)
    assert code == 130, err
    assert err.count("nothing is lost") == 1
    run = only_run(tmp_path / "cut")
    code, _, err = finished(start(tmp_path, "cut", "--resume", run, launcher=[*TORCHRUN, "-m", "ppo_cli"]))
    assert code == 0, err
    for file in ("metrics.jsonl", "rollouts.jsonl"):
        assert (run / file).read_bytes() == next((tmp_path / "two").glob(f"*/{file}")).read_bytes()


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_every_process_lets_the_update_finish(tiny_config, tmp_path, number):
    words = ("ppo.updates=400", "evaluation.every=400", "checkpoints.every=2")
    process = start(tmp_path, "cut", tiny_config, *words, "--processes", 2)
    while not list((tmp_path / "cut").glob("*/checkpoints/step-*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, number)
    code, _, err = finished(process)
    assert code == 130, err
    assert err.count("nothing is lost") == 1
    assert "Traceback" not in err
    done = len(rows(tmp_path, "cut", "metrics.jsonl"))
    assert list((tmp_path / "cut").glob(f"*/checkpoints/step-{done:06d}/checkpoint.json"))


@pytest.mark.process
def test_a_preference_model_is_trained_before_the_processes_join(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv("PPO_CACHE", str(tmp_path / "empty"))
    (model,) = {json.dumps(str(load_experiment(tiny_config).experiment.model.start))}
    pairs = [{"prompt": f"word {number}?", "chosen": "yes, gladly", "rejected": "no"} for number in range(60)]
    (tiny_config.parent / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    term = (
        f'reward.terms={{taste: {{type: preference, pairs: "{tiny_config.parent / "pairs.jsonl"}", base: {model}, '
        "epochs: 1, weight: 1.0}}"
    )
    words = (term, "ppo.updates=2", "--processes", 2, "--force")
    code, out, err = finished(start(tmp_path, "taste", tiny_config, *words))
    assert code == 0, err
    assert out.count("finished after 2 updates") == 1
    assert (out + err).count("reward model (") == 1


@pytest.mark.process
def test_a_warm_start_is_trained_before_the_processes_join(tiny_config, tmp_path):
    sft = [{"prompt": f"please say word {number}", "answer": "hello there"} for number in range(4)]
    (tiny_config.parent / "sft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sft))
    words = (
        f"model.warm_start={tiny_config.parent / 'sft.jsonl'}",
        "model.sft.epochs=1",
        "ppo.updates=2",
        "--processes",
        2,
    )
    code, out, err = finished(start(tmp_path, "warm", tiny_config, *words))
    assert code == 0, err
    assert out.count("finished after 2 updates") == 1


@pytest.mark.process
def test_a_mistake_is_told_once(tiny_config, tmp_path):
    process = start(tmp_path, "x", tiny_config, "--processes", 2, "model.start=/nowhere", "reward.baseline=none")
    code, _, err = finished(process)
    assert code == 2
    assert err.count("error:") == 1
    assert "Traceback" not in err
    assert "/nowhere" in err


def test_more_processes_than_episodes_are_refused(tiny_config):
    with pytest.raises(UsageError, match="9 processes cannot share 8 episodes per update"):
        train(load_experiment(tiny_config), process_group=ProcessGroup(0, 9))


@pytest.mark.parametrize("number", [0, -2])
def test_a_wrong_number_of_processes(number):
    with pytest.raises(UsageError, match="there must be at least one process"):
        launch(number, "cpu", print)
