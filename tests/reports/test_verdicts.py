"""What a verdict is called with the seeds behind it, and what leads every headline: a guard that got worse."""

from dataclasses import replace

import pytest
from rich.panel import Panel

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import OverSeeds, PooledArm, PooledChange, SeedNoise, Seeds, SeedSpread
from ppo_cli.records.results import RunSummary
from ppo_cli.records.training import RunState
from ppo_cli.reports import formatting
from ppo_cli.reports.html.page import render
from ppo_cli.reports.markdown import comparison_markdown
from ppo_cli.reports.screens.elements import head_panel
from ppo_cli.reports.screens.show import run_summary_screen
from ppo_cli.reports.screens.train import training_screen
from ppo_cli.reports.seed_noise import single_run_sentence
from ppo_cli.reports.sentences import behaviour_sentences, comparison_sentences
from ppo_cli.reports.verdicts import verdict_label, verdict_words, worse_guards
from tests.reports.html_pages import page
from tests.reports.records import KL, SAFE, SEPARATION, UNSAFE, change, comparison, training_outcome
from tests.reports.test_screens import comparison_outcome, words

HARM = change("refusal.unsafe", before=0.85, after=0.38, difference=-0.47, low_95=-0.55, high_95=-0.39)
EMPTY = change("length.empty", before=0.0, after=0.12, difference=0.12, low_95=0.08, high_95=0.16)
STAYED = change(before=0.93, after=0.95, difference=0.02, low_95=-0.2, high_95=0.24, verdict="NO CHANGE DETECTED")


def seeds(before, after=None, name="refusal.separation", **values):
    after = before if after is None else after
    given = {
        "difference": 0.9,
        "low_95": 0.5,
        "high_95": 1.3,
        "low_90": 0.6,
        "high_90": 1.2,
        "p_value": 0.01,
        "verdict": "CHANGED",
    }
    given["equivalent"] = values.get("verdict") == "EQUIVALENT"
    change = OverSeeds(**{**given, **values})
    return Seeds(
        before=("a",) * before,
        after=("b",) * after,
        seeds=(tuple(range(before)), tuple(range(after))),
        spreads=(
            SeedSpread(name=name, before=(0.1,) * before, after=(1.0,) * after, paired=before == after, change=change),
        ),
        enough=min(before, after) >= 3,
    )


@pytest.mark.parametrize(
    ("of_seeds", "label"),
    [
        (None, "DIFFERS (1 seed)"),
        (seeds(1, 5, low_95=None, high_95=None, low_90=None, verdict="INCONCLUSIVE"), "DIFFERS (1 seed)"),
        (seeds(2), "DIFFERS (2 seeds)"),
        (seeds(2, 3), "DIFFERS (2 seeds)"),
        (seeds(3), "CHANGED"),
        (seeds(5), "CHANGED"),
        (seeds(5, verdict="NO CHANGE DETECTED"), "DIFFERS (5 seeds)"),
        (seeds(5, verdict="EQUIVALENT"), "DIFFERS (5 seeds)"),
        (seeds(5, name="refusal.safe"), "DIFFERS (5 seeds)"),
    ],
)
def test_only_seeds_make_a_difference_a_change(of_seeds, label):
    assert verdict_label(SEPARATION, of_seeds) == label


@pytest.mark.parametrize("verdict", ["NO CHANGE DETECTED", "INCONCLUSIVE", "info"])
def test_other_verdicts_are_the_same_with_any_number_of_seeds(verdict):
    same = replace(SEPARATION, verdict=verdict)
    assert verdict_label(same) == verdict_label(same, seeds(5)) == verdict


@pytest.mark.parametrize(
    ("of_seeds", "label"),
    [
        (None, "EQUIVALENT"),
        (seeds(1, 5, low_95=None, high_95=None, low_90=None, verdict="INCONCLUSIVE"), "EQUIVALENT"),
        (seeds(5, name="refusal.safe"), "EQUIVALENT"),
        (seeds(5, verdict="EQUIVALENT"), "EQUIVALENT"),
        (seeds(5, equivalent=True), "EQUIVALENT"),  # a change, and one that does not matter
        (seeds(2, verdict="NO CHANGE DETECTED"), "NO CHANGE DETECTED"),
        (seeds(5), "NO CHANGE DETECTED"),
    ],
)
def test_settings_are_equivalent_only_where_the_equivalence_test_over_seeds_says_so(of_seeds, label):
    same = replace(SEPARATION, verdict="EQUIVALENT")
    assert verdict_label(same, of_seeds) == label
    words = verdict_words(measure_named(same.name), same, comparison(same), of_seeds)
    assert words == ("EQUIVALENT (±0.30)" if label == "EQUIVALENT" else "not EQUIVALENT over seeds")


def test_several_seeds_lead_with_the_interval_over_seeds():
    sentences = comparison_sentences(comparison_outcome(seed_comparison=seeds(3)))
    assert sentences[0].startswith(
        "CHANGED. Over 3 pairs of one seed: separation d′ +0.90, 95 % t interval over seeds [+0.50, +1.30], p = 0.01."
    )
    assert sentences[0].endswith("More than seed noise: kl.coef made the difference.")
    assert sentences[1].startswith("These checkpoints, over prompts: Separation d′ rose: ")
    two, noisy = (
        comparison_sentences(comparison_outcome(seed_comparison=given))[0]
        for given in (seeds(2), seeds(3, 4, verdict="NO CHANGE DETECTED"))
    )
    assert two.startswith("DIFFERS (2 seeds). Over 2 pairs of one seed: ")
    assert two.endswith("with fewer than 3 seeds per setting no effect of the setting is claimed.")
    assert noisy.startswith("DIFFERS (3 seeds). Over 3 and 4 seeds: ")
    assert "[+0.50, +1.30], Welch p = 0.01. " in noisy
    assert noisy.endswith("Seed noise alone can explain this, which does not show that the settings are alike.")
    alike = replace(SEPARATION, verdict="EQUIVALENT", low_90=-0.1, high_90=0.1)
    same = comparison_outcome(comparison=comparison(alike), seed_comparison=seeds(3, verdict="EQUIVALENT"))
    assert comparison_sentences(same)[0].startswith("EQUIVALENT. Over 3 pairs of one seed: ")
    assert comparison_sentences(same)[0].endswith(
        "The settings are equivalent: 90 % interval [+0.60, +1.20] within ±0.30."
    )


def test_the_change_from_step_0_over_the_seeds_of_each_setting_follows_or_leads_where_there_is_one():
    pooled = PooledChange(before=0.97, after=1.5, seeds=5, change=seeds(5).spreads[0].change)
    two = PooledChange(before=0.97, after=1.5, seeds=2, change=seeds(2).spreads[0].change)
    arms = [PooledArm(name="A", seeds=(1, 2, 3, 4, 5), pooled=pooled), PooledArm(name="B", seeds=(1, 2), pooled=two)]
    found = comparison_sentences(comparison_outcome(seed_comparison=seeds(5, 2), from_start=tuple(arms)))
    assert found[1] == (
        "A: step 0 → last step over 5 seeds: separation d′ 0.97 → 1.50, +0.90, 95 % t interval over seeds "
        "[+0.50, +1.30]. CHANGED."
    )
    assert found[2].startswith("B: step 0 → last step over 2 seeds: ")
    assert found[2].endswith(" DIFFERS (2 seeds).")
    alone = comparison_sentences(comparison_outcome(from_start=(replace(arms[0], name=""),)))
    assert alone[0].startswith("Step 0 → last step over 5 seeds: separation d′ 0.97 → 1.50, ")


@pytest.mark.parametrize(
    ("primary", "deviation", "said"),
    [
        ("refusal.separation", 0.19, "Chance alone moves separation d′ by ±0.19 between seeds (standard deviation of "),
        ("refusal.safe", 0.034, "Chance alone moves refusal of safe prompts by ±3.4 pp between seeds "),
        ("length.tokens", 1.25, "Chance alone moves answer length by ×0.80 to ×1.25 between seeds "),
    ],
)
def test_a_single_run_says_how_much_chance_alone_moves_its_measure(primary, deviation, said):
    noise = SeedNoise(seeds=(1, 2, 3, 4, 5), deviation={primary: deviation}, measured="2026-11-27", recipe="refusal")
    sentence = single_run_sentence(noise, primary)
    assert sentence.startswith(said)
    assert sentence.endswith("(standard deviation of 5 seeds of the recipe refusal, measured 2026-11-27).")
    here = single_run_sentence(replace(noise, recipe="", runs=("a",) * 5), primary)
    assert here.endswith("(standard deviation of 5 seeds of this setting, measured 2026-11-27).")
    assert single_run_sentence(noise, "kl.per_token") is None
    assert single_run_sentence(None, primary) is None


def test_the_end_of_train_says_how_much_chance_alone_moves_the_primary_measure(shown):
    noise = SeedNoise(seeds=(1, 2, 3, 4, 5), deviation={"refusal.separation": 0.19}, measured="2026-11-27")
    said = "Chance alone moves separation d′ by ±0.19 between seeds (standard deviation of 5 seeds of this setting, "
    assert said in words(shown(training_screen(training_outcome(seed_noise=noise))))
    assert "Chance alone" not in words(shown(training_screen(training_outcome())))


@pytest.mark.parametrize(
    ("measure", "smallest", "margin"),
    [
        ("refusal.separation", None, "±0.30"),
        ("refusal.separation", 0.5, "±0.50"),
        ("refusal.safe", 7.5, "±5.0 pp"),  # not the primary: its own margin
        ("length.tokens", None, "×0.90 to ×1.11"),
    ],
)
def test_an_equivalent_stands_with_its_margin(measure, smallest, margin):
    same = change(measure, verdict="EQUIVALENT", difference=0.01, low_90=-0.02, high_90=0.03)
    found = comparison(SEPARATION, same, smallest_effect=smallest)
    assert verdict_words(measure_named(measure), same, found) == f"EQUIVALENT ({margin})"
    assert f"that matters, {margin} (90 %" in formatting.verdict_sentence(measure_named(measure), same, found)


def test_a_primary_share_has_the_margin_of_the_config_in_points():
    same = replace(SAFE, verdict="EQUIVALENT")
    found = comparison(same, primary="refusal.safe", smallest_effect=7.5)
    assert verdict_words(measure_named("refusal.safe"), same, found) == "EQUIVALENT (±7.5 pp)"


@pytest.mark.parametrize(
    ("name", "draws", "shown"),
    [
        ("refusal.separation", 4000, "< 0.00025"),
        ("diversity.distinct_2", 500, "< 0.002"),
        ("diversity.compression", 200, "< 0.005"),
    ],
)
def test_the_smallest_p_value_of_a_swap_test_is_a_bound(name, draws, shown):
    measure = measure_named(name)
    at_least = formatting.is_smallest_p(measure, change(name, p_value=1 / (draws + 1)))
    assert formatting.p_number(1 / (draws + 1), at_least=at_least) == shown
    assert not formatting.is_smallest_p(measure, change(name, p_value=2 / (draws + 1)))
    assert not formatting.is_smallest_p(measure, change(name, p_value=None))


def test_a_corrected_bound_is_rounded_upwards():
    assert formatting.p_number(17 / 4001, at_least=True) == "< 0.0043"


def test_reward_and_kl_are_those_of_the_evaluation_prompts_where_they_were_measured_there(shown):
    reward = change("reward.absolute", before=-0.12, after=0.85, difference=0.97, low_95=0.9, high_95=1.04)
    per_answer = change("kl.per_answer", before=0.0, after=4.35, verdict="info")
    found = comparison(SEPARATION, reward, per_answer, KL)
    text = words(shown(training_screen(training_outcome(comparison=found))))
    assert (
        "Reward on the evaluation prompts, no baseline subtracted: −0.12 → 0.85, +0.97, 95 % interval [+0.90, +1.04]."
    ) in text
    assert (
        "KL(policy ‖ reference), exact, on the evaluation prompts: 4.35 nats per answer, 0.123 nats per token. "
        "kl.coef ended at 0.15."
    ) in text
    assert "3.46" not in text  # the estimate of the last update is another KL


def test_what_could_be_detected_counts_the_measures_that_are_corrected_together():
    measure, stayed = measure_named("refusal.safe"), replace(SAFE, minimum_detectable=0.035)
    others = [replace(stayed, name=name) for name in ("refusal.unsafe", "ending.eos", "length.empty")]
    details = replace(stayed, name="style.lists")
    found = comparison(SEPARATION, stayed, *others, details)
    # z(1 - 0.05 / 8) + z(0.8) over z(0.975) + z(0.8): 3.339 / 2.802
    assert formatting.detectable_change(measure, stayed, found) == "4.2 pp"
    assert verdict_words(measure, stayed, found) == "no change (detectable: 4.2 pp)"
    assert formatting.detectable_change(measure, stayed, comparison(SEPARATION, stayed)) == "3.5 pp"
    assert formatting.detectable_change(measure_named("style.lists"), details, found) == "3.5 pp"
    primary = replace(SEPARATION, verdict="NO CHANGE DETECTED")
    assert formatting.detectable_change(measure_named(primary.name), primary, found) == "0.40"
    length = replace(stayed, name="length.tokens", minimum_detectable=1.1)
    of_four = comparison(SEPARATION, length, *others)
    assert formatting.detectable_change(measure_named("length.tokens"), length, of_four) == "×1.12"


# --- harm leads ----------------------------------------------------------------------------------------


def test_guards_that_got_worse_stand_in_the_order_of_harm_and_the_primary_is_not_among_them():
    found = comparison(STAYED, EMPTY, HARM, KL)
    assert [worse.name for worse in worse_guards(found)] == ["refusal.unsafe", "length.empty"]
    assert worse_guards(comparison(SEPARATION, UNSAFE, SAFE)) == []
    assert worse_guards(comparison(HARM, primary="refusal.unsafe")) == []
    assert worse_guards(comparison(STAYED, replace(HARM, verdict="NO CHANGE DETECTED"))) == []


def test_a_family_has_guards_of_its_own():
    unwanted = change("clarification.unwanted", before=0.1, after=0.4, difference=0.3)
    primary = change("clarification.selectivity")
    assert worse_guards(comparison(primary, unwanted, primary="clarification.selectivity")) == [unwanted]
    assert worse_guards(comparison(STAYED, unwanted)) == []


def test_harm_leads_the_headline_in_red_whatever_the_primary_measure_does(shown):
    for primary in (STAYED, SEPARATION):
        found = comparison(primary, HARM)
        panel = head_panel("x", "goal", behaviour_sentences(found), found)
        assert isinstance(panel, Panel)
        assert panel.border_style == "red"
        text = words(shown(training_screen(training_outcome(comparison=found))))
        assert "WORSE. Refusal of unsafe prompts fell: 85.0 % → 38.0 %, −47.0 pp, 95 % interval [−55.0, −39.0]." in text
        assert text.index("WORSE.") < text.index("DIFFERS (1 seed)" if primary is SEPARATION else "NO CHANGE DETECTED")
        assert "\x1b[1;31mWORSE" in shown(training_screen(training_outcome(comparison=found)), terminal=True)


@pytest.mark.parametrize(
    ("primary", "border"), [(SEPARATION, "green"), (STAYED, "default"), (change(difference=-1.0), "red")]
)
def test_without_harm_the_border_is_that_of_the_primary_measure(primary, border):
    assert head_panel("x", "goal", [], comparison(primary, SAFE)).border_style == border


def test_harm_leads_the_page_and_the_markdown():
    found = comparison(STAYED, HARM, EMPTY)
    text = render(page(comparison=found))
    heading = (
        "refusal: WORSE, refusal of unsafe prompts 85.0 % → 38.0 %; empty answers 0.0 % → 12.0 %. "
        "NO CHANGE DETECTED, separation d′ 0.93 → 0.95"
    )
    assert f"<title>{heading}</title>" in text
    assert f'<h1 dir="auto">{heading}</h1>' in text
    assert '<section class="verdict worse"' in text
    assert '<h2 id="verdict">WORSE. NO CHANGE DETECTED</h2>' in text
    assert '<p class="harm" dir="auto"><strong>WORSE.</strong> Refusal of unsafe prompts fell' in text
    lines = comparison_markdown([comparison_outcome(comparison=found)]).splitlines()
    bullets = [line for line in lines if line.startswith("- ")]
    assert bullets[0].startswith("- **WORSE. Refusal of unsafe prompts fell")


def test_the_page_is_titled_by_experiment_and_verdict_with_model_date_and_duration_below():
    text = render(page(comparison=comparison(SEPARATION, SAFE)))
    assert "<title>refusal: DIFFERS (1 seed), separation d′ −0.25 → 1.50</title>" in text
    for name, value in (
        ("run", "refusal-kl0.15-s1-7f3a9c"),
        ("model", "builtin:smollm2-135m-instruct"),
        ("date", "2026-11-27"),
        ("duration", "7 min 12 s from start to end"),
    ):
        assert f'<div><dt>{name}</dt><dd dir="auto">{value}</dd></div>' in text
    assert ">DIFFERS (1 seed)</td>" in text
    assert ">CHANGED<" not in text


def test_the_summary_of_a_run_has_what_got_worse_and_the_verdict(shown):
    summary = RunSummary(
        state=RunState(id="x-s1", status="finished", started="2026-11-27T06:00:00+00:00", updates_done=30),
        folder="runs/x-s1",
        goal="Refuse what hurts.",
        round=1,
        question="is it controllable",
        updates=30,
        parent_values={},
        step=30,
        partial=False,
        comparison=comparison(SEPARATION, HARM),
        kl=(0.0, 4.35),
        kl_stop_at=12.0,
        reward=(-0.1, 0.5),
        alarms=(),
        files=(),
        next_command="ppo compare a b",
    )
    lines = shown(run_summary_screen(summary), 100).splitlines()
    worse = next(index for index, line in enumerate(lines) if line.startswith("WORSE"))
    assert lines[worse] == "WORSE    refusal of unsafe prompts 85.0 % → 38.0 %"
    assert lines[worse + 1] == "verdict  DIFFERS (1 seed), separation d′ −0.25 → 1.50"
    assert any("0.00 → 4.35 nats per answer in training, stops at 12" in line for line in lines)
    assert any(line.endswith("−0.10 → +0.50 in training") for line in lines)
