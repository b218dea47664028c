"""What best-of-n of hand-made answers would do: rewards, behaviour, openings, and the sentences about them."""

import numpy as np
import pytest

from ppo_cli.experiment.load import load_experiment
from ppo_cli.preflight.best_of_samples import (
    bend,
    best_of_check,
    best_of_curve,
    common_openings,
    compare_best_of,
    worse_behaviours,
)
from ppo_cli.preflight.rehearse import conclusion, rewarded_answers
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers, RewardScore

NO = "I'm sorry, but I can't help with that."
HELP = ["Boil the water for five minutes.", "Put the rice in a pot with salt.", "Take the first train to the coast."]
STOCK = "This could be a classic example of number"


def samples(texts, count=12):
    """The same answers to every prompt, with the number of the prompt after them; every third should be refused."""
    prompts = [
        Prompt(
            id=f"p{n:02d}", text=f"how do I cook rice {n}", expect="comply" if n % 3 else "refuse", category="plain.x"
        )
        for n in range(count)
    ]
    return PromptAnswers(
        prompts=tuple(prompts),
        answers=tuple(
            tuple(Answer(text=f"{text} {n}.", token_count=8, finish="eos") for text in texts) for n in range(count)
        ),
    )


@pytest.fixture
def experiment(tiny_config):
    return load_experiment(tiny_config, ["evaluation.primary=refusal.safe", "evaluation.smallest_effect=5"]).experiment


def test_the_curve_gives_reward_gain_and_share_for_each_n():
    rewards = np.tile([[0.0, 0.0, 0.0, 1.0]], (10, 1))
    curve = best_of_curve(rewards)
    assert [row.n for row in curve] == [1, 2, 4]
    assert [row.reward for row in curve] == pytest.approx([0.25, 0.5, 1.0])
    assert [row.gain.mean for row in curve] == pytest.approx([0.0, 0.25, 0.75])
    assert [row.share for row in curve] == pytest.approx([0.0, 1 / 3, 1.0])


def test_the_curve_bends_where_most_of_the_gain_is_there(experiment):
    early = best_of_curve(np.tile([[0.0, 1.0] * 8], (10, 1)))
    late = best_of_curve(np.tile([[0.0] * 15 + [1.0]], (10, 1)))
    flat = best_of_curve(np.zeros((10, 16)))
    assert (bend(early).n, bend(late).n, bend(flat)) == (4, 16, None)
    assert "from 0.6 to about 3.7 is worth asking for" in conclusion(early, bend(early), experiment)
    assert "does not bend up to a KL of 1.84 nats" in conclusion(late, bend(late), experiment)
    assert "no kl.target helps" in conclusion(flat, None, experiment)
    with_target = experiment.model_copy(update={"kl": experiment.kl.model_copy(update={"target": 2.5})})
    assert conclusion(early, bend(early), with_target).endswith("This config has kl.target = 2.5.")


def test_the_behaviour_of_the_best_rewarded_answers_beside_all_of_them(experiment):
    answers = samples([HELP[0], NO, HELP[1], HELP[2]])
    rewards = np.tile([[0.0, 1.0, 0.0, 0.0]], (12, 1))
    comparison = compare_best_of(answers, rewards, 4, experiment)
    change = next(change for change in comparison.changes if change.name == "refusal.safe")
    assert (change.before, change.after, change.prompts) == (0.25, 1.0, 8)
    assert {change.name for change in comparison.changes}.isdisjoint({"consistency.refusal", "kl.per_answer"})
    by_two = compare_best_of(answers, rewards, 2, experiment)
    assert next(change for change in by_two.changes if change.name == "refusal.safe").after == 0.5


def test_a_behaviour_that_gets_worse_is_named(experiment):
    answers, rewards = samples([HELP[0], NO, HELP[1], HELP[2]], 36), np.tile([[0.0, 1.0, 0.0, 0.0]], (36, 1))
    sentences = worse_behaviours(compare_best_of(answers, rewards, 4, experiment))
    assert any("refusal of safe prompts" in sentence and "do worse" in sentence for sentence in sentences)
    better = np.array([[0.0, 1.0 if p.expect == "refuse" else -1.0, 0.0, 0.0] for p in answers.prompts])
    assert worse_behaviours(compare_best_of(answers, better, 4, experiment)) == []


def test_an_opening_that_becomes_common_among_the_best_paid_is_named():
    answers = samples([*HELP, STOCK])
    rewards = np.tile([[0.0, 0.1, 0.2, 1.0]], (12, 1))
    assert common_openings(answers, rewards) == [
        "An opening becomes common: 'this could be …' begins 100 % of the highest-rewarded answers, 25 % of all."
    ]
    assert common_openings(answers, np.random.default_rng(1).normal(size=(12, 4)).round(3)) == []


def test_one_or_two_answers_make_no_opening_common():
    answers = samples([*HELP, STOCK], 3)
    assert common_openings(answers, np.tile([[0.0, 0.1, 0.2, 1.0]], (3, 1))) == []


def test_refusals_of_what_should_be_refused_may_begin_alike():
    answers = samples([*HELP, NO])
    rewards = np.array(
        [[0.0, 0.0, 0.0, 1.0] if p.expect == "refuse" else [1.0, 0.0, 0.0, 0.0] for p in answers.prompts]
    )
    assert all("sorry" not in sentence for sentence in common_openings(answers, rewards))


def test_the_line_of_sft_check_warns_of_stock_phrases_and_passes_without(experiment):
    answers, rewards = samples([*HELP, STOCK], 24), np.tile([[0.0, 0.1, 0.2, 1.0]], (24, 1))
    check = best_of_check(answers, rewards, experiment, "my.yaml")
    assert check.status == "warn"
    assert "this could be" in check.value
    assert check.value.startswith("best of 4: reward +0.68 over an average answer")
    assert "rehearse my.yaml" in check.next_step
    spread = np.array([np.roll([1.0, 0.1, 0.2, 0.0], n) for n in range(24)])
    assert (
        best_of_check(samples([*HELP, "Use a large pan for this."], 24), spread, experiment, "my.yaml").status == "pass"
    )


def test_the_best_and_worst_rewarded_answers_are_of_different_prompts():
    answers = samples([*HELP, STOCK], 12)
    rewards = np.arange(48, dtype=float).reshape(12, 4) ** 2
    scored = [RewardScore(reward=value, terms={"t": value}, baseline_terms={}) for value in rewards.ravel()]
    best = rewarded_answers(answers, scored, rewards, best=True)
    worst = rewarded_answers(answers, scored, rewards, best=False)
    assert (best[0].prompt_id, best[0].reward, best[0].terms) == ("p11", 47.0**2, {"t": 47.0**2})
    assert best[0].gain == pytest.approx(47**2 - np.mean(rewards[11]))
    assert worst[0].answer == f"{HELP[0]} 11."
    assert len({paid.prompt_id for paid in best}) == len(best) == 10
