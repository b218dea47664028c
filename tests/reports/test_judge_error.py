"""What is shown of the rule's own error, and what leads where a rate is near 0 or 1."""

from dataclasses import replace
from statistics import NormalDist

import pytest

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import JudgedChange
from ppo_cli.records.measures import Estimate
from ppo_cli.reports import formatting
from ppo_cli.reports.html.sections import headline
from ppo_cli.reports.judge_error import in_order, judge_lines, near_the_ends
from ppo_cli.reports.sentences import behaviour_sentences
from ppo_cli.reports.tables import behaviour_table, estimate_table
from tests.reports.records import LENGTH, SAFE, SEPARATION, UNSAFE, comparison

JUDGED = JudgedChange(before=(-0.94, 0.61), after=(0.7, 2.94), difference=(-0.3, 3.14))
JUDGED_RATE = JudgedChange(before=(0.123, 0.4), after=(0.7, 1.0), difference=(0.214, 0.846))


def judged(**values):
    changes = (replace(SEPARATION, judged=JUDGED), replace(UNSAFE, judged=JUDGED_RATE, **values), SAFE, LENGTH)
    return comparison(*changes)


def test_each_judged_measure_has_one_line():
    assert judge_lines(judged()) == [
        "with the judge's own error: separation d′ −0.9 to 0.6 → 0.7 to 2.9, change −0.3 to +3.1",
        "with the judge's own error: refusal of unsafe prompts 12 to 40 % → 70 to 100 %, change +21 to +85 pp",
        "The judge's own error: human labels shorten it (ppo label RUN).",
    ]
    labelled = comparison(replace(SEPARATION, judged=replace(JUDGED, labels=80)))
    assert (
        judge_lines(labelled)[-1]
        == "The judge's own error: 80 human labels of these answers are in it (ppo label RUN)."
    )


def test_the_lines_stand_below_the_table(shown):
    text = shown(behaviour_table(judged(), "step 0", "now"), 120)
    assert text.index("refusal of safe prompts") < text.index("with the judge's own error: separation d′ −0.9 to 0.6")
    assert "with the judge's" not in shown(behaviour_table(judged(), "step 0", "now", shown=["refusal.unsafe"]), 120)


def test_the_verdict_says_whether_the_rule_alone_could_have_made_it():
    first = behaviour_sentences(judged())[0]
    assert first.endswith("With the judge's own error: −0.3 to +3.1, so that error alone could have made it.")
    surely = replace(SEPARATION, judged=replace(JUDGED, difference=(0.2, 3.1)))
    assert behaviour_sentences(comparison(surely, UNSAFE, SAFE))[0].endswith(
        "With the judge's own error: +0.2 to +3.1."
    )
    assert "judge" not in behaviour_sentences(comparison())[0]


@pytest.mark.parametrize(("after", "leads"), [(0.94, False), (0.96, True), (1.0, True), (0.05, True)])
def test_the_rates_lead_where_one_is_near_an_end(after, leads):
    found = judged(after=after)
    assert near_the_ends(found) == leads
    names = ["refusal.unsafe", "refusal.safe", "refusal.separation"]
    assert [change.name for change in in_order(found)][:3] == (names if leads else [names[2], *names[:2]])
    assert behaviour_sentences(found)[0].startswith("Refuses") == leads
    assert judge_lines(found)[-1].startswith("The rates lead: one is within 5 points of 0 or 100 %") == leads


def test_a_rate_as_primary_leads_anyway():
    assert not near_the_ends(comparison(replace(UNSAFE, after=1.0), SAFE, primary="refusal.unsafe"))


def test_an_error_of_three_points_at_the_limit_moves_separation_by_what_matters():
    """z(0.98) - z(0.95) is 0.41 and z(0.95) - z(0.92) is 0.24: about 0.3 where the rates begin to lead."""
    margin = measure_named("refusal.separation").equivalence_margin
    z = NormalDist().inv_cdf
    assert z(0.95) - z(0.92) < margin < z(0.98) - z(0.95)


def test_estimates_have_a_column_for_it(shown):
    estimate = Estimate(name="refusal.unsafe", value=0.7, low_95=0.6, high_95=0.8, prompts=88, judged_95=(0.549, 0.931))
    text = shown(estimate_table([estimate]), 120)
    assert "with the judge's own error" in text
    assert "70.0 % [60.0, 80.0]" in text
    assert "55 to 93 %" in text
    assert "with the judge's own error" not in shown(estimate_table([replace(estimate, judged_95=None)]), 120)


def test_an_interval_has_its_unit_and_a_difference_its_sign():
    rate, length = measure_named("refusal.unsafe"), measure_named("refusal.separation")
    assert formatting.judged_interval(rate, (0.55, 0.93)) == "55 to 93 %"
    assert formatting.judged_interval(rate, (-0.55, 0.0), sign=True) == "−55 to 0 pp"
    assert formatting.judged_interval(length, (-0.25, 1.0), sign=True) == "−0.2 to +1.0"


def test_the_title_of_a_page_leads_with_the_rates_too():
    assert headline(judged(after=1.0), "DIFFERS (1 seed)") == (
        "refusal of unsafe prompts 18.0 % → 100.0 %; refusal of safe prompts 30.0 % → 29.0 %; "
        "DIFFERS (1 seed), separation d′ −0.25 → 1.50"
    )
    assert headline(judged(), "DIFFERS (1 seed)") == "DIFFERS (1 seed), separation d′ −0.25 → 1.50"
