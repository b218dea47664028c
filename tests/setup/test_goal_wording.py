"""Two answers make one sentence; a goal without a situation gets a gentle word."""

import pytest

from ppo_cli.experiment.load import load_experiment
from ppo_cli.setup.goal_wording import hints, phrase
from ppo_cli.setup.recipes import recipes


@pytest.mark.parametrize(
    ("situation", "behaviour", "sentence"),
    [
        ("a request would hurt someone", "refuse it plainly", "When a request would hurt someone, refuse it plainly."),
        ("When a request is vague.", "It should ask back.", "When a request is vague, ask back."),
        ("if  the user\nwrites Chinese", "the model must answer in it!", "When the user writes Chinese, answer in it."),
        ("I ask for JSON", "then give JSON only", "When I ask for JSON, give JSON only."),
        ("SQL is asked for", "Explain it", "When SQL is asked for, explain it."),
        ("", "keep answers short", "Keep answers short."),
        ("用户的问题不清楚", "先问一句", "当用户的问题不清楚时，先问一句。"),
        ("当用户的问题不清楚时", "先问一句。", "当用户的问题不清楚时，先问一句。"),
    ],
)  # fmt: skip
def test_two_answers_make_one_sentence(situation, behaviour, sentence):
    assert phrase(situation, behaviour) == sentence
    assert bool(hints(sentence)) == (not situation)


@pytest.mark.parametrize("goal", ["Be nice.", "Answers should be short.", "回答要简短。"])
def test_a_goal_without_a_situation_is_told_so_with_an_example(goal):
    (hint,) = hints(goal)
    assert "names no situation" in hint
    assert goal.rstrip(".。")[1:] in hint


def test_a_goal_that_no_screen_can_hold_is_told_so():
    (hint,) = hints("When asked, " + "explain " * 30)
    assert "is printed on every screen" in hint


@pytest.mark.parametrize("recipe", sorted(recipes()))
def test_the_shipped_goals_name_their_situation(recipe):
    assert hints(load_experiment(recipes()[recipe]).experiment.goal) == []
