"""A sweep: its arms are the runs that one would get one by one, whatever happens in between."""

import json
import signal
import time
from pathlib import Path

import pytest

from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import CheckFailedError
from ppo_cli.store.run_lock import RunLock
from ppo_cli.training import sweep_plan as command
from tests.rewards.http_server import serving
from tests.terminal import AS_MODULE, fingerprint, only_run, outcome, ppo, records, refused, start, succeed
from tests.workflows.test_rewards import with_terms

SHORT = ("ppo.updates=2",)
KL = ("--sweep", "kl.coef=0.05,0.5")


def test_the_arms_are_planned_once_each_and_in_a_fixed_order(tiny_config):
    planned = command.plan_sweep(tiny_config, SHORT, sweep=["kl.coef=0.5,0.05"], seeds=2)
    assert [(arm.value, arm.experiment.seed) for arm in planned.arms] == [(0.5, 1), (0.05, 1), (0.5, 2), (0.05, 2)]
    assert all(arm.experiment.kl.coef == arm.value for arm in planned.arms)
    assert planned.name == command.plan_sweep(tiny_config, SHORT, sweep=["kl.coef=0.50,5e-2"], seeds=2).name
    assert planned.name != command.plan_sweep(tiny_config, SHORT, sweep=["kl.coef=0.5,0.05"], seeds=3).name
    assert planned.command.endswith("ppo.updates=2 --sweep kl.coef=0.5,0.05 --seeds 2")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--sweep", "kl.coef=0.1,0.2", "--sweep", "ppo.epochs=1,2"), "Confounded: 2 keys would be swept at once"),
        (
            ("--sweep", "rollout.temperature=0.5,1.0"),
            "it is frozen, so runs that differ in it answer different questions",
        ),
        (("--sweep", "name=a,b"), "it changes no number"),
        (("--sweep", "seed=1,2"), "the seed is not a treatment. → Repeat every value with --seeds N."),
        (("--sweep", "kl.coef=0.1,1e-1"), "1e-1 is given twice"),
        (("--sweep", "kl.coef=0.1"), "names one value"),
        (("--sweep", "kl.coef=0.1,oops"), "kl.coef"),
        (("--sweep", "kl.coeff=0.1,0.2"), "did you mean kl.coef?"),
        (("--sweep", "kl.coef"), "is not of the form"),
        (("kl.coef=1", "--sweep", "kl.coef=0.1,0.2"), "kl.coef is given and swept too"),
        (("--sweep", "ppo.minibatches=2,3"), "does not divide"),
        (("--seeds", "1"), "is an ordinary run"),
        (("--seeds", "0"), "at least one seed"),
        (("--seeds", "2", "seed=4294967295"), "4294967296 is no seed"),
        (("--sweep", "kl=0.1,0.2"), "kl: must be a group of keys"),
        (("--seeds", "2", "--repeat"), "--repeat cannot be combined with"),
        (("--seeds", "2", "--resume", "x"), "--resume cannot be combined with"),
        (("--seeds", "2", "--parent", "nobody"), "nobody: no such run"),
        (("--seeds", "2", "--processes", "2"), "--processes cannot be combined with"),
    ],
)
def test_what_cannot_be_arms_is_refused_before_anything_is_trained(tiny_config, words, sentence):
    assert sentence in refused("train", tiny_config, *words)
    assert not Path("runs").exists()


@pytest.mark.slow
def test_arms_are_the_runs_that_one_would_get_by_hand_and_are_not_run_twice(tiny_config, trained):
    result = succeed("train", tiny_config, *SHORT, *KL, "--json").json
    assert [(arm["value"], arm["status"]) for arm in result["arms"]] == [(0.05, "finished"), (0.5, "finished")]
    for arm, words in zip(result["arms"], [("kl.coef=0.05",), ("kl.coef=0.5",)], strict=True):
        by_hand = trained(*SHORT, *words)
        assert arm["run"] == by_hand.name
        assert records(Path("runs") / arm["run"]) == records(by_hand)
        summary = json.loads((by_hand / "eval" / "step-000002" / "summary.json").read_text())
        assert arm["measures"] == summary["measures"]
    listed = json.loads(Path(result["file"]).read_text())
    assert [arm["run"] for arm in listed["arms"]] == [arm["run"] for arm in result["arms"]]

    before = fingerprint("runs")
    again = succeed("train", tiny_config, *SHORT, *KL)
    assert fingerprint("runs") == before
    assert "Arm 2 of 2: kl.coef 0.5, seed 1, done before" in again.out
    assert "not that kl.coef caused it" in " ".join(again.out.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (CheckFailedError("The reward gave no number.", "Fix it."), 5, "The reward gave no number."),
        pytest.param(RuntimeError("shapes differ"), 1, "RuntimeError: shapes differ", marks=pytest.mark.long),
        pytest.param(RuntimeError("out of memory"), 1, "The memory of the machine is full.", marks=pytest.mark.long),
    ],
)
def test_an_arm_that_fails_is_named_at_the_end_and_the_others_go_on(tiny_config, monkeypatch, error, code, sentence):
    learn = PolicyTrainer.train

    def fails_once(self, *given):
        if self.experiment.kl.coef == 0.05:
            raise error
        return learn(self, *given)

    monkeypatch.setattr(PolicyTrainer, "train", fails_once)
    screen = ppo("train", tiny_config, *SHORT, *KL)
    assert screen.code == code
    assert f"✗ kl.coef 0.05, seed 1 failed: {sentence}" in screen.out
    assert "1 of 2 arms failed" in screen.err
    as_json = ppo("train", tiny_config, *SHORT, *KL, "--json")
    assert as_json.code == code
    assert [arm["status"] for arm in as_json.json["arms"]] == ["failed", "finished"]
    monkeypatch.setattr(PolicyTrainer, "train", learn)

    result = succeed("train", tiny_config, *SHORT, *KL, "--json").json
    assert [arm["status"] for arm in result["arms"]] == ["finished", "finished"]


@pytest.mark.long
@pytest.mark.process
def test_an_interrupted_sweep_continues_with_the_same_command(tiny_config, trained):
    words = ("train", tiny_config, "--seeds", "2")
    process = start(*words, cwd=Path.cwd())
    deadline = time.monotonic() + 100
    while len(list(Path("runs").glob("tiny-*/metrics.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    screen = outcome(process)
    assert screen.code == 130, screen
    assert "Interrupted in arm 2 of 2 (seed 2); 1 are done and nothing is lost." in screen.err
    assert f"Continue with the same command: {AS_MODULE} train {tiny_config} --seeds 2" in screen.err

    result = succeed(*words, "--json").json
    for arm, by_hand in zip(result["arms"], [trained(), trained("seed=2")], strict=True):
        assert records(Path("runs") / arm["run"]) == records(by_hand)


@pytest.mark.slow
def test_a_service_that_fails_pauses_the_sweep_which_continues(tiny_config):
    words = ("train", tiny_config, *SHORT, *KL)
    with serving() as service:
        with_terms(tiny_config, judge={"type": "http", "url": service.url, "timeout": 5, "retries": 0})
        succeed("train", tiny_config, *SHORT, "kl.coef=0.05")
        service.plan = ["fine"] * (len(service.requests) - 2) + [503]
        error = refused(*words, code=5)
        assert "does not score: status 503" in error
        assert "The sweep is paused in arm 2 of 2 (kl.coef 0.5, seed 1); 1 are done and nothing is lost. → " in error
        assert "then continue with the same command: ppo train" in error
        service.plan = ["fine"]
        arms = succeed(*words, "--json").json["arms"]
    assert [arm["status"] for arm in arms] == ["finished", "finished"]


def test_an_arm_that_fails_its_preflight_checks_is_named_too(tiny_config):
    (tiny_config.parent / "mine.py").write_text(
        "def score(answers, sound: bool = True):\n"
        "    return [len(answer) / 8 if sound else float('nan') for answer in answers]\n"
    )
    with_terms(tiny_config, mine={"type": "python", "function": "mine.py:score"})
    screen = ppo("train", tiny_config, *SHORT, "--sweep", "reward.terms.mine.sound=true,false", "--json")
    assert [(arm["value"], arm["status"], bool(arm["run"])) for arm in screen.json["arms"]] == [
        (True, "finished", True),
        (False, "failed", False),
    ]
    assert screen.code == 5


@pytest.mark.slow
def test_an_arm_that_another_process_runs_is_left_to_it(tiny_config):
    words = ("train", tiny_config, *SHORT, *KL)
    arms = succeed(*words, "--json").json["arms"]
    run = Path("runs") / arms[0]["run"]
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "status": "running"}))
    lock = RunLock(run / ".running")
    before = fingerprint(run)
    screen = succeed(*words)
    lock.release()
    assert "Arm 1 of 2: kl.coef 0.05, seed 1, is left to the process that is running it." in screen.out
    assert next(line for line in screen.out.splitlines() if line.startswith("0.05")).endswith("running")
    assert fingerprint(run) == before


def test_a_value_that_is_a_list_is_one_value():
    assert list(command._split("[a,b],[c]")) == ["[a,b]", "[c]"]
    assert list(command._split("'a,b',c")) == ["'a,b'", "c"]
    assert list(command._split("0.1, 0.2")) == ["0.1", " 0.2"]
    assert list(command._split("a]b,c")) == ["a]b", "c"]


def test_a_dry_run_of_arms_makes_nothing_and_knows_how_far_they_are(tiny_config):
    words = ("train", tiny_config, *SHORT, *KL)
    planned = succeed(*words, "--dry-run", "--json").json
    assert [(arm["value"], arm["seed"], arm["status"]) for arm in planned["arms"]] == [
        (0.05, 1, "waiting"),
        (0.5, 1, "waiting"),
    ]
    assert planned["seconds"] == sum(arm["seconds"] for arm in planned["arms"])
    assert not Path("runs").exists()
    succeed(*words)
    screen = succeed(*words, "--dry-run").out
    assert screen.count("finished") == 2
    assert "cost of the arms left to run: about 0 s and 0.0 GB" in screen


@pytest.mark.slow
def test_arms_of_a_parent_keep_their_lineage(tiny_config):
    parent = succeed("train", tiny_config, *SHORT, "--json").json["run"]
    out_of_round = ("--sweep", "reward.terms.ends_turn.weight=2,3", "--parent", parent)
    error = refused("train", tiny_config, *SHORT, *out_of_round)
    assert "reward.terms.ends_turn.weight 1 → 2" in error
    assert only_run().name == parent
    assert refused("train", tiny_config, *SHORT, *out_of_round, "--dry-run") == error

    arms = succeed("train", tiny_config, *SHORT, "--sweep", "kl.coef=0.2,0.5", "--parent", parent, "--json").json[
        "arms"
    ]
    for arm in arms:
        state = json.loads((Path("runs") / arm["run"] / "run.json").read_text())
        assert (state["parent"], state["changed_keys"]) == (parent, {"kl.coef": arm["value"]})
    tree = succeed("runs").out
    assert f"├─ {arms[0]['run']}" in tree
    assert f"└─ {arms[1]['run']}" in tree

    (file,) = Path("runs/sweeps").glob("*.json")
    assert succeed("show", arms[0]["run"], "--json").json["sweeps"] == [str(file)]
    assert f"sweep    {file}" in succeed("show", arms[1]["run"]).out
    assert "sweep " not in succeed("show", parent).out
    file.write_text("[")
    assert succeed("show", arms[0]["run"], "--json").json["sweeps"] == []


@pytest.mark.slow
def test_more_seeds_of_a_finished_run_take_it_as_the_first(tiny_config):
    succeed("train", tiny_config, *SHORT)
    first = only_run()
    before = fingerprint(first)
    result = succeed("train", first / "config.yaml", "--seeds", "2", "--json").json
    assert [(arm["seed"], arm["status"]) for arm in result["arms"]] == [(1, "finished"), (2, "finished")]
    assert result["arms"][0]["run"] == first.name
    assert fingerprint(first) == before
