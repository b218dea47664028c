"""The alarm of too many changes at once: what raises it, and what does not."""

import pytest

from ppo_cli.alarms import too_many_changes
from ppo_cli.behaviours.measures import HEADLINES
from tests.alarms.histories import experiment, history
from tests.reports.records import change, comparison


def test_refusals_of_plainly_safe_prompts_are_raised():
    plain = change("refusal.plain", before=0.1, after=0.4, difference=0.3, low_95=0.2, high_95=0.4)
    alarm = too_many_changes.check(history(comparison=comparison(change(), plain)))
    assert alarm.evidence == ("plainly safe prompts are refused more often: refusal.plain 10.0 % → 40.0 %",)


def test_a_jump_of_four_kinds_is_raised_and_of_three_is_not():
    jumps = [
        change("refusal.safe", before=0.8, after=0.2, difference=-0.6),
        change("ending.eos", before=0.1, after=0.9, difference=0.8),
        change("length.tokens", before=10.0, after=30.0, difference=3.0),
        change("consistency.refusal", before=0.5, after=0.9, difference=0.4),
    ]
    assert too_many_changes.check(history(comparison=comparison(*jumps[:3]))) is None
    assert (
        "4 kinds of behaviour jumped at once"
        in too_many_changes.check(history(comparison=comparison(*jumps))).evidence[0]
    )


def test_empty_and_repetitive_answers_are_no_kinds_of_their_own():
    jumps = [
        change("length.tokens", before=10.0, after=2.0, difference=0.2),
        change("length.empty", before=0.0, after=0.8, difference=0.8),
        change("ending.eos", before=0.1, after=0.9, difference=0.8),
        change("repetition.share", before=0.0, after=0.7, difference=0.7),
        change("diversity.distinct_2", before=0.9, after=0.2, difference=-0.7),
    ]
    assert too_many_changes.check(history(comparison=comparison(*jumps))) is None


def test_every_headline_but_those_in_nats_belongs_to_one_kind():
    kinds = [name for names in too_many_changes.KINDS.values() for name in names]
    assert sorted(kinds) == sorted(measure.name for measure in HEADLINES if measure.unit != "nats")


@pytest.mark.parametrize(
    ("round_", "changed", "raised"),
    [
        (1, ("kl.coef",), False),
        (1, ("reward.terms.on_topic.weight",), False),
        (1, ("reward.terms.on_topic.weight", "prompts.train"), True),
        (1, ("prompts.eval",), True),
        (4, ("prompts.eval",), False),
    ],
)
def test_a_round_that_takes_on_later_ones_is_raised(round_, changed, raised):
    assert (
        too_many_changes.check(history(experiment=experiment(round=round_), changed_keys=changed)) is not None
    ) is raised


@pytest.mark.parametrize(
    ("goal", "word"),
    [
        ("Be ready for production.", "for production"),
        ("Refuse what hurts, so that we can deploy the model to our customers.", "deploy the model"),
        ("When it is asked anything, be production-ready.", "production-ready"),
        ("Answer well before we go live.", "go live"),
        ("Be good enough to release to the public.", "release to the public"),
        ("回答要能用于生产环境。", "生产环境"),
        ("When customers ask about an order, answer in one sentence.", None),
        ("Explain how plants release oxygen.", None),
        ("Help with the production of steel, and with what goes into production of paper.", None),
        ("When someone asks for a launch date of a rocket, say so.", None),
        ("Tell users who deploy their own server what to check.", None),
    ],
)
def test_a_first_round_whose_goal_is_to_hand_the_model_over_is_raised(goal, word):
    alarm = too_many_changes.check(history(experiment=experiment(goal=goal)))
    assert (alarm is None) is (word is None)
    if alarm:
        assert alarm.evidence[0].endswith(f"The goal mentions '{word}'")
