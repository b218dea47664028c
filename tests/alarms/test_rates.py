"""How often each alarm was raised in runs known to be healthy or sabotaged: the counts, and where they are shown."""

import json
from pathlib import Path

import pytest

from ppo_cli.alarms import ALARMS, check_all
from ppo_cli.alarms.rates import FILE, rate_sentence
from tests.alarms.histories import history, row

COUNTED = json.loads(FILE.read_text(encoding="utf-8"))
PAGE = (Path(__file__).parents[2] / "docs/alarms.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_has_been_tried_on_healthy_and_on_sabotaged_runs(name):
    (falsely, healthy), (rightly, sabotaged) = (COUNTED["rates"][name][kind] for kind in ("healthy", "sabotaged"))
    assert falsely / healthy < 0.05
    assert rightly / sabotaged > 0.8
    assert rate_sentence(name).startswith(
        f"raised in {falsely} of {healthy} simulated healthy runs, and in {rightly} of"
    )


def test_the_counts_are_the_sums_of_their_rows():
    for name, rates in COUNTED["rates"].items():
        rows = [row for row in COUNTED["rows"] if name in row["raised"]]
        for kind, of in (("healthy", "healthy"), ("sabotaged", "sabotage")):
            counted = [row for row in rows if of in row and not row.get("weak")]
            assert rates[kind] == [sum(row["raised"][name] for row in counted), sum(row["runs"] for row in counted)]


def test_the_page_has_every_row_and_its_date():
    assert f"## Report card, {COUNTED['date']}" in PAGE
    for counted in COUNTED["rows"]:
        for name, raised in counted["raised"].items():
            assert f"| {name} |" in PAGE
            assert f"| {raised} / {counted['runs']} (" in PAGE


def test_a_raised_alarm_carries_its_own_rate():
    (alarm,) = check_all(history(metrics=[row(update, reward_std=0.0) for update in range(1, 10)]))
    assert alarm.rate == rate_sentence("no_learning")
