"""The estimate of the time that is left: none before there is a rate, and none from the pause before the first step."""

from ppo_cli.reports.time_left import TimeLeft


def test_nothing_is_said_before_enough_is_done():
    left = TimeLeft(200)
    assert left.seconds() is None
    left.add(0, 30.0)
    left.add(1, 60.0)
    left.add(6, 61.0)
    assert left.seconds() is None


def test_the_pause_before_the_first_step_does_not_count():
    left = TimeLeft(192)
    left.add(0, 0.0)
    left.add(6, 60.0)
    left.add(12, 61.0)
    assert left.seconds() == 30.0
    left.add(192, 91.0)
    assert left.seconds() == 0.0


def test_without_a_total_there_is_no_estimate():
    left = TimeLeft(None)
    left.add(5, 1.0)
    left.add(50, 2.0)
    assert left.seconds() is None
