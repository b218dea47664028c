"""A person labels answers blind; what they say counts before the rule, and is kept."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppo_cli.cli import app
from ppo_cli.evaluation.label import label
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.store.evaluations import DIGEST, read_summary
from ppo_cli.store.files import read_lines
from ppo_cli.store.runs import Run
from tests.terminal import refused, succeed

REFUSAL, HELP = (
    "I'm sorry, but I can't help with that.",
    "Take two eggs \x1b[31mand beat\x1b[0m them [bold]well[/bold].",
)


@pytest.fixture
def run(trained, tmp_path):
    """A run whose step 0 always refuses and whose last policy refuses where it should."""
    run = Run(Path(shutil.copytree(trained(), tmp_path / "runs" / trained().name)))
    unsafe = {
        json.loads(line)["id"]
        for line in (run.layout.inputs / "eval.jsonl").read_text().splitlines()
        if json.loads(line)["expect"] == "refuse"
    }
    for step in (0, 4):
        folder = run.layout.evaluation(step)
        said = [
            {**row, "answer": REFUSAL if not step or row["prompt_id"] in unsafe else HELP}
            for row in read_lines(folder / "samples.jsonl")
        ]
        (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
        summary = json.loads((folder / "summary.json").read_text())
        summary["files"]["samples.jsonl"] = sha256_file(folder / "samples.jsonl")
        content = {name: value for name, value in summary.items() if name != DIGEST}
        (folder / "summary.json").write_text(json.dumps({**content, DIGEST: sha256_of(content)}))
        read_summary(folder)
    return run


def typed(run, keys, *words):
    """Types `ppo label` and then these keys; gives the screen."""
    result = CliRunner().invoke(app, ["label", str(run.layout.root), *words], input="".join(f"{key}\n" for key in keys))
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def as_it_is(session):
    """The keys of a person who reads as the rule does."""
    return ["3" if item.sample.answer.text == REFUSAL else "1" for item in session.items]


def test_the_same_prompts_of_both_policies_in_an_order_that_stays(run):
    session = label(run.layout.root)
    keys = [item.key for item in session.items]
    assert len(keys) == 32  # 16 prompts, each answered by step 0 and step 4
    assert {key[1] for key in keys if key[0] == 0} == {key[1] for key in keys if key[0] == 4}
    assert keys != sorted(keys)
    assert [item.key for item in label(run.layout.root).items] == keys


def test_a_person_who_agrees_with_the_rule_gives_its_rates(run):
    keys = as_it_is(label(run.layout.root))
    found = json.loads(typed(run, keys, "--json").stdout)
    assert (found["answers"], found["agree"], found["agreement"]) == (32, 32, 1.0)
    assert found["low_95"] < 1.0
    changes = {change["name"]: change for change in found["comparison"]["changes"]}
    assert (changes["refusal.safe"]["before"], changes["refusal.safe"]["after"]) == (1.0, 0.0)
    assert changes["refusal.unsafe"]["difference"] == 0.0
    assert changes["refusal.safe"]["low_95"] < -0.6 < changes["refusal.safe"]["high_95"] + 0.4


def test_a_person_who_does_not_agree_is_believed(run):
    typed(run, ["1"] * 32)
    found = label(run.layout.root).summary()
    assert found.agree == 8  # the answers of step 4 that help
    assert all(change.after == 0.0 for change in found.comparison.changes if change.name == "refusal.unsafe")
    screen = succeed("eval", "--checkpoint", run.layout.checkpoint(4), "--rescore")
    assert "Human labels: 32 answers labelled blind. The rule agrees on 8 of them (25.0 %)" in screen.out
    assert "from human labels (16 prompts × 1)" in screen.out


def test_a_partial_refusal_counts_as_a_refusal_and_a_skipped_answer_not_at_all(run):
    typed(run, ["2"] * 30 + ["s", "s"])
    found = label(run.layout.root).summary()
    assert found.answers == 30
    assert {change.after for change in found.comparison.changes if change.name != "refusal.separation"} == {1.0}


def test_it_goes_on_where_it_stopped_and_one_can_go_back(run):
    typed(run, ["1", "x", "3", "b", "2", "q"])
    rows = read_lines(run.layout.labels)
    assert [row["label"] for row in rows] == ["comply", "refuse", "partial"]
    session = label(run.layout.root)
    assert session.position == 2
    assert [session.given[item.key] for item in session.items[:2]] == ["comply", "partial"]
    screen = typed(run, [])
    assert "3 of 32" in screen.output
    assert "30 answers are left" in screen.output


def test_a_label_cut_off_by_a_kill_is_asked_for_again(run):
    typed(run, ["1", "1", "q"])
    with run.layout.labels.open("a") as file:
        file.write('{"step": 0, "prom')
    typed(run, ["3", "q"])
    assert [row["label"] for row in read_lines(run.layout.labels)] == ["comply", "comply", "refuse"]


def test_nothing_on_the_screen_tells_whose_answer_it_is(run):
    screen = typed(run, as_it_is(label(run.layout.root))[:5]).output
    cards = screen.split(" answers are left")[0]
    assert not re.search(r"step|refusal|eval-\d|kl0|unsafe|comply", cards.replace("eval?", ""))
    assert "\x1b[31m" not in screen
    assert "[bold]well[/bold]" in typed(run, ["1"] * 26).output + screen


def test_labels_of_other_texts_are_not_taken_over(run):
    typed(run, ["3"] * 32)
    rows = read_lines(run.layout.labels)
    run.layout.labels.write_text("".join(json.dumps({**row, "answer": "0" * 16}) + "\n" for row in rows))
    assert label(run.layout.root).summary() is None
    assert label(run.layout.root).position == 0


def test_what_cannot_be_labelled_is_one_sentence(run, trained):
    assert "--answers 20 is not between 60 and 120" in refused("label", run.layout.root, "--answers", "20")
    assert "no such run" in refused("label", "nothing")
    run.layout.labels.write_text('{"label": "maybe"}\n')
    assert "labels.jsonl, line 1 is not a label" in refused("label", run.layout.root, code=4)
