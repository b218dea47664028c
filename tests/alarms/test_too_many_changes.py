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


def test_a_first_round_whose_goal_mentions_production_is_raised():
    goal = experiment(goal="Be ready for production.")
    assert "'production'" in too_many_changes.check(history(experiment=goal)).evidence[0]
