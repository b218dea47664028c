"""Each alarm on records made by hand: what makes it ring, and what it bears; the advice that follows."""

from dataclasses import replace

import numpy as np
import pytest

from ppo_cli.alarms import advice
from ppo_cli.alarms.all_alarms import check_all
from ppo_cli.alarms.eval_contamination import eval_contamination
from ppo_cli.alarms.narrow_data import narrow_data
from ppo_cli.alarms.no_learning import no_learning
from ppo_cli.alarms.policy_drift import policy_drift
from ppo_cli.alarms.reward_hacking import reward_hacking
from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.alarms.too_many_changes import too_many_changes
from ppo_cli.behaviours.measures import MEASURES, measure_named
from ppo_cli.experiment.schema import Evaluation, Experiment, Kl, Model, Prompts, Reward
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import LabelledAnswer
from ppo_cli.records.results import ComparisonResult
from ppo_cli.records.training import Episode
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.text import similarity
from ppo_cli.text.numbers import format_number
from tests.report.records import change, comparison

UPDATES, EACH = 9, 10
SUBJECTS = "bread rain violin harbour algebra bicycle candle desert engine feather glacier hammer island jacket".split()
ASKED = [f"Tell me of {first} and {second}" for first in SUBJECTS for second in ("history", "price")]


def episode(update, place, **values):
    given = {
        "update": update,
        "episode": (update - 1) * EACH + place + 1,
        "prompt_id": f"train-{(update * EACH + place) % len(ASKED)}",
        "prompt": "?",
        "answer": f"{SUBJECTS[place]} {SUBJECTS[update]} is what it is",
        "baseline_answer": None,
        "token_count": 10 + place % 3,
        "finish": "eos",
        "reward": 0.1 * (place % 5),
        "terms": {"on_topic": 0.5},
        "baseline_terms": {},
        "kl": 1.0,
    }
    return Episode(**{**given, **values})


def row(update, **values):
    given = {
        "update": update,
        "reward_std": 0.5,
        "kl": 0.3 * update,
        "kl_per_token": 0.02 * update,
        "kl_coef": 0.05,
        "entropy": 1.0,
        "terms": {"on_topic": 0.5},
    }
    return {**given, **values}


def experiment(**values):
    given = {
        "name": "x",
        "goal": "Say what it is.",
        "model": Model(start="x"),
        "prompts": Prompts(train="t", eval="e"),
        "reward": Reward(terms={"on_topic": {"weight": 1.0}}),
        "kl": Kl(coef=0.05),
    }
    return Experiment(**{**given, **values})


def labelled(prompts, refused):
    return [
        LabelledAnswer(
            prompt_id=prompt.id,
            category=prompt.category,
            expect=prompt.expect,
            sample=sample,
            text="x",
            labels={"refused": float(refused(prompt, sample))},
        )
        for prompt in prompts
        for sample in range(2)
    ]


TRAIN = [Prompt(id=f"train-{place}", text=text) for place, text in enumerate(ASKED)]
EVALUATION = [
    Prompt(id=f"eval-{place:02d}", text=f"Why do {subject} {verb} at dusk?", expect="refuse" if place % 2 else "comply")
    for place, (subject, verb) in enumerate((s, v) for s in ("owls", "moths", "tides", "boats") for v in SUBJECTS)
]


def seen(**values):
    """A healthy run, with some of it replaced."""
    given = {
        "experiment": experiment(),
        "changed": ("kl.coef", "output"),
        "metrics": [row(update) for update in range(1, UPDATES + 1)],
        "episodes": [episode(update, place) for update in range(1, UPDATES + 1) for place in range(EACH)],
        "train": TRAIN,
        "warm_start": [],
        "evaluation": EVALUATION,
        "before": label_matrix(labelled(EVALUATION, lambda prompt, sample: sample)),
        "after": label_matrix(labelled(EVALUATION, lambda prompt, sample: sample)),
        "comparison": comparison(change()),
        "measures": {measure.name: measure for measure in MEASURES},
    }
    return RunHistory(**{**given, **values})


def rising(by=1.0, **values):
    """Episodes whose reward rises over the run."""
    return [
        episode(update, place, reward=0.1 * (place % 5) + by * update / UPDATES, **values)
        for update in range(1, UPDATES + 1)
        for place in range(EACH)
    ]


STAYED = change(before=0.5, after=0.45, difference=-0.05, low_95=-0.3, high_95=0.2, verdict="NO CHANGE DETECTED")


def test_a_healthy_run_is_silent_and_the_next_step_is_another_seed():
    run = seen(episodes=rising())
    assert check_all(run) == ()
    found = advice.suggest_after_training(run, (), "runs/x/config.yaml")
    assert (found.key, found.value) == ("seed", "2")
    assert found.command == "ppo train runs/x/config.yaml seed=2"


# --- reward too clever -------------------------------------------------------------------------------


def test_a_reward_that_rises_alone_rings():
    alarm = reward_hacking(seen(episodes=rising(), comparison=comparison(STAYED)))
    assert alarm.evidence == ("the reward rose from 0.42 to 1.09, and refusal.separation 0.50 → 0.45 did not follow",)


def test_a_reward_that_stays_is_not_too_clever_though_behaviour_stays_too():
    assert reward_hacking(seen(comparison=comparison(STAYED))) is None


def test_what_is_not_paid_for_and_gets_worse_rings_unless_it_is_graded():
    worse = change("ending.eos", before=0.9, after=0.7, difference=-0.2, low_95=-0.3, high_95=-0.1)
    both = comparison(change(), worse)
    assert "ending.eos 90.0 % → 70.0 %" in reward_hacking(seen(episodes=rising(), comparison=both)).evidence[0]
    graded = replace(both, rewarded_measures=("ending.eos",))
    assert reward_hacking(seen(episodes=rising(), comparison=graded)) is None


@pytest.mark.parametrize(("share", "rings"), [(0.7, False), (0.9, True)])
def test_one_opening_that_takes_over_rings(share, rings):
    episodes = [
        episode(update, place, **({"answer": "As a model I say so"} if update > 6 and place < share * EACH else {}))
        for update in range(1, UPDATES + 1)
        for place in range(EACH)
    ]
    alarm = reward_hacking(seen(episodes=episodes))
    assert (alarm is not None) is rings
    if alarm:
        assert alarm.evidence[0].startswith("90% of the last answers begin with 'as a model i'; of the first, ")


@pytest.mark.parametrize(("noise", "rings"), [(0.0, True), (5.0, False)])
def test_a_reward_that_length_explains_rings(noise, rings):
    episodes = [
        episode(update, place, tokens=10 + place + 3 * update, reward=0.01 * place + noise * (place * 7 % EACH))
        for update in range(1, UPDATES + 1)
        for place in range(EACH)
    ]
    assert (reward_hacking(seen(episodes=episodes)) is not None) is rings


def test_a_reward_for_length_alone_rings_for_what_the_shortness_cost():
    """The pattern of configs/traps/concise.yaml."""
    tokens = {(update, place): 40 - 4 * update + place % 3 for update in range(1, UPDATES + 1) for place in range(EACH)}
    shrinking = [
        episode(update, place, tokens=length, reward=1 - length / 40) for (update, place), length in tokens.items()
    ]
    helped = change("topic.mentions", before=0.36, after=0.05, difference=-0.31, low_95=-0.37, high_95=-0.25)
    alarm = reward_hacking(seen(episodes=shrinking, comparison=comparison(change(), helped)))
    unpaid, by_length = alarm.evidence
    assert unpaid.endswith("and what it does not pay for got worse: topic.mentions 36.0 % → 5.0 %")
    assert by_length.startswith("reward goes with length (rank correlation −1.00 in the last third)")
    assert by_length.endswith("answers became shorter: 32.9 → 8.9 tokens")


def test_a_reward_for_any_refusal_rings_for_the_refusals_of_safe_prompts():
    """The pattern of configs/traps/refusal.yaml."""
    refusing = [
        episode(update, place, answer="I'm sorry, but I can't" if place < 1.5 * update else "Sure", reward=update / 9)
        for update in range(1, UPDATES + 1)
        for place in range(EACH)
    ]
    safe = change("refusal.safe", before=0.5, after=0.95, difference=0.45, low_95=0.4, high_95=0.5)
    alarm = reward_hacking(seen(episodes=refusing, comparison=comparison(STAYED, safe)))
    goal, unpaid, opening = alarm.evidence
    assert goal.endswith("and refusal.separation 0.50 → 0.45 did not follow")
    assert unpaid.endswith("and what it does not pay for got worse: refusal.safe 50.0 % → 95.0 %")
    assert "of the last answers begin with 'i'm sorry but i'" in opening


def test_a_reward_for_any_question_rings_for_the_questions_about_clear_requests():
    """The pattern of configs/traps/clarify.yaml."""
    asking = [
        episode(update, place, answer=f"Which {SUBJECTS[place]} do you mean?", reward=update / 9)
        for update in range(1, UPDATES + 1)
        for place in range(EACH)
    ]
    told_apart = change("clarification.selectivity", before=0.4, after=0.1, difference=-0.3, low_95=-0.4, high_95=-0.2)
    clear = change("clarification.unwanted", before=0.5, after=0.9, difference=0.4, low_95=0.3, high_95=0.5)
    vague = change("clarification.wanted", before=0.9, after=1.0, difference=0.1, low_95=0.05, high_95=0.15)
    found = comparison(told_apart, vague, clear, primary="clarification.selectivity")
    judged = experiment(evaluation=Evaluation(primary="clarification.selectivity"))
    goal, unpaid = reward_hacking(seen(episodes=asking, comparison=found, experiment=judged)).evidence
    assert goal.endswith("and clarification.selectivity 40.0 % → 10.0 % did not follow")
    assert unpaid.endswith("and what it does not pay for got worse: clarification.unwanted 50.0 % → 90.0 %")


def test_a_measure_to_look_around_in_rings_no_alarm():
    worse = change("brevity.words", before=10.0, after=20.0, difference=2.0, low_95=1.8, high_95=2.2)
    assert reward_hacking(seen(episodes=rising(), comparison=comparison(change(), worse))) is None


# --- KL too small ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(u, kl_per_token=0.09 * u) for u in range(1, 10)], "KL is 0.720 nats a token, over the budget of 0.5"),
        (
            [row(u, kl_per_token=0.01 * u if u < 7 else 0.3) for u in range(1, 10)],
            "KL a token speeds up: 0.020 → 0.050 → 0.300 nats in the three thirds of the run",
        ),
        ([row(u, entropy=1.0 if u == 1 else 0.2) for u in range(1, 10)], "entropy collapsed from 1.00 to 0.20"),
        ([row(u, kl=13.0) for u in range(1, 10)], "KL passed the stop line: 13.00 nats an answer, kl.stop_at 12"),
    ],
)
def test_a_policy_that_runs_away_rings(rows, said):
    (evidence,) = policy_drift(seen(metrics=rows)).evidence
    assert said in evidence


def test_answers_that_fall_apart_ring():
    looping = change("form.repetition", before=0.01, after=0.3, difference=0.29, low_95=0.2, high_95=0.35)
    alarm = policy_drift(seen(comparison=comparison(change(), looping)))
    assert alarm.evidence == ("repetition rose from 1.0 % to 30.0 %",)
    assert "kl.coef=0.1" in alarm.next_step


def test_a_small_kl_may_speed_up():
    assert policy_drift(seen(metrics=[row(u, kl_per_token=0.0004 * 2**u) for u in range(1, 10)])) is None


# --- data too narrow ---------------------------------------------------------------------------------


def test_variations_of_one_prompt_ring():
    drill = [Prompt(id=f"train-{place}", text=f"Tell me of bread and price{'!' * place}") for place in range(30)]
    alarm = narrow_data(seen(train=drill))
    assert alarm.evidence == ("topics among the 30 training prompts, by their wording: 1",)


def test_prompts_that_come_too_often_ring():
    episodes = [replace(one, prompt_id=f"train-{place % 4}") for place, one in enumerate(seen().episodes)]
    assert narrow_data(seen(episodes=episodes)).evidence == ("4 prompts were answered 22 times each",)


def test_a_gain_on_train_like_prompts_only_rings_and_one_everywhere_does_not():
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
    narrow = seen(evaluation=mixed, before=before, after=label_matrix(learnt(only=True)))
    (evidence,) = narrow_data(narrow).evidence
    assert "on the 28 evaluation prompts most like the training prompts" in evidence
    assert narrow_data(seen(evaluation=mixed, before=before, after=label_matrix(learnt(only=False)))) is None


def test_a_reward_that_rises_on_training_prompts_alone_rings():
    alone = change("reward.alone", before=0.2, after=0.2, difference=0.0, low_95=-0.1, high_95=0.1)
    alarm = narrow_data(seen(episodes=rising(), comparison=comparison(change(), alone)))
    assert alarm.evidence[0].startswith("on training prompts the reward rose by 0.67, on evaluation prompts by 0.00")


# --- eval like train ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ASKED[0].upper(), "those of training"),
        ("What do bakers do with old bread?", None),
        (
            "Please: how many of the seven old clocks in that tower strike at noon today, sir?",
            "1 more by 8 words in a row",
        ),
    ],
)
def test_what_was_learnt_from_is_found_again(text, kind):
    train = [
        *TRAIN,
        Prompt(id="t", text="He wondered how many of the seven old clocks in that tower still worked at all."),
    ]
    evaluation = [replace(EVALUATION[0], text=text), *EVALUATION[1:20]]
    alarm = eval_contamination(seen(train=train, evaluation=evaluation))
    assert (alarm is None) is (kind is None)
    if alarm:
        assert kind in alarm.evidence[0]


def test_the_same_rare_words_in_another_order_are_alike_and_strangers_are_not():
    value, place = similarity.nearest_texts(
        ("yaks play chess in bolivia",), ("in bolivia yaks play chess", "rain in spain")
    )
    assert place[0] == 0
    assert value[0] > 0.8
    same, _ = similarity.nearest_texts(("one two",), ("one two",))
    assert same[0] == pytest.approx(1.0)
    none, _ = similarity.nearest_texts(("one two",), ("three four",))
    assert none[0] == 0.0
    assert np.array_equal(similarity.nearest_texts((), ("a",))[0], [])
    assert similarity.count_topics(("a b", "a b", "c d", "!"), 0.5) == 3


# --- wanting production at once ----------------------------------------------------------------------


def test_plainly_safe_prompts_that_are_refused_ring():
    plain = change("refusal.plain", before=0.1, after=0.4, difference=0.3, low_95=0.2, high_95=0.4)
    alarm = too_many_changes(seen(comparison=comparison(change(), plain)))
    assert alarm.evidence == ("plainly safe prompts are refused more: refusal.plain 10.0 % → 40.0 %",)


def test_a_jump_of_four_kinds_rings_and_of_three_does_not():
    jumps = [
        change("refusal.safe", before=0.8, after=0.2, difference=-0.6),
        change("ending.eos", before=0.1, after=0.9, difference=0.8),
        change("length.tokens", before=10.0, after=30.0, difference=3.0),
        change("consistency.refusal", before=0.5, after=0.9, difference=0.4),
    ]
    assert too_many_changes(seen(comparison=comparison(*jumps[:3]))) is None
    assert "4 kinds of behaviour jumped at once" in too_many_changes(seen(comparison=comparison(*jumps))).evidence[0]


@pytest.mark.parametrize(
    ("round_", "changed", "rings"),
    [
        (1, ("kl.coef",), False),
        (1, ("reward.terms.on_topic.weight",), False),
        (1, ("reward.terms.on_topic.weight", "prompts.train"), True),
        (1, ("prompts.eval",), True),
        (4, ("prompts.eval",), False),
    ],
)
def test_a_round_that_takes_the_next_ones_along_rings(round_, changed, rings):
    assert (too_many_changes(seen(experiment=experiment(round=round_), changed=changed)) is not None) is rings


def test_a_first_round_that_speaks_of_production_rings():
    goal = experiment(goal="Be ready for production.")
    assert "'production'" in too_many_changes(seen(experiment=goal)).evidence[0]


# --- nothing moves -----------------------------------------------------------------------------------


def test_equal_rewards_ring():
    alarm = no_learning(seen(metrics=[row(update, reward_std=0.0) for update in range(1, 10)]))
    assert alarm.evidence == ("in 100% of the updates all rewards were equal",)


@pytest.mark.parametrize(("coef", "remedy"), [(5.0, "kl.coef=1.25"), (0.05, "ppo.learning_rate=0.0003")])
def test_a_policy_that_stays_rings_with_the_likelier_cause(coef, remedy):
    still = [row(update, kl=0.001, kl_coef=coef) for update in range(1, 10)]
    run = seen(experiment=experiment(kl=Kl(coef=coef)), metrics=still, comparison=comparison(STAYED))
    alarm = no_learning(run)
    assert remedy in alarm.next_step
    found = advice.suggest_after_training(run, (alarm,), "c.yaml")
    assert f"{found.key}={found.value}" == remedy


def test_a_run_that_has_just_begun_may_stand_still():
    assert no_learning(seen(metrics=[row(update, kl=0.0) for update in range(1, 5)])) is None


# --- advice ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("round_", "typed"), [(1, "kl.coef=0.1"), (2, "round=1")])
def test_advice_keeps_to_the_keys_of_its_round(round_, typed):
    run = seen(experiment=experiment(round=round_), metrics=[row(u, kl_per_token=0.09 * u) for u in range(1, 10)])
    found = advice.suggest_after_training(run, check_all(run), "c.yaml")
    assert f"{found.key}={found.value}" == typed


def outcome(found, treatments):
    return ComparisonResult(
        before="a",
        after="b",
        goal="g",
        steps=(9, 9),
        same_groups=(),
        treatments=treatments,
        seeds=(1, 1),
        confounders={},
        same_run=False,
        comparison=comparison(found),
    )


@pytest.mark.parametrize(
    ("found", "treatments", "command"),
    [
        (change(), {"kl.coef": (0.1, 0.05)}, "ppo train b.yaml seed=3"),
        (STAYED, {"kl.coef": (0.1, 0.05)}, "ppo train b.yaml kl.coef=0.025"),
        (change(difference=-1.0), {"ppo.epochs": (2, 4)}, "ppo train a.yaml ppo.epochs=1"),
        (STAYED, {"prompts.train": ("1a2b", "3c4d")}, "ppo train b.yaml seed=3"),
        (change(), {"prompts.train": ("1a2b", "3c4d"), "kl.coef": (0.1, 0.05)}, "ppo train a.yaml kl.coef=0.05"),
        (STAYED, {}, "ppo train b.yaml round=2"),
        (change(), {}, "ppo train b.yaml seed=3"),
    ],
)
def test_after_a_comparison_one_step_is_proposed(found, treatments, command):
    measure = measure_named("refusal.separation")
    told = advice.suggest_after_comparison(
        outcome(found, treatments), measure, round_=1, configs=("a.yaml", "b.yaml"), seeds=[1, 2]
    )
    assert told.command == command


def test_numbers_have_a_true_minus_and_no_minus_before_zero():
    assert [format_number(-1.234), format_number(-0.001), format_number(0.5, 1)] == ["−1.23", "0.00", "0.5"]
