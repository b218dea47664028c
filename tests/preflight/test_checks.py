"""The other preflight checks: reward signal, prompt sets, and what a run takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppo_cli.errors import CheckFailedError
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.preflight.enforce import enforce_passed
from ppo_cli.preflight.measured_cost import cost_checks
from ppo_cli.preflight.prompt_checks import diversity_checks, overlap_check, power_checks
from ppo_cli.preflight.reward_signal import reward_signal_checks
from ppo_cli.prompts.leakage import overlaps
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers
from ppo_cli.records.checks import Check, worst
from ppo_cli.records.results import Cost

NO = "I'm sorry, but I can't help with that."
YES = "Put the kettle on and wait for it."
THINGS = "kettle violin harbour ladder pigeon candle carpet mirror lantern compass barrel saddle".split()
PLACES = "attic garden station museum bakery forest island tunnel".split()


def prompts(count, expect="comply", category="plain.x"):
    return [
        Prompt(
            id=f"{expect}-{n}",
            text=f"where is the {THINGS[n % 12]} of the {PLACES[n // 12 % 8]}",
            expect=expect,
            category=category,
        )
        for n in range(count)
    ]


def samples(rows):
    return PromptAnswers(
        prompts=tuple(prompt for prompt, _ in rows),
        answers=tuple(tuple(Answer(text=text, token_count=8, finish="eos") for text in texts) for _, texts in rows),
    )


def by_name(checks):
    return {check.name: check for check in checks}


# --- reward signal ----------------------------------------------------------------------------


def signal(rewards, rows=None):
    rewards = np.asarray(rewards, dtype=float)
    rows = rows or [(prompt, [YES] * rewards.shape[1]) for prompt in prompts(len(rewards))]
    return {name: check.status for name, check in by_name(reward_signal_checks(samples(rows), rewards)).items()}


def test_answers_that_differ_in_reward_pass():
    assert set(signal([[0, 1, 0, 0], [1, 0, 1, 1]] * 10).values()) == {"pass"}


@pytest.mark.parametrize(("differing", "status"), [(0, "fail"), (1, "warn"), (5, "pass")])
def test_the_share_of_prompts_whose_answers_differ(differing, status):
    rewards = [[0, 1]] * differing + [[0, 0], [1, 1]] * 5
    assert signal(rewards)["answers to one prompt differ in reward"] == status


@pytest.mark.parametrize(
    ("good", "status"), [(0, "fail"), (1, "fail"), (2, "pass"), (98, "pass"), (99, "fail"), (100, "fail")]
)
def test_the_base_rate_has_to_lie_between_2_and_98_percent(good, status):
    assert signal([[1.0]] * good + [[0.0]] * (100 - good))["base rate of high rewards"] == status


@pytest.mark.parametrize(("refusing", "status"), [(0, "fail"), (1, "pass"), (20, "pass")])
def test_a_behaviour_that_never_occurs_fails(refusing, status):
    rows = [(p, [NO if n < refusing else YES, YES]) for n, p in enumerate(prompts(24, "refuse"))]
    assert signal([[0, 1]] * 24, rows)["refuses where it should"] == status


def test_with_few_answers_a_behaviour_need_not_occur():
    rows = [(p, [YES, YES]) for p in prompts(5, "refuse")]
    assert signal([[0, 1]] * 5, rows)["refuses where it should"] == "pass"


# --- prompt sets -------------------------------------------------------------------------------------


def test_an_overlap_of_evaluation_and_training_fails():
    learnt = prompts(12)
    assert overlap_check(overlaps(prompts(12, "any"), learnt)).status == "fail"
    other = [Prompt(id="e", text="which river flows through seven cities")]
    assert overlap_check(overlaps(other, learnt)).status == "pass"


def diversity(train, evaluation):
    return {name: check.status for name, check in by_name(diversity_checks(train, evaluation)).items()}


def test_diverse_and_separate_sets_pass():
    elsewhere = [Prompt(id="e", text="which river flows through seven cities")]
    words = [f"{a} {b}" for a in THINGS for b in PLACES]
    wide = [Prompt(id=str(n), text=text) for n, text in enumerate(words[::9])]
    assert set(diversity(wide[:14], elsewhere).values()) <= {"pass", "warn"}
    single = [Prompt(id=str(n), text=f"{thing} please") for n, thing in enumerate([*THINGS, *PLACES])]
    assert diversity(single, elsewhere)["no repeated training prompts"] == "pass"
    assert diversity(single, elsewhere)["evaluation prompts differ from training"] == "pass"
    many = [Prompt(id=str(n), text=f"{a} {b}") for n, (a, b) in enumerate(zip(THINGS, reversed(THINGS), strict=True))]
    distinct = [Prompt(id=f"d{n}", text=word) for n, word in enumerate([*THINGS, *PLACES])]
    assert diversity(distinct, elsewhere)["enough training topics"] == "pass"
    assert many


def test_one_topic_repeated_prompts_and_shuffled_words_are_warnings():
    repetitive = [Prompt(id=str(n), text="where is the kettle of the attic" + " now" * (n % 2)) for n in range(20)]
    shuffled = [Prompt(id="e", text="of the attic where is the kettle")]
    result = diversity(repetitive, shuffled)
    assert result["enough training topics"] == "warn"
    assert result["no repeated training prompts"] == "warn"
    assert diversity(prompts(12), [Prompt(id="e", text="the kettle of the attic: where is")])[
        "evaluation prompts differ from training"
    ] in ("warn", "pass")


def settings(smallest):
    return Evaluation(primary="refusal.safe", smallest_effect=smallest)


def refusing_half():
    return samples([(p, [NO if n % 2 else YES, NO if n % 4 else YES]) for n, p in enumerate(prompts(40))])


def test_too_few_prompts_for_the_effect_are_a_warning_with_the_number_that_would_do():
    result = by_name(power_checks(refusing_half(), prompts(40), settings(5)))["enough prompts for the effect"]
    assert result.status == "warn"
    assert "Use about" in result.next_step
    enough = by_name(power_checks(refusing_half(), prompts(40), settings(90)))["enough prompts for the effect"]
    assert enough.status == "pass"


def test_four_times_the_prompts_show_half_the_effect():
    def shown(count):
        result = by_name(power_checks(refusing_half(), prompts(count), settings(5)))
        return float(result["enough prompts for the effect"].value.split()[4])

    assert shown(24) == pytest.approx(2 * shown(96), rel=0.1)


def test_the_second_prompt_of_a_pair_that_is_answered_alike_shows_nothing_more():
    """Forty prompts, and the same forty twice as pairs whose two answers are the same."""
    single = prompts(40)
    pairs = [replace(prompt, id=f"{prompt.id}{side}", pair_id=prompt.id) for prompt in single for side in "ab"]
    answers = {prompt.id: [NO if n % 2 else YES] for n, prompt in enumerate(single)}

    def shown(of, cluster=None):
        start = samples([(prompt, answers[prompt.pair_id or prompt.id]) for prompt in of])
        chosen = settings(5).model_copy(update={"cluster": cluster})
        return by_name(power_checks(start, of, chosen))["enough prompts for the effect"]

    alone, together, ignored = shown(single), shown(pairs, "pair_id"), shown(pairs)
    assert together.value.startswith("80 prompts in 40 clusters (pair_id) can show ")
    assert together.value.split(" can show ")[1] == alone.value.split(" can show ")[1]
    assert float(ignored.value.split()[4]) < 0.75 * float(alone.value.split()[4])
    assert "values of pair_id" in together.next_step


def test_each_stratum_has_its_detectable_change():
    sets = [*prompts(90), *prompts(5, "refuse", "unsafe.y")]
    result = by_name(power_checks(refusing_half(), sets, settings(0.3)))["enough prompts per stratum"]
    assert result.status == "warn"
    assert "plain 90: ±" in result.value
    assert "unsafe" in result.next_step
    assert "plain" not in result.next_step


# --- what the run will take --------------------------------------------------------------------------

COST = Cost(
    episodes=64,
    seconds=120.0,
    memory_gb=0.1,
    disk_gb=0.1,
    device="cpu",
    gflops=None,
    parts={"updates": 100.0, "rest": 20.0},
)


def test_a_run_that_fits_and_one_that_does_not():
    fits = by_name(cost_checks(COST, Path("runs/not/yet")))
    assert {check.status for check in fits.values()} == {"pass"}
    assert "83% for updates" in fits["time"].reason
    large = by_name(cost_checks(replace(COST, memory_gb=1e6, disk_gb=1e9), Path("runs")))
    assert (large["memory"].status, large["disk"].status) == ("warn", "fail")


# --- enforcing ----------------------------------------------------------------------------------------


def check(status):
    return Check(name=status, status=status, value="7", threshold="8", reason="nine", next_step="Do ten.")


def test_a_failed_check_ends_the_command_unless_it_is_forced():
    events = []
    assert enforce_passed([check("pass"), check("warn")], False, events.append) == ()
    with pytest.raises(CheckFailedError, match="fail: 7, expected 8: nine") as error:
        enforce_passed([check("pass"), check("fail")], False, events.append)
    assert "Do ten." in error.value.next_step
    assert "--force" in error.value.next_step
    assert enforce_passed([check("fail"), check("warn")], True, events.append) == ("fail",)
    assert [event.level for event in events] == ["warning"]


def test_the_worst_check_is_the_verdict():
    assert worst([]) == "pass"
    assert worst([check("pass"), check("warn")]) == "warn"
    assert worst([check("warn"), check("fail"), check("pass")]) == "fail"
