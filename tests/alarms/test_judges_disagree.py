"""The alarm of two judges that moved apart: what raises it, and what does not."""

import numpy as np
import pytest

from ppo_cli.alarms import advice, judges_disagree
from ppo_cli.records.second_judge import SECOND_LABEL
from ppo_cli.stats.label_matrix import label_matrix
from tests.alarms.histories import EVALUATION, history
from tests.answers import labelled_answer


def answers(rule, second, unread=False):
    """Two answers to each prompt, labelled by functions of the prompt's place."""
    return label_matrix(
        [
            labelled_answer(
                prompt, sample, refused=float(rule(place)), unread=float(unread), **{SECOND_LABEL: float(second(place))}
            )
            for place, prompt in enumerate(EVALUATION)
            for sample in range(2)
        ]
    )


def half(place):
    return place % 2 == 0


def one_in_ten_differs(place):
    return half(place) != (place % 10 == 0)


def test_a_policy_that_only_the_rule_takes_for_refusing_raises_it():
    games = answers(lambda place: half(place) or place % 4 == 1, half)
    run = history(before=answers(half, half), after=games)
    alarm = judges_disagree.check(run)
    assert alarm.evidence == (
        "both judges label 100% of the answers alike at step 0, 75% now (fewer on 14 prompts, more on 0); refusals by "
        "the rule 50% → 75%, by the second judge 50% → 50%",
    )
    suggested = advice.suggest_after_training(run, (alarm,), "runs/r/config.yaml")
    assert suggested.command == "ppo label runs/r"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (answers(half, half), answers(lambda place: True, lambda place: True)),  # both moved together
        (answers(one_in_ten_differs, half), answers(half, half)),  # they agree more than before
        (answers(half, half), answers(lambda place: half(place) != (place < 4), half)),  # four prompts
        (answers(half, half), answers(lambda place: False, half, unread=True)),  # the rule does not read the language
    ],
    ids=["together", "closer", "few", "unread"],
)
def test_it_is_silent_where_they_did_not_move_apart(before, after):
    assert judges_disagree.check(history(before=before, after=after)) is None


def test_it_is_silent_without_the_second_judge():
    assert judges_disagree.check(history()) is None
    assert judges_disagree.check(history(after=answers(lambda place: not half(place), half))) is None


def test_chance_alone_seldom_raises_it():
    generator = np.random.default_rng(0)
    differ = generator.random((300, 2, len(EVALUATION))) < 0.15
    raised = sum(
        judges_disagree.check(
            history(
                before=answers(lambda place, flips=flips: half(place) != flips[0, place], half),
                after=answers(lambda place, flips=flips: half(place) != flips[1, place], half),
            )
        )
        is not None
        for flips in differ
    )
    assert raised <= 3
