"""`ppo chat` as it is typed: a pipe, commands, votes, Ctrl-C, and what is refused."""

import json
import shutil
import signal

import pytest
from typer.testing import CliRunner

from ppo_cli.cli import app
from ppo_cli.cli.chat import _stoppable
from ppo_cli.store.votes import read_votes
from tests.made_runs import make_run
from tests.terminal import refused, succeed


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained(), tmp_path / "runs" / "mine")


def typed(*words, lines):
    result = CliRunner().invoke(app, ["chat", *map(str, words)], input="".join(f"{line}\n" for line in lines))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_line_of_a_pipe_is_a_conversation_of_its_own_and_can_be_saved(run, tmp_path):
    out = typed(
        "mine", "--max-tokens", 6, lines=["a brick?", "/save kept.jsonl", "/nothing", " /a cloud?", "/quit", "no"]
    )
    assert "you> a brick?" in out
    assert out.splitlines().count("start model of mine") == 2
    assert out.splitlines().count("mine/step-4") == 2
    assert "/nothing is no command" in out
    assert "you>  /a cloud?" in out
    assert "you> no" not in out
    rows = [json.loads(line) for line in (tmp_path / "kept.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["prompt"], len(row["answers"])) for row in rows] == [("a brick?", 2)]
    assert not (run / "votes.jsonl").exists()


def test_a_blind_vote_names_no_model_before_the_end_and_is_kept(run):
    out = typed("mine", "--blind", "--voter", "ann", "--max-tokens", 6, lines=["a brick?", "9", "1", "a cloud?", "t"])
    between = out[out.index("you> a brick?") : out.index("a cloud?")]
    assert "step-4" not in between
    assert "start model" not in between
    assert "answer 1" in between
    assert "'9' is none of the keys." in between
    votes = read_votes(run / "votes.jsonl")
    assert [vote.vote for vote in votes] == [votes[0].shown_first, "tie"]
    assert "2 votes" in out
    assert "Not settled" in out
    assert succeed("chat", "mine", "--votes", "--json").json["votes"]["ties"] == 1
    assert "1 tie (left out)" in succeed("chat", "mine", "--votes", "--ties", "ignore").out


def test_json_holds_the_turns_and_stdout_nothing_else(run):
    out = typed("mine", "--alone", "--max-tokens", 4, "--json", lines=["a brick?"])
    record = json.loads(out)
    assert record["models"] == ["mine/step-4"]
    assert [turn["prompt"] for turn in record["turns"]] == ["a brick?"]


def test_without_a_run_the_runs_are_listed(tmp_path):
    assert "There is no run in runs yet." in refused("chat")
    name = make_run(tmp_path / "runs").name
    listed = refused("chat")
    assert f"  - {name}, finished, 4 updates" in listed
    assert listed.endswith(f"Name one: `ppo chat runs/{name}`.")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nothing"], "no such run"),
        (["mine", "--ties", "third"], "--ties third"),
        (["mine", "--voter", "ann"], "--voter has no effect"),
        (["mine", "--votes", "--blind"], "--votes shows votes"),
        (["mine/step-9"], "no such checkpoint"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_model_is_loaded(run, words, why):
    assert why in refused("chat", *words)


def test_the_first_ctrl_c_asks_to_stop_and_the_second_stops_at_once():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), _stoppable() as stop:  # noqa: PT012
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
