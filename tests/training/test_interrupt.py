"""Signals during a training, and what the message of an interruption promises."""

import signal
from types import SimpleNamespace

import pytest

from ppo_cli.records.events import Notice
from ppo_cli.store.layout import RunLayout
from ppo_cli.training.interrupt import SIGNALS, StopRequest
from ppo_cli.training.train import _interrupted


@pytest.fixture(autouse=True)
def hang_up_is_not_ignored():
    """As in a terminal, also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_lets_the_update_finish(number):
    notices = []
    request = StopRequest(notices.append)
    before = signal.getsignal(number)
    with request.listening():
        request.in_update = True
        signal.raise_signal(number)
        assert request.requested
        if number != signal.SIGINT:
            signal.raise_signal(number)  # sent twice by a cluster, it is no impatience
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(number) == before
    (notice,) = notices
    assert isinstance(notice, Notice)
    assert "run again" in notice.text


def test_outside_an_update_a_signal_stops_at_once():
    with StopRequest(lambda _: None).listening(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGHUP)


def test_a_signal_outside_an_update_that_comes_twice_stops_once():
    with StopRequest(lambda _: None).listening():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # while the checkpoint is written


def test_under_nohup_a_hang_up_is_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        request = StopRequest(lambda _: None)
        with request.listening():
            signal.raise_signal(signal.SIGHUP)
        assert not request.requested
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ((), "; there is no checkpoint yet, so the run begins again at its first update."),
        ((2,), "; the last whole checkpoint is {root}/checkpoints/step-000002, so updates 3 to 5 run again."),
        ((2, 4), "; the last whole checkpoint is {root}/checkpoints/step-000004, so update 5 runs again."),
        ((5,), "; nothing is lost."),
    ],
)
def test_an_interruption_says_what_runs_again(tmp_path, saved, message):
    layout = RunLayout(tmp_path)
    for step in saved:
        layout.checkpoint(step).mkdir(parents=True)
        (layout.checkpoint(step) / "checkpoint.json").write_text("{}")
    run = SimpleNamespace(layout=layout, state=lambda: SimpleNamespace(updates_done=5))
    assert _interrupted(run, 30) == f"Interrupted after update 5 of 30{message.format(root=tmp_path)}"
