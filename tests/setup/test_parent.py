"""Runs that name a parent: what may differ, the list of runs, and one run's summary; on made runs, untrained."""

from pathlib import Path

import pytest

from ppo_cli.errors import ConfigError, UsageError
from ppo_cli.evaluation.run_list import run_rows
from ppo_cli.evaluation.run_summary import summarise_run
from ppo_cli.experiment.load import LoadedExperiment
from ppo_cli.experiment.schema import Kl, Reward
from ppo_cli.setup.parent import check_parent, find_parent
from ppo_cli.store.runs import Run
from tests.made_runs import make_run
from tests.terminal import refused, succeed
from tests.tiny_models import rows

HEAVIER = Reward(terms={"ends_turn": {"weight": 2.0}})


def checked(root, events, **changes):
    """The state of a run after its parent was checked, with some fields of its experiment changed."""
    run = Run(root)
    loaded = LoadedExperiment(run.experiment().model_copy(update=changes), Path("x.yaml"), (), frozenset())
    run.update_state(**check_parent(loaded, run.lock(), find_parent(loaded, root.parent), events.append))
    return run.state()


def test_a_variation_within_its_round_keeps_its_parent_and_what_changed(tmp_path):
    events = []
    parent = make_run(tmp_path)
    child = make_run(tmp_path, kl=Kl(coef=0.5), parent=parent.name)
    state = checked(child, events)
    assert (state.parent, state.changed_keys) == (parent.name, {"kl.coef": 0.5})
    assert events == []
    summary = summarise_run(str(child), runs_dir=tmp_path)
    assert summary.parent_values == {"kl.coef": 0.1}
    assert summary.next_command == f"ppo compare {parent} {child}"


def test_a_change_outside_the_round_is_refused_and_the_right_round_is_named(tmp_path):
    parent = make_run(tmp_path)
    child = make_run(tmp_path, reward=HEAVIER, parent=parent.name)
    with pytest.raises(ConfigError, match=r"reward.terms.ends_turn.weight 1 → 2.*set round=2 \(tune the reward\)"):
        checked(child, [])
    assert checked(child, [], round=2).changed_keys == {"reward.terms.ends_turn.weight": 2.0}


def test_two_variables_at_once_are_warned_of(tmp_path):
    events = []
    parent = make_run(tmp_path)
    checked(make_run(tmp_path, kl=Kl(coef=0.5, stop_at=3.0), parent=parent.name), events)
    assert "2 variables differ from the parent" in events[0].text
    events.clear()
    declared = ["kl.coef", "kl.stop_at"]
    checked(make_run(tmp_path, kl=Kl(coef=0.5, stop_at=3.0), joint_treatment=declared, parent=parent.name), events)
    assert events == []


def test_runs_are_sorted_by_keys_and_measures_and_cut_to_what_differs(tmp_path):
    low, high = make_run(tmp_path, kl=Kl(coef=0.5)), make_run(tmp_path, kl=Kl(coef=0.05))
    assert [row.state.id for row in run_rows(tmp_path, sort="kl.coef")] == [high.name, low.name]
    assert [row.config for row in run_rows(tmp_path, sort="kl.coef", diff=True)] == [
        {"kl.coef": 0.05},
        {"kl.coef": 0.5},
    ]
    with pytest.raises(UsageError, match=r"Did you mean kl.coef\?"):
        run_rows(tmp_path, sort="kl.coeff")


def test_a_dry_run_checks_the_parent_without_the_model(tmp_path):
    model = {"start": "builtin:none", "revision": None, "weights": "w", "system_prompt": None, "dtype": "auto"}
    parent = make_run(tmp_path / "runs", train_rows=rows("train", 80), content={"start_model": model})
    words = ("train", parent / "config.yaml", "--parent", parent.name, "--runs-dir", parent.parent, "--dry-run")
    planned = succeed(*words, "kl.coef=0.5", "--json").json
    assert (planned["parent"], planned["changed"]) == (parent.name, {"kl.coef": 0.5})
    screen = " ".join(succeed(*words, "kl.coef=0.5", "ppo.epochs=3").out.split())
    assert f"parent: {parent.name}; differs in: kl.coef 0.5, ppo.epochs 3" in screen
    assert "! 2 variables differ from the parent" in screen
    assert "set round=2 (tune the reward)" in refused(*words, "reward.terms.ends_turn.weight=2")
    assert "model.system_prompt" in refused(*words, "model.system_prompt=Hello")
    assert "model.start" in refused(*words, "model.start=builtin:other")
    assert "no such run" in refused(*words[:2], "--parent", "nobody", "--dry-run")
