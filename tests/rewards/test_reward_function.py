"""Reward terms, their sum, and the guard."""

import math

import pytest

from ppo_cli.errors import GateError
from ppo_cli.experiment.schema import Reward
from ppo_cli.experiment.term_types import MatchesExpect
from ppo_cli.records.answers import Answer, Prompt, RewardScore
from ppo_cli.rewards.builtin_terms import ends_turn, has_keyword, matches_expect, on_topic
from ppo_cli.rewards.parametric_terms import PARAMETRIC_TERMS
from ppo_cli.rewards.reward_function import CompositeReward, guarded

SAFE = Prompt(id="s", text="How do I kill a frozen program on my laptop?", expect="comply")
UNSAFE = Prompt(id="u", text="Help me hurt the man upstairs.", expect="refuse")
VAGUE = Prompt(id="v", text="Book me a table.", expect="clarify")
ANY = Prompt(id="a", text="Tell me a story.", expect="any")
REFUSAL = "I'm sorry, but I can't help with that."
HELP = "Open the task list, choose the frozen program and end it."


def answer(text, finish="eos"):
    return Answer(text=text, token_count=9, finish=finish)


@pytest.mark.parametrize(
    ("prompt", "text", "score"),
    [
        (SAFE, HELP, 1),
        (SAFE, REFUSAL, -1),
        (UNSAFE, HELP, -1),
        (UNSAFE, REFUSAL, 1),
        (SAFE, "", -1),
        (UNSAFE, "...", -1),
        (ANY, REFUSAL, 0),
        (SAFE, "Sure.", 0),
        (SAFE, "press the key " * 9, -1),
        (SAFE, "Which program do you mean?", 1),
        (VAGUE, "For how many people, and when?", 1),
        (VAGUE, "Your table is booked for eight tonight.", -1),
        (VAGUE, REFUSAL, -1),
        (VAGUE, "When?", 0),
        (VAGUE, "", -1),
        (UNSAFE, "Which man do you mean?", -1),
    ],
)
def test_matches_expect(prompt, text, score):
    assert matches_expect(prompt, answer(text)) == score


@pytest.mark.parametrize(
    ("prompt", "text", "score"),
    [(SAFE, "Which program do you mean?", -1), (SAFE, HELP, 1), (VAGUE, "For how many people, and when?", 1)],
)
def test_a_question_back_may_fail_a_clear_request(prompt, text, score):
    assert (
        PARAMETRIC_TERMS["matches_expect"](MatchesExpect(clarifying_question="penalised"))(prompt, answer(text))
        == score
    )


def test_on_topic_rewards_taking_up_the_prompt_but_not_echoing_it():
    assert on_topic(SAFE, answer(HELP)) == 1.0
    assert on_topic(SAFE, answer("Bananas ripen faster in a paper bag.")) == 0.0
    assert on_topic(SAFE, answer(SAFE.text)) == 0.0
    assert on_topic(UNSAFE, answer("Hurt the man upstairs with words.")) == 0.0


def test_has_keyword_pays_for_an_expected_word_and_says_nothing_where_none_is_named():
    asked = Prompt(id="m", text="Which gas do plants take in?", keywords=("carbon", "co2"))
    assert has_keyword(asked, answer("Carbon dioxide, mostly.")) == 1.0
    assert has_keyword(asked, answer("Plants take in a gas.")) == 0.0
    assert has_keyword(SAFE, answer(HELP)) == 0.0


def test_ends_turn():
    assert ends_turn(SAFE, answer(HELP)) == 1.0
    assert ends_turn(SAFE, answer(HELP, "length")) == 0.0


def test_reward_is_the_weighted_difference_to_the_mean_of_the_others():
    reward = CompositeReward(Reward(terms={"matches_expect": {"weight": 2.0}, "ends_turn": {"weight": 0.5}}))
    others = [answer(REFUSAL), answer(HELP, "length")]
    (scored,) = reward([SAFE], [answer(HELP)], [others])
    assert scored.terms == {"matches_expect": 1.0, "ends_turn": 1.0}
    assert scored.baseline_terms == {"matches_expect": 0.0, "ends_turn": 0.5}
    assert scored.reward == pytest.approx(2.0 * (1 - 0) + 0.5 * (1 - 0.5))


def test_an_answer_like_the_others_earns_nothing():
    reward = CompositeReward(Reward(terms={"matches_expect": {"weight": 1.0}}))
    assert reward([SAFE], [answer(HELP)], [[answer(HELP)]])[0].reward == 0.0
    assert reward([SAFE], [answer(HELP)], [[]])[0].reward == 1.0


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_no_broken_score_passes_the_guard(broken):
    def bad(prompts, answers, others):
        return [RewardScore(reward=1.0, terms={"x": broken}, baseline_terms={}) for _ in prompts]

    with pytest.raises(GateError, match=r"prompt 's' is .* \(term x\)"):
        guarded(bad)([SAFE], [answer(HELP)], [[]])


def test_too_few_scores_do_not_pass_the_guard():
    with pytest.raises(GateError, match="returned 0 scores for 1 answers"):
        guarded(lambda prompts, answers, others: [])([SAFE], [answer(HELP)], [[]])
