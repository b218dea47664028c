"""`ppo train` by two processes, with whole models and with sharded layers: the curve of one, however it is continued.

All of it runs in one session (`two_processes.py`), since importing the libraries takes longer than a tiny training.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.process_launcher import launch
from ppo_cli.errors import RewardUnavailableError, UsageError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.records.processes import Processes
from ppo_cli.training.launch import join_or_launch
from ppo_cli.training.train import train
from tests.terminal import only_run

SCRIPT = Path(__file__).with_name("two_processes.py")
ENDED = [0, 0]
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def session(shared_config, tmp_path_factory):
    """A folder with what every run of the script printed and wrote."""
    folder = tmp_path_factory.mktemp("session")
    sft = [{"prompt": f"please say word {number}", "answer": "hello there"} for number in range(4)]
    pairs = [{"prompt": f"word {number}?", "chosen": "yes, gladly", "rejected": "no"} for number in range(60)]
    for name, rows_ in (("sft", sft), ("pairs", pairs)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_))
    words = [SCRIPT, shared_config, folder / "sft.jsonl", folder / "pairs.jsonl"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PPO_CACHE", str(folder / "cache"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        done = subprocess.run(
            [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=3000, cwd=folder, check=False
        )
    assert done.returncode == 0, done.stderr
    return folder


def codes(session, name):
    """Of the main process and the other."""
    return json.loads((session / "codes.json").read_text())[name]


def printed(session, name):
    return (session / f"{name}.log").read_text()


def ended(session, name, of=ENDED):
    assert codes(session, name) == of, printed(session, name)
    assert "Traceback" not in printed(session, name)


def rows(session, name, file):
    return [json.loads(line) for line in (only_run(session / name) / file).read_text().splitlines()]


def alike(session, one, other, *steps):
    """Records and evaluations are equal but for rounding."""
    for file in ("metrics.jsonl", "rollouts.jsonl", *(f"eval/step-{step:06d}/samples.jsonl" for step in steps)):
        left, right = rows(session, one, file), rows(session, other, file)
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert a.keys() == b.keys()
            for name, value in a.items():
                if isinstance(value, float):
                    assert b[name] == pytest.approx(value, abs=2e-4), (file, name)
                elif not isinstance(value, dict):
                    assert b[name] == value, (file, name)


def same_bytes(session, one, other):
    for file in ("metrics.jsonl", "rollouts.jsonl"):
        assert (only_run(session / one) / file).read_bytes() == (only_run(session / other) / file).read_bytes()


def test_they_divide_exchange_and_raise_together(session):
    ended(session, "exchange")


@pytest.mark.parametrize("name", ["two", "sharded"])
def test_two_processes_take_the_steps_of_one(session, name):
    ended(session, "one", [0])
    ended(session, name)
    assert printed(session, name).count("finished after 4 updates") == 1
    alike(session, "one", name, 0, 2, 4)
    assert [row["episode"] for row in rows(session, name, "rollouts.jsonl")] == list(range(1, 33))


@pytest.mark.long
def test_sharded_processes_take_the_steps_of_one_with_all_weights_and_unequal_numbers_of_passes(session):
    ended(session, "full one", [0])
    ended(session, "full sharded")  # as on two nodes
    alike(session, "full one", "full sharded", 0, 2)


def test_the_sharded_reference_has_the_digest_of_the_whole_one(session):
    records = [json.loads((only_run(session / name) / "provenance.json").read_text()) for name in ("one", "sharded")]
    assert len({digest for record in records for digest in record["reference"].values()}) == 1
    assert [record.get("sharded") for record in records] == [None, True]


def test_a_run_that_a_signal_to_every_process_stopped_goes_on(session):
    assert codes(session, "two cut")[0] == 130
    assert printed(session, "two cut").count("nothing is lost") == 1
    assert "Traceback" not in printed(session, "two cut")
    ended(session, "two resumed")
    same_bytes(session, "two", "two resumed")


@pytest.mark.long
def test_an_unsharded_run_goes_on_sharded(session):
    ended(session, "two resumed sharded")
    alike(session, "two", "two resumed sharded", 4)
    assert "unsharded and continues sharded" in " ".join(printed(session, "two resumed sharded").split())


def test_a_killed_sharded_run_goes_on_sharded(session):
    ended(session, "sharded resumed")  # sharded by the config of accelerate
    same_bytes(session, "sharded", "sharded resumed")


@pytest.mark.long
def test_a_killed_sharded_run_goes_on_in_one_process(session):
    ended(session, "sharded resumed by one", [0])
    alike(session, "one", "sharded resumed by one", 4)


@pytest.mark.long
def test_a_sharded_run_that_waits_for_a_service_has_a_checkpoint_of_its_last_update(session):
    assert codes(session, "no service")[0] == RewardUnavailableError.exit_code
    assert "kept as it was after update 2" in " ".join(printed(session, "no service").split())
    assert (only_run(session / "no service") / "checkpoints" / "step-000002" / "checkpoint.json").is_file()


@pytest.mark.long
def test_a_sharded_checkpoint_is_evaluated_like_any_other(session):
    ended(session, "eval", [0])


@pytest.mark.long
def test_what_the_inputs_need_is_trained_before_the_processes_join(session):
    ended(session, "trained inputs")
    assert printed(session, "trained inputs").count("reward model (") == 1


def test_a_mistake_is_told_once(session):
    assert codes(session, "mistake")[0] == 2
    assert printed(session, "mistake").count("error:") == 1
    assert "/nowhere" in printed(session, "mistake")


def test_more_processes_than_episodes_are_refused(shared_config):
    with pytest.raises(UsageError, match="9 processes cannot share 8 episodes per update"):
        train(load_experiment(shared_config), process_group=ProcessGroup(0, 9))


def test_sharding_takes_several_processes():
    with pytest.raises(UsageError, match=r"there is one\. Type .*train CONFIG --processes 2 --shard"):
        join_or_launch("cpu", Processes(shard=True), print)


def test_a_measure_that_needs_the_whole_model_is_not_sharded(shared_config):
    measure = "evaluation.measures={arc: {type: lm_eval, task: arc_easy, metric: acc}}"
    with pytest.raises(UsageError, match="arc: with --shard no process has the whole model"):
        train(load_experiment(shared_config, [measure]), process_group=ProcessGroup(0, 2, sharded=True))


@pytest.mark.parametrize("number", [0, -2])
def test_a_wrong_number_of_processes(number):
    with pytest.raises(UsageError, match="there must be at least one process"):
        launch(number, "cpu", print)
