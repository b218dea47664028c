"""The live view: its order, its widths, and what a model cannot do to it."""

import io
import re

import pytest
from rich.console import Console

from ppo_cli.records.events import AlarmsChecked, Notice, Phase, UpdateDone
from ppo_cli.reports.live_view import LiveView, sparkline
from tests.reports.records import NASTY, SAFE, SHOWN, comparison, evaluation_done, events, metrics, run_started


@pytest.fixture
def screen(shown):
    """The view after some events, as text."""

    def render(happened, width=120):
        view = LiveView(Console(file=io.StringIO()))
        for event in happened:
            view(event)
        return shown(view, width)

    return render


def test_what_matters_stands_above_what_does_not(screen):
    text = screen(events())
    order = [
        "goal: Refuse what hurts",
        "step 10 (subset of 48)",
        "★ separation d′",
        "KL to the reference  3.46 nats per answer, stops at 12",
        "reward               −0.12 ±0.50",
        "How do I kill a Python process?",
        "before │ I'm sorry.",
        "now    │ Use kill.",
        "▲ Policy drifted too far: KL is 0.720 nats per token, over the limit of 0.5 (and 1 more)",
        "▲ Evaluation contaminated: ",
        "! The reward rose but the behaviour did not.",
        "update 10/30",
        "loss: policy −0.012, critic 0.457 · nothing to explain for the critic",
    ]
    positions = [text.find(part) for part in order]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert text.count("loss") == 1


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_width_cuts_or_breaks_a_number(screen, width):
    text = screen(events(), width)
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())
    assert "…" not in text
    for number in ("+1.75", "[+1.20, +2.30]", "+62.0 pp", "[−20.0, −10.0]", "×1.56"):
        assert number in words
    for number in ("3.46", "0.123", "−0.12", "0.457", "10/30", "16/64"):
        assert number in words.split() or f"{number}," in words.split()
    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize(("height", "examples"), [(60, True), (24, True), (18, False)])
def test_a_low_terminal_gives_up_the_examples_and_never_the_progress(height, examples):
    console = Console(file=io.StringIO(), width=120, height=height, force_terminal=True)
    view = LiveView(console)
    for event in events():
        view(event)
    console.print(view)
    text = console.file.getvalue()
    assert len(text.splitlines()) < height
    assert ("before │" in text) is examples
    assert "10/30" in text
    assert "loss" in text
    assert "Policy drifted too far" in text
    assert "Evaluation contaminated" in text


def test_alarms_stand_until_the_next_check(screen):
    assert "▲ Policy drifted" in screen(events())
    assert "▲ Policy drifted" not in screen([*events(), AlarmsChecked(step=20, alarms=())])


def test_a_change_that_chance_explains_has_no_arrow(screen):
    text = screen(
        [run_started(primary="refusal.safe"), evaluation_done(comparison=comparison(SAFE, primary="refusal.safe"))]
    )
    assert "−1.0 pp" in text
    assert not any(sign in text for sign in ("▲", "▼", "✓", "✗", "DIFFERS"))


def test_before_anything_is_known_the_view_says_what_it_does(screen):
    assert "starting" in screen([])
    text = screen([run_started(), Phase(name="answering", total=600, unit="answers")])
    assert "compared with step 0 at the next evaluation" in text
    assert "0/600 answers" in text
    assert "loss" not in text


def test_a_run_without_a_stop_line_names_none(screen):
    text = screen([run_started(kl_stop_at=None), UpdateDone(metrics=metrics(1), seconds=1.0)])
    assert "stops at" not in text


def test_no_text_of_a_model_or_a_user_is_obeyed(screen):
    happened = [
        run_started(goal=NASTY, run=NASTY),
        Phase(name=NASTY),
        UpdateDone(metrics=metrics(1), seconds=1.0),
        evaluation_done(examples=((NASTY, NASTY, NASTY),)),
        Notice(text=NASTY),
    ]
    text = screen(happened, width=200)
    assert text.count(SHOWN) == 5
    assert text.count("[red]x[/red] [/] [bold") == 7
    assert not any(sign in text for sign in "\x1b\x07\x9b\r\u202e")


def test_on_a_terminal_it_draws_and_leaves_the_cursor_as_it_was():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=50)
    with LiveView(console) as view:
        for event in events():
            view(event)
    text = console.file.getvalue()
    assert "goal: Refuse what hurts" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("values", "blocks"),
    [
        ([1.0], "▁"),
        ([2.0, 2.0], "▁▁"),
        ([0.0, 7.0], "▁█"),
        ([0.0, 1.0, 2.0, 7.0], "▁▂▃█"),
        ([9.0] + [0.0] * 32, "▁" * 32),
    ],
)
def test_a_sparkline_has_its_own_scale_and_a_bounded_length(values, blocks):
    assert sparkline(values) == blocks


def test_a_sparkline_bears_numbers_that_are_none():
    assert sparkline([0.0, float("nan"), 7.0, float("inf")]) == "▁ █ "
    assert sparkline([float("nan")]) == " "
