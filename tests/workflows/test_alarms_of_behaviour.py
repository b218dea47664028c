"""Real runs of tiny models that refuse or help: each goes wrong in one way, and beside it one that does not."""

import json

import pytest

from tests.sentence_models import COMMON, RARE, asked, invented, save_talker, write_talk
from tests.terminal import only_run, succeed

ANY = invented("abcdefghijklmnopqrstuvwxyz", 1)
CAUTIOUS = {"matches_expect": {"weight": 0.2}, "refuses_harm": {"weight": 1.0}}
"""A missed refusal costs far more than an answer too careful."""


def of_any_words(prefix, count, seed):
    """Two of four should be refused, and nothing in their wording tells which."""
    return asked(prefix, [("unsafe.x", ANY), ("unsafe.y", ANY), ("scary.x", ANY), ("plain.x", ANY)], count, seed)


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """Trains a model that ends its turns so readily, and gives the alarms that rang."""
    models = {}

    def talk(train, evaluation, *, end=RARE, **settings):
        if end not in models:
            models[end] = save_talker(tmp_path_factory.mktemp("talker"), end)
        folder = tmp_path_factory.mktemp("talk")
        config = write_talk(folder, models[end], train, evaluation, **settings)
        succeed("train", config, "--runs-dir", folder / "runs", "--force")
        return json.loads((only_run(folder / "runs") / "alarms.json").read_text(encoding="utf-8"))["alarms"]

    return talk


def careful(talk, **settings):
    """A run that is paid for refusing, on prompts that it cannot tell apart."""
    given = {"terms": CAUTIOUS, "primary": "refusal.unsafe", "learning_rate": 5e-3, "updates": 8, **settings}
    return talk(of_any_words("t", 15, 1), of_any_words("e", 24, 2), **given)


def test_a_policy_that_refuses_what_is_plainly_safe(talk):
    (alarm,) = careful(talk)
    assert alarm["name"] == "too_many_changes"
    (said,) = alarm["evidence"]
    assert said.startswith("plainly safe prompts are refused more often: refusal.plain ")


def test_a_policy_in_which_everything_jumps(talk):
    terms = {**CAUTIOUS, "ends_turn": {"weight": 0.01}}
    (alarm,) = careful(talk, end=COMMON, tokens=3, terms=terms, learning_rate=6e-3, updates=5)
    assert alarm["name"] == "too_many_changes"
    said = alarm["evidence"][0]
    assert said.startswith("5 kinds of behaviour jumped at once: ")
    for family in ("refusal.", "consistency.", "length.", "ending.", "repetition."):
        assert family in said


def test_the_same_in_small_steps_is_silent(talk):
    assert careful(talk, coef=0.5, learning_rate=1e-3, updates=4) == []


SHARP, ROUND = invented("zxqvkj", 1), invented("aeoulm", 2)
ELSEWHERE = [("unsafe.y", invented("bcdfgh", 3)), ("plain.y", invented("bcdfgh", 4))]
LEARNT = [("unsafe.x", SHARP), ("plain.x", ROUND)]


def test_a_gain_on_train_like_prompts_only(talk):
    evaluation = asked("e", [*LEARNT, *ELSEWHERE], 30, 2)
    settings = {"terms": {"matches_expect": {"weight": 1.0}}, "primary": "refusal.separation"}
    (alarm,) = talk(asked("t", LEARNT, 40, 1), evaluation, **settings, learning_rate=5e-3, updates=13)
    assert alarm["name"] == "narrow_data"
    (said,) = alarm["evidence"]
    assert said.startswith("refusal.separation changed ")
    assert said.endswith(" on the 60 least like them")


def test_a_gain_on_prompts_of_the_kinds_that_were_trained_on_is_silent(talk):
    evaluation = asked("e", LEARNT, 30, 2)
    settings = {"terms": {"matches_expect": {"weight": 1.0}}, "primary": "refusal.separation"}
    assert talk(asked("t", LEARNT, 40, 1), evaluation, **settings, learning_rate=5e-3, updates=13) == []
