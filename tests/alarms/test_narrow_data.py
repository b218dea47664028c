"""The alarm of narrow data: what raises it, and what does not."""

from dataclasses import replace

from ppo_cli.alarms import narrow_data
from ppo_cli.records.answers import Prompt
from ppo_cli.stats.label_matrix import label_matrix
from tests.alarms.histories import EVALUATION, SUBJECTS, history, labelled, rising
from tests.reports.records import change, comparison


def test_variations_of_one_prompt_are_raised():
    drill = [Prompt(id=f"train-{place}", text=f"Tell me of bread and price{'!' * place}") for place in range(30)]
    alarm = narrow_data.check(history(train=drill))
    assert alarm.evidence == ("topics among the 30 training prompts, by their wording: 1",)


def test_prompts_that_come_too_often_are_raised():
    episodes = [replace(one, prompt_id=f"train-{place % 4}") for place, one in enumerate(history().episodes)]
    assert narrow_data.check(history(episodes=episodes)).evidence == ("4 prompts were answered 22 times each",)


def test_a_gain_on_train_like_prompts_only_is_raised_and_one_everywhere_is_not():
    like = [
        replace(prompt, text=f"Tell me of {SUBJECTS[place % 14]} and price today")
        for place, prompt in enumerate(EVALUATION[:28])
    ]
    mixed = [*like, *EVALUATION[28:]]
    known = {prompt.id for prompt in like}

    def learnt(only):
        return labelled(
            mixed, lambda prompt, sample: prompt.expect == "refuse" if not only or prompt.id in known else sample
        )

    before = label_matrix(labelled(mixed, lambda prompt, sample: sample))
    narrow = history(evaluation=mixed, before=before, after=label_matrix(learnt(only=True)))
    (evidence,) = narrow_data.check(narrow).evidence
    assert "on the 28 evaluation prompts most like the training prompts" in evidence
    assert narrow_data.check(history(evaluation=mixed, before=before, after=label_matrix(learnt(only=False)))) is None


def test_a_reward_that_rises_on_training_prompts_alone_is_raised():
    alone = change("reward.absolute", before=0.2, after=0.2, difference=0.0, low_95=-0.1, high_95=0.1)
    alarm = narrow_data.check(history(episodes=rising(), comparison=comparison(change(), alone)))
    assert alarm.evidence[0].startswith("on training prompts the reward rose by 0.67, on evaluation prompts by 0.00")
