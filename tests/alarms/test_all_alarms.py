"""The list of alarms."""

from dataclasses import replace

from ppo_cli.alarms import ALARMS, check_all
from tests.alarms.histories import ASKED, EACH, EVALUATION, UPDATES, episode, history, row


def test_the_most_fundamental_alarm_comes_first():
    assert list(ALARMS) == [
        "eval_contamination",
        "no_learning",
        "unstable_updates",
        "policy_drift",
        "reward_hacking",
        "judges_disagree",
        "narrow_data",
        "too_many_changes",
    ]


def test_all_alarms_that_are_raised_are_returned_in_this_order():
    equal = [row(update, reward_std=0.0) for update in range(1, UPDATES + 1)]
    few = [episode(update, place, prompt_id="p") for update in range(1, UPDATES + 1) for place in range(EACH)]
    leaked = [replace(EVALUATION[0], text=ASKED[0]), *EVALUATION[1:]]
    alarms = check_all(history(metrics=equal, episodes=few, evaluation=leaked))
    assert [alarm.name for alarm in alarms] == ["eval_contamination", "no_learning", "narrow_data"]
    assert [alarm.title for alarm in alarms] == ["Evaluation contaminated", "Nothing learnt", "Data too narrow"]
    assert all(alarm.evidence and alarm.why and alarm.next_step for alarm in alarms)
