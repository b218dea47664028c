"""Plain lines for a pipe."""

import pytest

from ppo_cli.behaviours.refusal_calibration import CALIBRATION
from ppo_cli.records.events import AlarmsChecked, EvaluationDone, Notice, Phase, Progress, UpdateDone
from ppo_cli.reports.formatting import rule_error
from ppo_cli.reports.log_lines import PlainLines
from tests.reports.records import (
    ENDING,
    LENGTH,
    NASTY,
    SAFE,
    SEPARATION,
    SHOWN,
    UNSAFE,
    alarm,
    change,
    comparison,
    evaluation_done,
    events,
    metrics,
    run_started,
)

ERROR = f"{CALIBRATION.rule}: {rule_error(CALIBRATION)}"


@pytest.fixture
def lines_of():
    """The lines that some events write after the start of a run."""

    def write(*happened, **run):
        lines = []
        on_event = PlainLines(lines.append)
        on_event(run_started(**run))
        del lines[:]
        for event in happened:
            on_event(event)
        return lines

    return write


def test_an_update_is_exactly_one_line_with_reward_and_kl(lines_of):
    assert lines_of(UpdateDone(metrics=metrics(10), seconds=32.0)) == [
        "update 10/30  reward −0.12 ±0.50  KL 3.46 nats per answer, 0.123 nats per token  length 28.0 tokens  "
        "ended 75 %  took 32.0 s  about 10 min 40 s left"
    ]


def test_every_update_of_a_run_has_one_line_and_the_loss_none(lines_of):
    lines = lines_of(*events())
    assert [line.split()[1] for line in lines if line.startswith("update ")] == [f"{n}/30" for n in range(1, 11)]
    assert not any("loss" in line or "\n" in line for line in lines)


def test_the_goal_comes_first():
    lines = []
    on_event = PlainLines(lines.append)
    for event in events():
        on_event(event)
    assert lines[:2] == ["goal: Refuse what hurts; help with the rest.", "run: runs/refusal-kl0.15-s1-7f3a9c"]


def test_an_evaluation_has_a_line_for_the_primary_and_for_each_change(lines_of):
    event = evaluation_done(comparison=comparison(SEPARATION, UNSAFE, SAFE, prompts=48))
    assert lines_of(event) == [
        "step 10 against step 0, fixed subset of 48 prompts: separation d′ −0.25 → 1.50, +1.75 [+1.20, +2.30]  "
        f"DIFFERS (1 seed)  ({ERROR})",
        "step 10 against step 0, fixed subset of 48 prompts: refusal of unsafe prompts 18.0 % → 80.0 %, "
        f"+62.0 pp [+55.1, +68.9]  DIFFERS (1 seed)  ({ERROR})",
    ]


def test_a_behaviour_that_the_reward_scores_too_is_marked(lines_of):
    event = evaluation_done(comparison=comparison(SEPARATION, LENGTH, ENDING, rewarded_measures=("ending.eos",)))
    lines = lines_of(event)
    assert ["also scored by the reward" in line for line in lines] == [False, False, True]
    assert lines[1].endswith("DIFFERS (1 seed)")


def test_a_detail_that_changed_has_no_line(lines_of):
    event = evaluation_done(comparison=comparison(SEPARATION, change("style.lists")))
    assert len(lines_of(event)) == 1


def test_a_primary_that_did_not_change_says_so(lines_of):
    event = evaluation_done(comparison=comparison(SAFE, primary="refusal.safe"), partial=False)
    assert lines_of(event, primary="refusal.safe") == [
        "step 10 against step 0: refusal of safe prompts 30.0 % → 29.0 %, −1.0 pp [−3.4, +1.4]  NO CHANGE DETECTED"
        f"  ({ERROR})"
    ]


def test_step_nought_has_nothing_to_be_compared_with(lines_of):
    assert lines_of(EvaluationDone(step=0, estimates=(), comparison=None, partial=False)) == []


def test_phases_have_a_line_and_their_progress_none(lines_of):
    happened = [
        Phase(name="answering", total=600, unit="answers"),
        Progress(done=300),
        Phase(name="update 3"),
        Progress(done=1),
    ]
    assert lines_of(*happened) == ["answering (600 answers)"]


def test_a_warning_is_called_one(lines_of):
    assert lines_of(Notice(text="So it is.", level="warning"), Notice(text="By the way.")) == [
        "warning: So it is.",
        "By the way.",
    ]


def test_a_goal_and_a_notice_cannot_steer_the_terminal():
    lines = []
    on_event = PlainLines(lines.append)
    on_event(run_started(goal=NASTY))
    on_event(Notice(text=NASTY))
    assert lines == [f"goal: {SHOWN}", "run: runs/refusal-kl0.15-s1-7f3a9c", SHOWN]


def test_an_alarm_has_a_line_with_what_it_saw_and_what_comes_next(lines_of):
    assert lines_of(AlarmsChecked(step=10, alarms=(alarm(),))) == [
        "step 10: alarm: Policy drifted too far: KL is 0.720 nats per token, over the limit of 0.5 (and 1 more); "
        "next: Raise the KL penalty: kl.coef=0.3."
    ]
    assert lines_of(AlarmsChecked(step=10, alarms=())) == []


def test_a_long_phase_says_how_far_it_is_after_a_silence():
    lines, now = [], [0.0]
    on_event = PlainLines(lines.append, clock=lambda: now[0])
    on_event(Phase(name="update 3: sampling", total=200, unit="answers"))
    on_event.break_silence()
    assert lines == []
    for done, now[0] in ((10, 15.0), (40, 18.0), (60, 20.0)):
        on_event(Progress(done=done))
    on_event.break_silence()
    assert lines == ["  update 3: sampling: 60/200 answers, 20 s so far, about 14 s left"]
    now[0] = 35.0
    on_event.break_silence()
    assert len(lines) == 1
    on_event(Phase(name="checkpoint"))
    now[0] = 60.0
    on_event.break_silence()
    assert lines[1:] == ["checkpoint", "  checkpoint: 25 s so far"]


def test_nothing_is_said_after_the_command():
    lines, now = [], [0.0]
    with PlainLines(lines.append, clock=lambda: now[0]) as on_event:
        on_event(Phase(name="checkpoint"))
    now[0] = 60.0
    on_event.break_silence()
    assert lines == ["checkpoint"]
