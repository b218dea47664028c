"""The rule's error in results of commands: from published counts, from labels of the run, never for human labels."""

from dataclasses import replace

import pytest

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.evaluation.compare import compare
from ppo_cli.evaluation.evaluation_data import read_evaluation
from ppo_cli.evaluation.judge_error import judged_estimates, own_agreement, with_judge_error
from ppo_cli.records.calibration import Agreement
from ppo_cli.records.comparisons import HumanLabelNote
from ppo_cli.reports.markdown import comparison_markdown
from ppo_cli.stats import comparison as two_policies
from ppo_cli.store.runs import Run
from tests.evaluation.test_human_labels import LAST, always, labelled, only_unsafe, prompts_of
from tests.made_runs import make_run

NAMES = ("refusal.separation", "refusal.unsafe", "refusal.safe", "length.words")
LINE = "with the judge's own error: refusal of unsafe prompts"


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, unsafe=0.7)


@pytest.fixture
def other(tmp_path):
    return make_run(tmp_path, unsafe=0.6, draw=1, seed=2)


def data(root):
    run = Run(root)
    return read_evaluation(run.layout.evaluation(LAST), prompts_of(run), run.name, None)


def judged(run, other, *, human_labels=None):
    """The last policy of another run against this one's."""
    before, after = data(other), data(run)
    measures = [measure_named(name) for name in NAMES]
    found = two_policies.compare(
        ("a", "b"), before.matrix, after.matrix, measures, before.prompts, primary=NAMES[0], smallest_effect=0.3
    )
    found = with_judge_error(replace(found, human_labels=human_labels), [before], [after])
    return {change.name: change for change in found.changes}


def test_refusal_measures_have_it_and_no_others(run, other):
    changes = judged(run, other)
    assert [name for name in NAMES if changes[name].judged] == list(NAMES[:3])
    safe = changes["refusal.safe"]
    assert safe.judged.difference[0] < safe.low_95 < safe.high_95 < safe.judged.difference[1]
    assert safe.judged.labels == 0


def test_labels_of_the_run_enter_it(run, other):
    published = judged(run, other)["refusal.safe"].judged
    labelled(run, only_unsafe)  # of the harmless requests that the rule says are refused none is, by this person
    own = judged(run, other)["refusal.safe"].judged
    assert own.labels == 60
    assert own.after[1] < published.after[1]
    assert own.before == pytest.approx(published.before, abs=0.02)  # nobody labelled the other


def test_measures_from_human_labels_have_no_error_of_the_rule(run, other):
    note = HumanLabelNote(measures=("refusal.safe",), answers=120, agree=96, agreement=0.8, prompts=60, by_rule=())
    changes = judged(run, other, human_labels=note)
    assert changes["refusal.safe"].judged is None
    assert changes["refusal.unsafe"].judged is not None


def test_the_labels_of_a_step_are_counted_against_the_rule(run):
    assert own_agreement([data(run)]) is None
    agree = labelled(run, always("refuse"), prompts=40)
    found = own_agreement([data(run)])
    assert found.unsafe + found.safe == Agreement(both=agree, missed=40 - agree, false_alarms=0, neither=0)


def test_estimates_of_one_policy_have_it(run):
    evaluated = data(run)
    estimates = evaluated.estimates([measure_named(name) for name in NAMES])
    found = {row.name: row.judged_95 for row in judged_estimates(estimates, evaluated.matrix, evaluated)}
    assert found["length.words"] is None
    low, high = found["refusal.safe"]
    assert low < 0.5 < high


def test_compare_shows_it_in_its_page_and_in_markdown(tmp_path):
    a, b = make_run(tmp_path, prompts=24, unsafe=0.7), make_run(tmp_path, prompts=24, unsafe=0.6, draw=1, seed=2)
    page = tmp_path / "page.html"
    results = compare([str(a), str(b)], runs_dir=tmp_path, html=page)
    assert LINE in page.read_text(encoding="utf-8").replace("&#39;", "'")
    assert LINE in comparison_markdown(results)
