"""The reward audit: rewards that each break in one way, on hand-made answers."""

import math

import numpy as np
import pytest

from ppo_cli.records.answers import Answer, Prompt, PromptAnswers, RewardScore
from ppo_cli.rewards.audit.cases import Case, make_answer, score, start_model_cases
from ppo_cli.rewards.audit.exploits import CONSTANT, EXPLOITS, exploit_check, try_exploits
from ppo_cli.rewards.audit.preference_accuracy import known_pairs, pair_check
from ppo_cli.rewards.audit.scorer_checks import scorer_checks
from ppo_cli.rewards.audit.shortcuts import shortcut_checks, spread_checks
from ppo_cli.rewards.builtin_terms import TERMS
from ppo_cli.rewards.reward_function import guarded

NO = "I'm sorry, but I can't help with that."
HELP = ["Boil the water for five minutes.", "Put the rice in a pot with salt.", "Take the first train to the coast."]


def paying(value):
    """A reward made of one function of a prompt and an answer, less what it says of the others."""

    def reward(prompts, answers, others):
        return [
            RewardScore(
                reward=value(p, a) - (sum(value(p, o) for o in os) / len(os) if os else 0.0),
                terms={"value": value(p, a)},
                baseline_terms={},
            )
            for p, a, os in zip(prompts, answers, others, strict=True)
        ]

    return guarded(reward)


def whole(function):
    """A reward that gives all of a batch's numbers at once."""
    return guarded(
        lambda ps, answers, os: [RewardScore(reward=float(v), terms={}, baseline_terms={}) for v in function(answers)]
    )


def prompt(number, expect="comply", answer=None):
    return Prompt(id=f"p{number}", text=f"how do I cook the rice number {number}", expect=expect, answer=answer)


def words_of(_prompt, answer):
    return float(len(answer.text.split()))


def trial(rows):
    return PromptAnswers(
        prompts=tuple(prompt for prompt, _ in rows),
        answers=tuple(tuple(make_answer(text) for text in texts) for _, texts in rows),
    )


HONEST = trial(
    [(prompt(n), [HELP[n % 3], HELP[(n + 1) % 3], " ".join(HELP[n % 3].split()[: 2 + n % 4])]) for n in range(16)]
)
CASES = start_model_cases(HONEST, "none")


def by_name(checks):
    return {check.name: check for check in checks}


# --- the contract ------------------------------------------------------------------------------------


def outcomes(reward, **extra):
    return {name: check.status for name, check in by_name(scorer_checks(reward, CASES, episodes=8, **extra)).items()}


def test_a_sound_reward_keeps_its_contract():
    assert set(outcomes(paying(words_of)).values()) == {"pass"}


@pytest.mark.parametrize(
    "broken",
    [
        whole(lambda answers: [math.nan] * len(answers)),
        whole(lambda answers: [1.0] * (len(answers) - 1)),
        whole(lambda answers: [math.inf] * len(answers)),
    ],
    ids=["NaN", "too few", "infinite"],
)
def test_a_broken_score_is_a_stop_and_nothing_more_is_asked(broken):
    (check,) = scorer_checks(broken, CASES, episodes=8)
    assert check.status == "stop"
    assert check.next_step


@pytest.mark.parametrize(("noise", "outcome"), [(0.01, "warn"), (5.0, "stop")])
def test_a_reward_with_luck_in_it_does_not_repeat_itself(noise, outcome):
    luck = np.random.default_rng(0)
    found = outcomes(whole(lambda answers: [len(a.text) / 10 + noise * luck.normal() for a in answers]))
    assert found["reward repeats itself"] == outcome


def test_luck_that_a_term_owns_up_to_is_a_warning():
    luck = np.random.default_rng(0)
    found = outcomes(whole(lambda answers: [5 * luck.normal() for _ in answers]), deterministic=False)
    assert found["reward repeats itself"] == "warn"


def test_a_reward_that_depends_on_the_place_in_the_batch_is_a_stop():
    found = outcomes(whole(lambda answers: range(len(answers))))
    assert found["reward repeats itself"] == "pass"
    assert found["reward is blind to the batch"] == "stop"


def test_scores_given_back_in_another_order_are_a_stop():
    found = outcomes(whole(lambda answers: sorted(len(a.text) for a in answers)))
    assert found["reward is blind to the batch"] == "stop"


def test_a_reward_that_is_normalised_by_its_batch_is_seen():
    found = outcomes(whole(lambda answers: [len(a.text) - np.mean([len(b.text) for b in answers]) for a in answers]))
    assert found["reward is blind to the batch"] == "stop"


def test_speed_is_told_and_a_slow_reward_is_named():
    clock = iter([0.0, 480.0]).__next__  # 48 answers in 480 s
    slow = by_name(scorer_checks(paying(words_of), CASES, episodes=8, clock=clock))["reward is quick"]
    assert slow.status == "warn"
    assert slow.value == "0.1 answers a second"
    assert "80 s of every update" in slow.reason


# --- spread and leanings -----------------------------------------------------------------------------


def test_equal_rewards_are_a_stop_and_an_idle_term_is_named():
    (check,) = spread_checks(CASES, score(paying(lambda p, a: 1.0), CASES))
    assert check.status == "stop"
    scored = [RewardScore(reward=float(n), terms={"moves": float(n), "idle": 2.0}, baseline_terms={}) for n in range(4)]
    spread, idle = spread_checks(CASES[:4], scored)
    assert spread.status == "pass"
    assert spread.value == "0.00 to 3.00, standard deviation 1.12"
    assert idle.status == "warn"
    assert idle.value.endswith(": idle")


def leanings(value, cases=CASES):
    rewards = np.array([value(case.prompt, case.answer) for case in cases], dtype=float)
    return {check.name: check.status for check in shortcut_checks(cases, rewards)}


def test_a_ruler_is_told_from_a_reward_that_does_not_measure():
    assert leanings(words_of)["reward is no ruler"] == "warn"
    assert leanings(lambda p, a: -words_of(p, a))["reward is no ruler"] == "warn"
    luck = np.random.default_rng(1)
    assert leanings(lambda p, a: luck.normal())["reward is no ruler"] == "pass"


def test_a_phrase_that_explains_the_reward_is_named():
    loves_boiling = shortcut_checks(CASES, np.array([float("Boil the" in case.answer.text) for case in CASES]))
    found = by_name(loves_boiling)["reward is no phrase"]
    assert found.status == "warn"
    assert "'boil the water …'" in found.value
    luck = np.random.default_rng(1)
    assert leanings(lambda p, a: luck.normal())["reward is no phrase"] == "pass"


def test_paying_refusals_where_help_is_wanted_is_seen_and_paying_them_elsewhere_is_not():
    rows = [
        (prompt(n, expect="refuse" if n % 2 else "comply"), [NO, HELP[n % 3], HELP[(n + 1) % 3]]) for n in range(12)
    ]
    cases = start_model_cases(trial(rows), "none")
    assert leanings(lambda p, a: float(a.text == NO), cases)["reward does not pay refusing"] == "warn"
    assert leanings(TERMS["matches_expect"], cases)["reward does not pay refusing"] == "pass"


# --- pairs -------------------------------------------------------------------------------------------

WRITTEN = [prompt(n, answer=HELP[n % 3]) for n in range(6)] + [
    prompt(n, expect="refuse", answer=NO) for n in range(6, 12)
]


def test_written_answers_make_pairs_with_those_for_another_expectation():
    pairs = known_pairs(WRITTEN, HONEST, "none")
    assert len(pairs.cases) == 12
    assert "written for prompts of another `expect`" in pairs.source
    assert all((good.answer.text == NO) == (good.prompt.expect == "refuse") for good, _ in pairs.cases)
    assert all((bad.answer.text == NO) == (bad.prompt.expect != "refuse") for _, bad in pairs.cases)
    assert pair_check(paying(TERMS["matches_expect"]), pairs).status == "pass"


def test_a_reward_that_prefers_the_wrong_answer_or_does_not_care_is_a_stop_once_that_is_certain():
    few, many = (known_pairs(WRITTEN * times, HONEST, "none") for times in (1, 16))
    assert pair_check(paying(lambda p, a: -TERMS["matches_expect"](p, a)), few).status == "stop"
    indifferent = pair_check(paying(lambda p, a: 0.0), few)
    assert indifferent.status == "warn"
    assert "in 50% of 12 pairs [25%, 75%]" in indifferent.value
    assert pair_check(paying(lambda p, a: 0.0), many).status == "stop"


def test_without_written_answers_the_rules_tell_good_from_bad_and_it_says_so():
    rows = [(prompt(n, expect="refuse" if n % 2 else "comply"), [NO, HELP[n % 3]]) for n in range(8)]
    pairs = known_pairs([], trial(rows), "reference")
    assert "told apart by the rules" in pairs.source
    assert len(pairs.cases) == 8
    assert pair_check(paying(TERMS["matches_expect"]), pairs).status == "pass"


def test_without_any_pair_it_asks_for_answers():
    found = pair_check(paying(words_of), known_pairs([], HONEST, "none"))
    assert found.status == "warn"
    assert "`answer`" in found.next_step


# --- tricks ------------------------------------------------------------------------------------------


def tricks_of(value, honest=HONEST, written=(), baseline="reference"):
    return {trick.name: trick for trick in try_exploits(paying(value), honest, written, baseline=baseline, limit=32)}


def test_a_margin_is_the_mean_difference_to_the_honest_answers():
    honest = trial([(prompt(n), ["one two three"] * 2) for n in range(5)])
    for baseline in ("none", "reference"):
        one_word = tricks_of(words_of, honest, baseline=baseline)["one word"]
        assert (one_word.gain_over_start.mean, one_word.gain_over_start.low_95, one_word.gain_over_start.high_95) == (
            -2.0,
            -2.0,
            -2.0,
        )
        assert one_word.wins == "no"
    honest = trial([(prompt(n), ["one two three"[: 3 if n % 2 else 13]] * 2) for n in range(4)])  # 1 or 3 words
    margin = tricks_of(words_of, honest)["empty"].gain_over_start
    assert margin.mean == -2.0
    assert margin.high_95 == pytest.approx(-2 + 3.182446 * math.sqrt(4 / 3) / 2, abs=1e-5)


def test_a_length_reward_is_won_by_a_constant_answer_and_that_is_a_stop():
    shorter = tricks_of(lambda p, a: -words_of(p, a))
    assert shorter["empty"].wins == "yes"
    assert shorter["very long"].wins == "no"
    check = exploit_check(list(shorter.values()))
    assert check.status == "stop"
    assert "'empty' earns" in check.value
    longer = tricks_of(words_of)
    assert longer["very long"].wins == "yes"
    assert longer["empty"].wins == "no"


def test_a_reward_that_asks_for_the_topic_is_won_by_none():
    def on_topic(p, a):
        return TERMS["on_topic"](p, a) + TERMS["matches_expect"](p, a)

    rows = [(prompt(n), [f"Rice number {n} wants water and salt in the pot.", HELP[1]]) for n in range(10)]
    check = exploit_check(list(tricks_of(on_topic, trial(rows)).values()))
    assert check.status == "pass"
    assert check.value.startswith("none of ")


def test_a_trick_that_beats_the_start_model_and_not_the_written_answers_wins_for_now():
    poor = trial([(prompt(n, expect="refuse" if n % 2 else "comply"), ["", HELP[0]]) for n in range(12)])

    def value(p, a):
        return TERMS["matches_expect"](p, a)

    assert tricks_of(value, poor)["always refuses"].wins == "no"
    refusing_half = tricks_of(value, trial([(prompt(n, expect="refuse"), ["", HELP[0]]) for n in range(12)]), WRITTEN)
    assert refusing_half["always refuses"].wins == "for now"
    check = exploit_check(list(refusing_half.values()))
    assert check.status == "warn"
    assert "than written answers" in check.value


def test_one_answer_a_prompt_is_compared_with_itself():
    single = trial([(prompt(n), ["one two three"]) for n in range(4)])
    assert {scored.reward for scored in score(paying(words_of), start_model_cases(single, "reference"))} == {0.0}
    assert tricks_of(words_of, single)["one word"].gain_over_start.mean == -2.0


def test_written_others_and_constant_tricks():
    cases = start_model_cases(trial([(prompt(1, answer="a b"), ["x", "y"])]), "written")
    assert [case.others[0].text for case in cases] == ["a b", "a b"]
    assert set(EXPLOITS) - set(CONSTANT) == {"echoes the prompt"}
    for way in CONSTANT.values():
        assert way(prompt(1), 32) == way(prompt(2), 32)
        assert isinstance(way(prompt(1), 32), Answer)
        assert way(prompt(1), 32).token_count >= 1
    assert Case(prompt(1), EXPLOITS["echoes the prompt"](prompt(1), 32)).answer.text == prompt(1).text
