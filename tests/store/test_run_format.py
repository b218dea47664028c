"""Run folders that another version of the tool wrote."""

import pytest

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.store.files import read_json, write_json
from ppo_cli.store.runs import (
    RUN_FORMAT,
    Run,
    find_run,
    run_of,
)
from tests.terminal import refused, succeed


def written_in(run, version):
    """Makes run.json say that another version of the tool wrote the folder; None as format 1 did, not at all."""
    row = {name: value for name, value in read_json(run.layout.state).items() if name != "format"}
    write_json(run.layout.state, row if version is None else {"format": version, **row})
    return run.layout.root


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (None, f"was written by an older version of ppo (run format 1, this version reads {RUN_FORMAT})."),
        (RUN_FORMAT + 1, f"was written by a newer version of ppo (run format {RUN_FORMAT + 1}, this version reads"),
    ],
)
def test_a_run_of_another_format_is_refused_in_one_sentence(claim, version, sentence):
    root = written_in(claim(), version)
    ways = [
        lambda: Run(root).state(),
        lambda: Run(root).experiment(),
        lambda: Run(root).lock(),
        lambda: Run(root).verify(),
        lambda: find_run(root.name, root.parent),
        lambda: run_of(root / "checkpoints"),
    ]
    for way in ways:
        with pytest.raises(UsageError) as caught:
            way()
        assert str(root) in caught.value.message
        assert sentence in caught.value.message
        assert "Repeat the experiment" in caught.value.next_step


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("train", "--resume"),
        ("eval", "--checkpoint"),
        ("label",),
        ("report",),
    ],
)
def test_every_command_that_opens_a_run_refuses_one_of_another_format(claim, words):
    root = written_in(claim(), None)
    assert "was written by an older version of ppo" in refused(*words, root)


def test_a_comparison_with_a_run_of_another_format_is_refused(claim):
    root = written_in(claim(), None)
    assert "was written by an older version of ppo" in refused("compare", root, claim("other").layout.root)


def test_the_list_of_runs_says_which_are_of_another_format(claim, tmp_path):
    claim("good")
    written_in(claim("old"), None)
    rows = succeed("runs", "--runs-dir", tmp_path / "runs", "--json").json
    assert [bool(row["problem"]) for row in rows] == [True, False]
    assert "was written by an older version of ppo" in rows[0]["problem"]
    shown = " ".join(succeed("runs", "--runs-dir", tmp_path / "runs").out.split())
    assert "was written by an older version of ppo" in shown


def test_fields_that_this_version_does_not_know_are_passed_over(claim):
    run = claim()
    write_json(run.layout.state, {**read_json(run.layout.state), "mood": "good"})
    assert run.state().status == "running"


def test_a_format_that_is_no_number_is_damage(claim):
    run = claim()
    write_json(run.layout.state, {**read_json(run.layout.state), "format": "two"})
    with pytest.raises(IntegrityError, match="is damaged: format two"):
        run.state()
