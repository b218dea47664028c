"""Where people labelled enough answers of both policies, their refusals stand in the reports, with a mark."""

import pytest

from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.evaluation.compare import compare
from ppo_cli.evaluation.report import report
from ppo_cli.experiment.schema import Kl
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.store.evaluations import read_samples, write_evaluation
from ppo_cli.store.labels import add_label
from ppo_cli.store.runs import Run
from tests.made_runs import answers, evaluated_at, make_run
from tests.terminal import succeed

LAST = 4


def prompts_of(run):
    return read_prompts(run.layout.inputs / "eval.jsonl")


def labelled(root, judge, *, step=LAST, prompts=60):
    """A run with labels on the first answer to so many prompts; gives how often the rule reads them the same way."""
    run, agree = Run(root), 0
    asked = {prompt.id: prompt for prompt in prompts_of(run)}
    chosen = list(asked)[:prompts]
    for sample in read_samples(run.layout.evaluation(step)):
        if sample.prompt_id in chosen and sample.index == 0:
            said = judge(asked[sample.prompt_id])
            add_label(run.layout.labels, (step, sample.prompt_id, 0), sample.answer.text, said)
            (rule,) = label_sample([asked[sample.prompt_id]], [sample])
            agree += rule.labels["refused"] == (said != "comply")
    return agree


def always(judgement):
    return lambda prompt: judgement


def nearly_always():
    """Refuses all prompts but one: who refuses every prompt has no d′."""
    helped = []

    def judge(prompt):
        if prompt.expect == "comply" and not helped:
            helped.append(prompt.id)
        return "comply" if prompt.id in helped else "refuse"

    return judge


def only_unsafe(prompt):
    return "partial" if prompt.expect == "refuse" else "comply"


@pytest.fixture
def pair(tmp_path):
    """Two runs that refuse alike, by the rule."""
    return make_run(tmp_path), make_run(tmp_path, kl=Kl(coef=0.5), draw=1)


def test_labels_of_both_runs_stand_in_for_the_rule(pair):
    a, b = pair
    agree = labelled(a, always("refuse")) + labelled(b, only_unsafe)
    found = compare([str(a), str(b)], runs_dir=a.parent)[0].comparison
    changes = {change.name: change for change in found.changes}
    assert (changes["refusal.safe"].before, changes["refusal.safe"].after) == (1.0, 0.0)
    assert (changes["refusal.unsafe"].before, changes["refusal.unsafe"].after) == (1.0, 1.0)
    separation = changes["refusal.separation"]
    assert (separation.verdict, separation.reason) == ("INCONCLUSIVE", f"{found.before} refuses every prompt")
    assert (found.human_labels.answers, found.human_labels.prompts, found.human_labels.agree) == (120, 60, agree)
    rule = {change.name: change for change in found.human_labels.by_rule}
    assert set(rule) == set(found.human_labels.measures) >= {"refusal.separation", "refusal.safe", "refusal.unsafe"}
    assert 0.2 < rule["refusal.safe"].after < 0.8
    assert "length.tokens" not in rule
    assert len(found.flips) < 60  # by the rule, who saw that they refuse alike


def test_they_are_marked_wherever_they_are_shown(pair):
    a, b = pair
    labelled(a, nearly_always())
    labelled(b, only_unsafe)
    screen = succeed("compare", a, b, "--html", a / "page.html").out
    assert "★ separation d′ ‡" in screen
    joined = " ".join(line.strip("│ ") for line in screen.splitlines())
    assert "60 prompts labelled by people" in joined
    assert "‡ from human labels in place of the rule's: 120 answers to 60 prompts, labelled blind" in joined
    assert "answer length ‡" not in screen
    for shown in (succeed("compare", a, b, "--markdown").out, (a / "page.html").read_text(encoding="utf-8")):
        assert "separation d′ ‡" in shown
        assert "120 answers to 60 prompts, labelled blind" in shown


@pytest.mark.parametrize("prompts", [29, 30])
def test_a_few_labels_do_not_count_before_the_rule(pair, prompts):
    a, b = pair
    labelled(a, always("refuse"))
    labelled(b, only_unsafe, prompts=prompts)
    found = compare([str(a), str(b)], runs_dir=a.parent)[0].comparison
    assert (found.human_labels is not None) == (prompts == 30)


def test_labels_of_one_run_alone_are_no_comparison(pair):
    a, b = pair
    labelled(a, always("refuse"))
    assert compare([str(a), str(b)], runs_dir=a.parent)[0].comparison.human_labels is None


def test_a_gate_asks_the_rule(pair):
    a, b = pair
    labelled(a, always("refuse"))
    labelled(b, only_unsafe)
    outcome = compare([str(a), str(b)], runs_dir=a.parent, fail_if=["change(refusal.safe) < -0.5"])[0]
    (judged,) = outcome.fail_if
    rule = {change.name: change for change in outcome.comparison.human_labels.by_rule}
    assert judged.value == rule["refusal.safe"].difference
    assert not judged.failed


def test_the_page_and_the_story_of_one_run_believe_them_too(tmp_path):
    root = make_run(tmp_path)
    run, asked = Run(root), prompts_of(Run(root))
    samples = answers(asked, 0.9, 0.5, 3, 2)
    about = {"partial": False, "of": evaluated_at(run, 0)}
    write_evaluation(run.layout.evaluation(0), samples, label_sample(asked, samples), (), RULES_VERSION, about)
    labelled(root, nearly_always(), step=0)
    labelled(root, only_unsafe)
    report(root, runs_dir=tmp_path, html=tmp_path / "page.html")
    assert "separation d′ ‡" in (tmp_path / "page.html").read_text(encoding="utf-8")
    story = succeed("show", root).out
    assert "separation d′ ‡" in story
    assert "labelled blind" in story
