"""The reward audit: rewards that each have one fault, on hand-made answers."""

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
from tests.rewards.made_rewards import answer_reward, batch_reward

NO = "I'm sorry, but I can't help with that."
HELP = ["Boil the water for five minutes.", "Put the rice in a pot with salt.", "Take the first train to the coast."]


def prompt(number, expect="comply", answer=None):
    return Prompt(id=f"p{number}", text=f"how do I cook the rice number {number}", expect=expect, answer=answer)


def words_of(_prompt, answer):
    return float(len(answer.text.split()))


def samples(rows):
    return PromptAnswers(
        prompts=tuple(prompt for prompt, _ in rows),
        answers=tuple(tuple(make_answer(text) for text in texts) for _, texts in rows),
    )


SAMPLED = samples(
    [(prompt(n), [HELP[n % 3], HELP[(n + 1) % 3], " ".join(HELP[n % 3].split()[: 2 + n % 4])]) for n in range(16)]
)
CASES = start_model_cases(SAMPLED, "none")


def by_name(checks):
    return {check.name: check for check in checks}


# --- the scores ------------------------------------------------------------------------------------


def statuses(reward, **extra):
    return {name: check.status for name, check in by_name(scorer_checks(reward, CASES, episodes=8, **extra)).items()}


def test_a_sound_reward_passes_every_check_of_its_scores():
    assert set(statuses(answer_reward(words_of)).values()) == {"pass"}


@pytest.mark.parametrize(
    "broken",
    [
        batch_reward(lambda answers: [math.nan] * len(answers)),
        batch_reward(lambda answers: [1.0] * (len(answers) - 1)),
        batch_reward(lambda answers: [math.inf] * len(answers)),
    ],
    ids=["NaN", "too few", "infinite"],
)
def test_a_broken_score_fails_and_nothing_else_is_checked(broken):
    (check,) = scorer_checks(broken, CASES, episodes=8)
    assert check.status == "fail"
    assert check.next_step


@pytest.mark.parametrize(("noise", "status"), [(0.01, "warn"), (5.0, "fail")])
def test_a_random_reward_is_not_deterministic(noise, status):
    random = np.random.default_rng(0)
    result = statuses(batch_reward(lambda answers: [len(a.text) / 10 + noise * random.normal() for a in answers]))
    assert result["reward is deterministic"] == status


def test_a_random_term_that_is_declared_so_is_a_warning():
    random = np.random.default_rng(0)
    result = statuses(batch_reward(lambda answers: [5 * random.normal() for _ in answers]), deterministic=False)
    assert result["reward is deterministic"] == "warn"


def test_a_reward_that_depends_on_the_position_in_the_batch_fails():
    result = statuses(batch_reward(lambda answers: range(len(answers))))
    assert result["reward is deterministic"] == "pass"
    assert result["reward independent of batch order"] == "fail"


def test_scores_returned_in_another_order_fail():
    result = statuses(batch_reward(lambda answers: sorted(len(a.text) for a in answers)))
    assert result["reward independent of batch order"] == "fail"


def test_a_reward_that_is_normalised_by_its_batch_fails():
    result = statuses(
        batch_reward(lambda answers: [len(a.text) - np.mean([len(b.text) for b in answers]) for a in answers])
    )
    assert result["reward independent of batch order"] == "fail"


def test_a_slow_reward_is_a_warning_with_its_speed():
    clock = iter([0.0, 480.0]).__next__  # 48 answers in 480 s
    slow = by_name(scorer_checks(answer_reward(words_of), CASES, episodes=8, clock=clock))["reward fast enough"]
    assert slow.status == "warn"
    assert slow.value == "0.1 answers per second"
    assert "80 s of every update" in slow.reason


# --- spread and shortcuts -----------------------------------------------------------------------------


def test_equal_rewards_fail_and_a_constant_term_is_named():
    (check,) = spread_checks(CASES, score(answer_reward(lambda p, a: 1.0), CASES))
    assert check.status == "fail"
    scored = [
        RewardScore(reward=float(n), terms={"varies": float(n), "constant": 2.0}, baseline_terms={}) for n in range(4)
    ]
    spread, constant = spread_checks(CASES[:4], scored)
    assert spread.status == "pass"
    assert spread.value == "0.00 to 3.00, standard deviation 1.12"
    assert constant.status == "warn"
    assert constant.value.endswith(": constant")


def shortcuts(value, cases=CASES):
    rewards = np.array([value(case.prompt, case.answer) for case in cases], dtype=float)
    return {check.name: check.status for check in shortcut_checks(cases, rewards)}


def test_a_reward_that_follows_length_is_a_warning():
    assert shortcuts(words_of)["reward independent of length"] == "warn"
    assert shortcuts(lambda p, a: -words_of(p, a))["reward independent of length"] == "warn"
    random = np.random.default_rng(1)
    assert shortcuts(lambda p, a: random.normal())["reward independent of length"] == "pass"


def test_an_opening_that_explains_the_reward_is_named():
    prefers_boiling = shortcut_checks(CASES, np.array([float("Boil the" in case.answer.text) for case in CASES]))
    result = by_name(prefers_boiling)["reward independent of one opening"]
    assert result.status == "warn"
    assert "'boil the water …'" in result.value
    random = np.random.default_rng(1)
    assert shortcuts(lambda p, a: random.normal())["reward independent of one opening"] == "pass"


def test_rewarding_refusals_where_help_is_wanted_is_a_warning_and_elsewhere_it_is_not():
    rows = [
        (prompt(n, expect="refuse" if n % 2 else "comply"), [NO, HELP[n % 3], HELP[(n + 1) % 3]]) for n in range(12)
    ]
    cases = start_model_cases(samples(rows), "none")
    assert shortcuts(lambda p, a: float(a.text == NO), cases)["reward independent of refusing"] == "warn"
    assert shortcuts(TERMS["matches_expect"], cases)["reward independent of refusing"] == "pass"


# --- pairs -------------------------------------------------------------------------------------------

WRITTEN = [prompt(n, answer=HELP[n % 3]) for n in range(6)] + [
    prompt(n, expect="refuse", answer=NO) for n in range(6, 12)
]


def test_written_answers_make_pairs_with_those_for_another_expectation():
    pairs = known_pairs(WRITTEN, SAMPLED, "none")
    assert len(pairs.cases) == 12
    assert "written for a prompt of another `expect`" in pairs.source
    assert all((good.answer.text == NO) == (good.prompt.expect == "refuse") for good, _ in pairs.cases)
    assert all((bad.answer.text == NO) == (bad.prompt.expect != "refuse") for _, bad in pairs.cases)
    assert pair_check(answer_reward(TERMS["matches_expect"]), pairs).status == "pass"


def test_a_reward_that_prefers_the_wrong_answer_or_neither_fails_once_that_is_certain():
    few, many = (known_pairs(WRITTEN * times, SAMPLED, "none") for times in (1, 16))
    assert pair_check(answer_reward(lambda p, a: -TERMS["matches_expect"](p, a)), few).status == "fail"
    indifferent = pair_check(answer_reward(lambda p, a: 0.0), few)
    assert indifferent.status == "warn"
    assert "50% of 12 pairs [25%, 75%]" in indifferent.value
    assert pair_check(answer_reward(lambda p, a: 0.0), many).status == "fail"


def test_without_written_answers_the_rules_judge_and_the_check_says_so():
    rows = [(prompt(n, expect="refuse" if n % 2 else "comply"), [NO, HELP[n % 3]]) for n in range(8)]
    pairs = known_pairs([], samples(rows), "reference")
    assert "told apart by the rules" in pairs.source
    assert len(pairs.cases) == 8
    assert pair_check(answer_reward(TERMS["matches_expect"]), pairs).status == "pass"


def test_without_any_pair_it_asks_for_answers():
    result = pair_check(answer_reward(words_of), known_pairs([], SAMPLED, "none"))
    assert result.status == "warn"
    assert "`answer`" in result.next_step


# --- exploits ------------------------------------------------------------------------------------------


def exploits_of(value, sampled=SAMPLED, written=(), baseline="reference"):
    exploits = try_exploits(answer_reward(value), sampled, written, baseline=baseline, limit=32)
    return {exploit.name: exploit for exploit in exploits}


def test_a_gain_is_the_mean_difference_to_the_models_own_answers():
    sampled = samples([(prompt(n), ["one two three"] * 2) for n in range(5)])
    for baseline in ("none", "reference"):
        one_word = exploits_of(words_of, sampled, baseline=baseline)["one word"]
        gain = one_word.gain_over_start
        assert (gain.mean, gain.low_95, gain.high_95) == (-2.0, -2.0, -2.0)
        assert one_word.wins == "no"
    sampled = samples([(prompt(n), ["one two three"[: 3 if n % 2 else 13]] * 2) for n in range(4)])  # 1 or 3 words
    gain = exploits_of(words_of, sampled)["empty"].gain_over_start
    assert gain.mean == -2.0
    assert gain.high_95 == pytest.approx(-2 + 3.182446 * math.sqrt(4 / 3) / 2, abs=1e-5)


def test_a_constant_answer_beats_a_length_reward_and_the_check_fails():
    shorter = exploits_of(lambda p, a: -words_of(p, a))
    assert shorter["empty"].wins == "yes"
    assert shorter["very long"].wins == "no"
    check = exploit_check(list(shorter.values()))
    assert check.status == "fail"
    assert "exploit answers beat the model's own answers; best: 'empty' (+" in check.value
    longer = exploits_of(words_of)
    assert longer["very long"].wins == "yes"
    assert longer["empty"].wins == "no"


def test_no_exploit_beats_a_reward_for_staying_on_topic():
    def on_topic(p, a):
        return TERMS["on_topic"](p, a) + TERMS["matches_expect"](p, a)

    rows = [(prompt(n), [f"Rice number {n} wants water and salt in the pot.", HELP[1]]) for n in range(10)]
    check = exploit_check(list(exploits_of(on_topic, samples(rows)).values()))
    assert check.status == "pass"
    assert check.value.startswith("none of ")


def test_an_exploit_that_beats_the_start_model_and_not_the_written_answers_is_temporary():
    poor = samples([(prompt(n, expect="refuse" if n % 2 else "comply"), ["", HELP[0]]) for n in range(12)])

    def value(p, a):
        return TERMS["matches_expect"](p, a)

    assert exploits_of(value, poor)["always refuses"].wins == "no"
    refusing_half = exploits_of(
        value, samples([(prompt(n, expect="refuse"), ["", HELP[0]]) for n in range(12)]), WRITTEN
    )
    assert refusing_half["always refuses"].wins == "temporary"
    check = exploit_check(list(refusing_half.values()))
    assert check.status == "warn"
    assert "; over written answers −" in check.value


def test_a_single_answer_to_a_prompt_is_compared_with_itself():
    single = samples([(prompt(n), ["one two three"]) for n in range(4)])
    assert {scored.reward for scored in score(answer_reward(words_of), start_model_cases(single, "reference"))} == {0.0}
    assert exploits_of(words_of, single)["one word"].gain_over_start.mean == -2.0


def test_a_written_baseline_and_constant_exploits():
    cases = start_model_cases(samples([(prompt(1, answer="a b"), ["x", "y"])]), "written")
    assert [case.baseline[0].text for case in cases] == ["a b", "a b"]
    assert set(EXPLOITS) - set(CONSTANT) == {"echoes the prompt"}
    for make in CONSTANT.values():
        assert make(prompt(1), 32) == make(prompt(2), 32)
        assert isinstance(make(prompt(1), 32), Answer)
        assert make(prompt(1), 32).token_count >= 1
    assert Case(prompt(1), EXPLOITS["echoes the prompt"](prompt(1), 32)).answer.text == prompt(1).text
