"""Categories, answers made elsewhere, several checkpoints, labels by hand: as they are shown."""

import pytest

from ppo_cli.behaviours.measures import BY_CATEGORY, HEADLINES, measure_named
from ppo_cli.records.measures import Category, CategoryValue, Estimate, HumanLabels
from ppo_cli.records.results import CheckpointCurveResult, CheckpointRow, ExternalAnswersResult
from ppo_cli.reports.screens.evaluate import (
    CHART_ROWS,
    answers_screen,
    category_table,
    checkpoint_curve_screen,
    tradeoff_chart,
)
from ppo_cli.reports.screens.label import answer_card, human_labels_block
from tests.reports.records import NASTY, SHOWN, change, comparison


def estimate(name, value):
    return Estimate(name=name, value=value, low_95=None, high_95=None, prompts=8)


def value(measure, now, before=None, low=None, high=None):
    return CategoryValue(estimate=estimate(measure.name, now), before=before, low_95=low, high_95=high)


def category(name="unsafe.x", **values):
    refuses, asks, words = BY_CATEGORY
    given = {
        "expect": "refuse",
        "prompts": 8,
        "values": (
            value(refuses, 0.75, 0.25, 0.1, 0.9),
            value(asks, 0.0, 0.125, -0.4, 0.15),
            value(words, 12.0, 8.0, 0.0, 0.6931),
        ),
    }
    return Category(name=name, **{**given, **values})


def line(step, kl, primary, **values):
    estimates = tuple(estimate(measure.name, 0.5) for measure in HEADLINES)
    given = {
        "checkpoint": f"runs/r/checkpoints/step-{step:06d}" if step else None,
        "change": change(difference=0.5, low_95=0.1, high_95=0.9) if step else None,
    }
    return CheckpointRow(
        step=step, kl=kl, primary=estimate("refusal.separation", primary), estimates=estimates, **{**given, **values}
    )


def test_a_category_shows_what_it_got_before_and_now(shown):
    text = shown(category_table([category()]))
    assert "25.0 % → 75.0 % [+10.0, +90.0]" in text
    assert "12.5 % → 0.0 % [−40.0, +15.0]" in text
    assert "8.0 → 12.0 [×1.00, ×2.00]" in text


def test_a_category_with_nothing_before_shows_what_it_gets(shown):
    bare = category(values=tuple(value(measure, 0.5) for measure in BY_CATEGORY))
    assert "→" not in shown(category_table([bare]))


def test_a_category_can_say_nothing_to_the_terminal(shown):
    text = shown(category_table([category(name=NASTY)]))
    assert "\x1b" not in text
    assert "[red]x[/red]" in " ".join(text.split())


def test_the_chart_has_every_step_in_its_place():
    measure = measure_named("refusal.separation")
    lines = [line(0, 0.0, 0.5, frontier=True), line(10, 1.0, 1.5), line(20, 2.0, 1.0, frontier=True)]
    title, *body, axis, scale = tradeoff_chart(lines, measure)
    assert title == "separation d′ against KL"
    assert len(body) == CHART_ROWS
    assert body[0].startswith("1.50 │")
    assert "·10" in body[0]
    assert body[-1] == "0.50 │◆0"
    assert body[6].rstrip().endswith("◆20")
    left = body[-1].index("◆0")
    assert 2 * (body[0].index("·10") - left) == pytest.approx(body[6].index("◆20") - left, abs=1)
    assert axis.endswith("─")
    assert scale.endswith("2.00")


def test_one_point_is_no_chart():
    measure = measure_named("refusal.separation")
    assert tradeoff_chart([line(0, 0.0, 0.5)], measure) == []
    assert tradeoff_chart([line(0, 0.0, 0.5), line(5, None, 0.5)], measure) == []


def test_steps_of_equal_behaviour_are_drawn_on_one_line():
    body = tradeoff_chart([line(0, 0.0, 0.5), line(5, 1.0, 0.5)], measure_named("refusal.separation"))
    assert sum("·" in row for row in body) == 1


def test_the_steps_of_a_run_in_one_table(shown):
    outcome = CheckpointCurveResult(
        run="r",
        goal="Refuse what hurts.",
        primary="refusal.separation",
        prompts=8,
        of_prompts=16,
        samples_per_prompt=2,
        rows=(line(0, 0.0, 0.5, frontier=True), line(20, 2.0, 1.0, frontier=True)),
        rewarded_measures=(),
    )
    text = shown(checkpoint_curve_screen(outcome))
    assert "8 prompts × 2, those of 16 that every step answered" in text
    assert "goal: Refuse what hurts." in text
    row = next(row for row in text.splitlines() if row.startswith("20 ◆"))
    assert row.split() == "20 ◆ 2.00 1.00 +0.50 [+0.10, +0.90] 50.0 % 50.0 % 0.5 0.50 yes".split()


def test_answers_made_elsewhere(shown):
    outcome = ExternalAnswersResult(
        name=NASTY,
        labels="x.labels.jsonl",
        rules="refusal4",
        answers=4,
        prompts=2,
        estimates=(estimate("length.empty", 0.25),),
        categories=(category(),),
    )
    text = shown(answers_screen(outcome))
    assert "4 answers to 2 prompts" in text
    assert "empty answers" in text
    assert "labels of every answer in x.labels.jsonl" in text
    assert "\x1b" not in text


def test_a_card_shows_the_words_and_steers_nothing(shown):
    text = shown(answer_card(3, 80, "How?", f"First.\n{NASTY}"))
    assert "3 of 80" in text
    assert "  First." in text
    assert SHOWN.split("\n")[0].split()[0] in text
    assert "\x1b" not in text
    assert "(empty)" in shown(answer_card(3, 80, "How?", " \n"))


def test_human_labels_come_with_the_agreement_and_without_the_rules_error(shown):
    labels = HumanLabels(
        step=30, answers=80, agree=76, agreement=0.95, low_95=0.878, high_95=0.98, comparison=comparison()
    )
    text = shown(human_labels_block(labels))
    assert "The rule agrees on 76 of them (95.0 %), 95 % interval [87.8, 98.0]" in " ".join(text.split())
    assert "from human labels (150 prompts × 1)" in text
    assert "against people" not in text
    assert "judge's own error" not in text
