"""The alarm of a contaminated evaluation: what raises it, and what does not."""

from dataclasses import replace

import pytest

from ppo_cli.alarms import eval_contamination
from ppo_cli.records.answers import Prompt
from tests.alarms.histories import ASKED, EVALUATION, TRAIN, history


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ASKED[0].upper(), "are training prompts"),
        ("What do bakers do with old bread?", None),
        (
            "Please: how many of the seven old clocks in that tower strike at noon today, sir?",
            "1 more by 8 words in a row",
        ),
    ],
)
def test_training_prompts_in_the_evaluation_set_are_raised(text, kind):
    train = [
        *TRAIN,
        Prompt(id="t", text="He wondered how many of the seven old clocks in that tower still worked at all."),
    ]
    evaluation = [replace(EVALUATION[0], text=text), *EVALUATION[1:20]]
    alarm = eval_contamination.check(history(train=train, evaluation=evaluation))
    assert (alarm is None) is (kind is None)
    if alarm:
        assert kind in alarm.evidence[0]
