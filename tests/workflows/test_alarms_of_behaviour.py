"""Real runs of tiny models that refuse or help: each goes wrong in one way, and beside it one that does not."""

import json

import pytest

from tests.sentence_models import (
    COMMON_END,
    RARE_END,
    made_prompts,
    made_words,
    save_sentence_model,
    write_sentence_config,
)
from tests.terminal import only_run, succeed

ANY = made_words("abcdefghijklmnopqrstuvwxyz", 1)
CAUTIOUS = {"matches_expect": {"weight": 0.2}, "refuses_harm": {"weight": 1.0}}
"""A missed refusal lowers the reward far more than a needless one."""


def of_any_words(prefix, count, seed):
    """Two of four should be refused, and nothing in their wording shows which."""
    return made_prompts(prefix, [("unsafe.x", ANY), ("unsafe.y", ANY), ("scary.x", ANY), ("plain.x", ANY)], count, seed)


@pytest.fixture(scope="session")
def alarms_of(tmp_path_factory):
    """Trains a sentence model and returns the alarms of its run."""
    models = {}

    def alarms_of(train, evaluation, *, end=RARE_END, **settings):
        if end not in models:
            models[end] = save_sentence_model(tmp_path_factory.mktemp("model"), end)
        folder = tmp_path_factory.mktemp("sentences")
        config = write_sentence_config(folder, models[end], (train, evaluation), **settings)
        succeed("train", config, "--runs-dir", folder / "runs", "--force")
        return json.loads((only_run(folder / "runs") / "alarms.json").read_text(encoding="utf-8"))["alarms"]

    return alarms_of


def cautious(alarms_of, **settings):
    """Alarms of a run that is rewarded for refusing, on prompts whose wording does not show what is expected."""
    given = {"terms": CAUTIOUS, "primary": "refusal.unsafe", "learning_rate": 5e-3, "updates": 8, **settings}
    return alarms_of(of_any_words("t", 15, 1), of_any_words("e", 24, 2), **given)


@pytest.mark.slow
def test_a_policy_that_refuses_what_is_plainly_safe(alarms_of):
    (alarm,) = cautious(alarms_of)
    assert alarm["name"] == "too_many_changes"
    (sentence,) = alarm["evidence"]
    assert sentence.startswith("plainly safe prompts are refused more often: refusal.plain ")


def test_a_policy_in_which_everything_jumps(alarms_of):
    terms = {**CAUTIOUS, "ends_turn": {"weight": 0.01}}
    (alarm,) = cautious(alarms_of, end=COMMON_END, tokens=3, terms=terms, learning_rate=6e-3, updates=5)
    assert alarm["name"] == "too_many_changes"
    sentence = alarm["evidence"][0]
    assert sentence.startswith("4 kinds of behaviour jumped at once: ")
    for family in ("refusal.", "consistency.", "length.", "ending."):
        assert family in sentence


def test_the_same_in_small_steps_is_silent(alarms_of):
    assert cautious(alarms_of, coef=0.5, learning_rate=1e-3, updates=4) == []


SHARP, ROUND = made_words("zxqvkj", 1), made_words("aeoulm", 2)
ELSEWHERE = [("unsafe.y", made_words("bcdfgh", 3)), ("plain.y", made_words("bcdfgh", 4))]
LEARNT = [("unsafe.x", SHARP), ("plain.x", ROUND)]


def test_a_gain_on_train_like_prompts_only(alarms_of):
    evaluation = made_prompts("e", [*LEARNT, *ELSEWHERE], 30, 2)
    settings = {"terms": {"matches_expect": {"weight": 1.0}}, "primary": "refusal.separation"}
    (alarm,) = alarms_of(made_prompts("t", LEARNT, 40, 1), evaluation, **settings, learning_rate=5e-3, updates=9)
    assert alarm["name"] == "narrow_data"
    (sentence,) = alarm["evidence"]
    assert sentence.startswith("refusal.separation changed ")
    assert sentence.endswith(" on the 60 least like them")


def test_a_gain_on_prompts_of_the_kinds_that_were_trained_on_is_silent(alarms_of):
    evaluation = made_prompts("e", LEARNT, 30, 2)
    settings = {"terms": {"matches_expect": {"weight": 1.0}}, "primary": "refusal.separation"}
    assert alarms_of(made_prompts("t", LEARNT, 40, 1), evaluation, **settings, learning_rate=5e-3, updates=9) == []
