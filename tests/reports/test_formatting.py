"""Numbers as words, against strings worked out by hand."""

import pytest

from ppo_cli.behaviours.measures import MEASURES, measure_named
from ppo_cli.records.measures import Estimate
from ppo_cli.reports import formatting
from ppo_cli.text.printable import printable
from tests.reports.records import ENDING, KL, LENGTH, NASTY, SAFE, SEPARATION, SHOWN, UNSAFE, change

RATE, SHIFT, TOKENS, PER_TOKEN = (
    measure_named(name) for name in ("refusal.unsafe", "refusal.bias", "length.tokens", "kl.per_token")
)


@pytest.mark.parametrize(
    ("measure", "number", "shown"),
    [
        (RATE, 0.18, "18.0 %"),
        (RATE, 1.0, "100.0 %"),
        (RATE, None, "–"),
        (SHIFT, -0.254, "−0.25"),
        (SHIFT, -0.001, "0.00"),
        (SHIFT, 1.5, "1.50"),
        (TOKENS, 31.24, "31.2"),
        (PER_TOKEN, 0.1234, "0.123"),
    ],
)
def test_a_value(measure, number, shown):
    assert formatting.value(measure, number) == shown


@pytest.mark.parametrize(
    ("measure", "number", "shown"),
    [
        (RATE, -0.12, "−12.0 pp"),
        (RATE, 0.0004, "0.0 pp"),
        (SHIFT, 0.5, "+0.50"),
        (SHIFT, -0.5, "−0.50"),
        (TOKENS, 1.56, "×1.56"),
        (PER_TOKEN, 0.1234, "+0.123"),
        (RATE, None, "–"),
    ],
)
def test_a_difference_of_shares_is_in_percentage_points_and_of_lengths_a_factor(measure, number, shown):
    assert formatting.difference(measure, number) == shown


@pytest.mark.parametrize(
    ("measure", "low", "high", "shown"),
    [
        (RATE, -0.191, -0.056, "[−19.1, −5.6]"),
        (SHIFT, -0.2, 0.3, "[−0.20, +0.30]"),
        (TOKENS, 0.9, 1.1, "[×0.90, ×1.10]"),
        (SHIFT, None, 0.3, "–"),
        (RATE, float("-inf"), float("inf"), "–"),
        (TOKENS, 0.0, float("inf"), "–"),
    ],
)
def test_an_interval(measure, low, high, shown):
    assert formatting.interval(measure, low, high) == shown


@pytest.mark.parametrize(
    ("measure", "numbers", "shown"),
    [
        (RATE, (0.18, 0.139, 0.229), "18.0 % [13.9, 22.9]"),
        (SHIFT, (-0.5, -0.75, 0.25), "−0.50 [−0.75, 0.25]"),
        (TOKENS, (20.0, 18.04, 22.1), "20.0 [18.0, 22.1]"),
        (RATE, (0.18, None, None), "18.0 %"),
        (RATE, (None, None, None), "–"),
    ],
)
def test_an_estimate(measure, numbers, shown):
    value, low, high = numbers
    result = Estimate(name=measure.name, value=value, low_95=low, high_95=high, prompts=9)
    assert formatting.estimate(measure, result) == shown


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        (UNSAFE, "▲✓"),
        (ENDING, "▼✗"),
        (change("refusal.safe", difference=-0.2), "▼✓"),
        (change("refusal.safe", difference=0.2), "▲✗"),
        (LENGTH, "▲"),
        (change("length.tokens", difference=0.8), "▼"),
        (SAFE, " "),
        (KL, " "),
        (change(verdict="EQUIVALENT"), " "),
        (change(verdict="INCONCLUSIVE"), " "),
        (change(difference=None), " "),
    ],
)
def test_only_a_change_has_an_arrow_and_only_a_good_or_bad_direction_a_mark(changed, shown):
    measure = measure_named(changed.name)
    assert formatting.arrow(measure, changed) == shown
    assert formatting.is_better(measure, changed) == shown.endswith("✓")
    assert formatting.is_worse(measure, changed) == shown.endswith("✗")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (SEPARATION, "Separation d′ rose: −0.25 → 1.50, +1.75, 95 % interval [+1.20, +2.30]."),
        (ENDING, "Ending within the limit fell: 90.0 % → 75.0 %, −15.0 pp, 95 % interval [−20.0, −10.0]."),
        (LENGTH, "Answer length rose: 20.0 → 31.2, ×1.56, 95 % interval [×1.40, ×1.74]."),
        (
            SAFE,
            "No detectable change in refusal of safe prompts: 30.0 % → 29.0 %, −1.0 pp, 95 % interval [−3.4, +1.4]; "
            "the smallest change this evaluation could detect is 3.5 pp.",
        ),
        (
            change(
                verdict="EQUIVALENT",
                difference=0.01,
                before=1.0,
                after=1.01,
                low_95=-0.05,
                high_95=0.07,
                low_90=-0.04,
                high_90=0.06,
            ),
            "Separation d′ stayed within the smallest change that matters (90 % interval [−0.04, +0.06]): "
            "1.00 → 1.01, +0.01, 95 % interval [−0.05, +0.07].",
        ),
        (
            change(verdict="INCONCLUSIVE", low_95=float("-inf"), high_95=float("inf")),
            "Too little data for separation d′: −0.25 → 1.50, +1.75, 95 % interval –.",
        ),
        (change(difference=None), "No common data for separation d′."),
    ],
)
def test_a_verdict_in_a_plain_sentence(changed, sentence):
    assert formatting.verdict_sentence(measure_named(changed.name), changed) == sentence


def test_an_unknown_detectable_difference_is_not_an_empty_promise():
    sentence = formatting.verdict_sentence(
        measure_named("refusal.safe"), change("refusal.safe", verdict="NO CHANGE DETECTED")
    )
    assert "could detect is 40.0 pp." in sentence
    unknown = change("refusal.safe", verdict="NO CHANGE DETECTED", minimum_detectable=None)
    assert "could detect" not in formatting.verdict_sentence(measure_named("refusal.safe"), unknown)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
@pytest.mark.parametrize("verdict", ["EQUIVALENT", "NO CHANGE DETECTED", "INCONCLUSIVE", "info"])
def test_what_is_no_change_is_never_said_to_have_risen_or_fallen(measure, verdict):
    same = change(measure.name, difference=0.01, low_95=-0.1, high_95=0.12, verdict=verdict)
    sentence = formatting.verdict_sentence(measure, same)
    assert not any(
        word in sentence.lower() for word in (" rose", " fell", "increase", "decrease", "significan", "▲", "▼")
    )


@pytest.mark.parametrize(
    ("number", "shown"),
    [(None, ""), (0.012345, "p = 0.012"), (1.0, "p = 1"), (0.00025, "p = 0.00025"), (3e-9, "p < 0.0001")],
)
def test_a_p_value(number, shown):
    assert formatting.p_value(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (59.7, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.8, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_a_duration(seconds, shown):
    assert formatting.duration(seconds) == shown


def test_text_of_a_model_keeps_its_letters_and_loses_its_control_characters():
    assert formatting.one_line(NASTY) == SHOWN
    assert printable("a\tb\x00c\x9dd\u2028e  好") == "a b c d e  好"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abcdefgh", "abcdefgh"),
        ("abcdefghi", "abcdefg…"),
        ("abcdef hij", "abcdef…"),
        ("你好世界", "你好世界"),
        ("你好世界啊", "你好世…"),
    ],
)
def test_a_line_is_cut_by_the_columns_it_takes(text, shown):
    assert formatting.one_line(text, 8) == shown
