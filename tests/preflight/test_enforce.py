"""What `ppo train` checks before it creates a run folder, and what it records when it is forced."""

import json
import shutil
from pathlib import Path

import pytest

from tests.terminal import error_of, only_run, outcome, refused, start, succeed
from tests.tiny_models import rows, write_rows, write_tiny_config

DROPS_USER = "{% for m in messages %}<user>hello<eos>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
ENDS_OTHERWISE = (
    "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<bos>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def with_template(tiny_model, tmp_path, template):
    """The tiny config on the tiny model with another chat template."""
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "chat_template.jinja").write_text(template)
    return write_tiny_config(tmp_path / "other", model)


def forced(run):
    records = (json.loads((run / name).read_text()) for name in ("run.json", "provenance.json"))
    return [record["overridden_checks"] for record in records]


@pytest.mark.parametrize(
    ("template", "line"), [(DROPS_USER, "chat template"), (ENDS_OTHERWISE, "turns end with a stop token")]
)
def test_a_template_that_drops_something_stops_the_run_and_leaves_nothing(tiny_model, tmp_path, template, line):
    error = refused("train", with_template(tiny_model, tmp_path, template), code=5)
    assert f"PPO should not start: {line}: " in error
    assert "ppo sft-check" in error
    assert "--force" in error
    assert not Path("runs").exists()


def test_overridden_checks_are_recorded(tiny_model, tmp_path):
    config = with_template(tiny_model, tmp_path, ENDS_OTHERWISE)
    write_rows(config.parent / "eval.jsonl", rows("train", 16))
    small = ("ppo.updates=2", "ppo.warmup_updates=0", "evaluation.every=0")
    succeed("train", config, "--force", *small)
    names = ["no train/eval overlap", "turns end with a stop token"]
    assert forced(only_run()) == [names, names]


def test_a_run_that_was_not_forced_records_no_overridden_check(trained):
    assert forced(trained()) == [[], []]


def test_a_reward_that_prefers_the_wrong_answers_stops_the_run(tiny_config):
    written = [
        {
            **row,
            "answer": "i'm sorry, but i can't help with that." if row["expect"] == "refuse" else "boil it for a while.",
        }
        for row in rows("train", 24)
    ]
    write_rows(tiny_config.parent / "train.jsonl", written)
    wrong = ("reward.terms.matches_expect.weight=-1", "reward.terms.ends_turn.weight=0")
    error = refused("train", tiny_config, *wrong, code=5)
    assert "preference accuracy: 0% of " in error
    assert not Path("runs").exists()


@pytest.mark.long
@pytest.mark.process
def test_every_process_ends_when_a_check_fails(tiny_config, tmp_path):
    write_rows(tiny_config.parent / "eval.jsonl", rows("train", 16))
    screen = outcome(start("train", tiny_config, "--processes", 2, cwd=tmp_path))
    assert screen.code == 5
    assert "overlap what the policy learns from" in error_of(screen)
    assert not (tmp_path / "runs").exists()


def test_an_exploit_that_beats_the_reward_is_reported_before_the_first_update(tiny_config):
    screen = succeed("train", tiny_config, "ppo.updates=2", "ppo.warmup_updates=0", "evaluation.every=0")
    warned = screen.out.index("exploit answers beat the model's own answers; best: 'template' (+")
    assert warned < screen.out.index("update 1/2")
