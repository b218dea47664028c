"""The second judge's labels in an evaluation's files, on the screens, and in the choice of answers to label."""

import pytest

from ppo_cli.behaviours import embedding_judge
from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.evaluation.compare import compare
from ppo_cli.evaluation.evaluation_data import read_evaluation
from ppo_cli.evaluation.label import label
from ppo_cli.experiment.schema import Kl
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.second_judge import SECOND_JUDGE, SECOND_LABEL
from ppo_cli.store.evaluations import about_of, read_samples, read_summary, write_evaluation, write_scores
from ppo_cli.store.labels import read_label_design
from ppo_cli.store.runs import Run
from tests.made_runs import answers, evaluated_at, make_run
from tests.terminal import succeed

LAST = 4


@pytest.fixture(autouse=True)
def judge(monkeypatch):
    """A second judge that differs from the rule on answers with the word `lamp`, in place of the encoder."""
    monkeypatch.setattr(embedding_judge, "is_installed", lambda: True)
    monkeypatch.setattr(embedding_judge, "_refuses", lambda text: "sorry" in text or "lamp" in text)
    return monkeypatch


def prompts_of(run):
    return read_prompts(run.layout.inputs / "eval.jsonl")


def read(run, step=LAST):
    return read_evaluation(run.layout.evaluation(step), prompts_of(run), "x", None)


def with_step_0(root):
    run = Run(root)
    asked = prompts_of(run)
    samples = answers(asked, 0.9, 0.5, 3, 2)
    about = {"partial": False, "of": evaluated_at(run, 0)}
    write_evaluation(run.layout.evaluation(0), samples, label_sample(asked, samples), (), RULES_VERSION, about)
    return run


def test_an_evaluation_keeps_its_labels_and_one_without_is_as_whole(tmp_path, judge):
    run = Run(make_run(tmp_path))
    folder = run.layout.evaluation(LAST)
    assert "second_judge" not in read_summary(folder)
    rows = read(run).labelled  # judged now
    assert {SECOND_LABEL in row.labels for row in rows} == {True}
    write_scores(folder, rows, (), RULES_VERSION, about_of(read_summary(folder)))
    summary = read_summary(folder)
    assert summary["second_judge"] == SECOND_JUDGE
    assert "second_judge" not in about_of(summary)
    assert summary["rules"] == RULES_VERSION

    judge.setattr(embedding_judge, "is_installed", lambda: False)
    judge.setattr(embedding_judge, "_refuses", None)
    assert [row.labels for row in read(run).labelled] == [row.labels for row in rows]
    scores = folder / f"scores.{RULES_VERSION}.jsonl"
    scores.write_text(scores.read_text().replace(f'"{SECOND_LABEL}":1.0', f'"{SECOND_LABEL}":0.0'))
    assert SECOND_LABEL not in read(run).labelled[0].labels  # not the scores that the summary names


def test_the_agreement_stands_beside_the_judged_lines(tmp_path, judge):
    a, b = make_run(tmp_path), make_run(tmp_path, kl=Kl(coef=0.5), draw=1)
    found = compare([str(a), str(b)], runs_dir=tmp_path)[0].comparison.second_judge
    lamps = [
        sum("lamp" in sample.answer.text for sample in read_samples(Run(run).layout.evaluation(LAST))) for run in (a, b)
    ]
    assert (found.before, found.after) == pytest.approx([1 - count / 120 for count in lamps])
    assert found.answers == 240
    shares = f"{100 * found.before:.0f} % → {100 * found.after:.0f} %"
    line = f"the second judge ({SECOND_JUDGE}) agrees with the rule on {shares} of the answers"
    for screen in (
        succeed("compare", a, b, "--html", tmp_path / "page.html").out,
        succeed("compare", a, b, "--markdown").out,
    ):
        assert line in " ".join(screen.split())
    assert line in (tmp_path / "page.html").read_text(encoding="utf-8")
    judge.setattr(embedding_judge, "is_installed", lambda: False)
    assert "second judge" not in succeed("compare", a, b).out


def test_disputed_answers_are_asked_first_and_count_for_less(tmp_path):
    run = with_step_0(make_run(tmp_path, prompts=120))
    session = label(run.layout.root)
    disputed = {item.prompt.id for item in session.items if "lamp" in item.sample.answer.text}
    first = [item.prompt.id in disputed for item in session.items]
    assert first == sorted(first, reverse=True)
    assert 0 < sum(first) < len(first)
    assert session.summary() is None
    for _ in range(sum(first)):
        session.add("refuse")
    assert session.summary() is None  # nothing is known of the others
    design = read_label_design(run.layout.label_design, LAST)
    assert set(design.extra) <= disputed <= design.disputed

    session = label(run.layout.root)
    while (item := session.current) is not None:
        session.add("refuse" if item.prompt.id in disputed else "comply")
    found = session.summary()
    assert found.weighted
    changes = {change.name: change for change in found.comparison.changes}
    expects = {prompt.id: prompt.expect for prompt in prompts_of(run)}
    for name, expect in (("refusal.safe", "comply"), ("refusal.unsafe", "refuse")):
        of_kind = [prompt_id for prompt_id, expected in expects.items() if expected == expect]
        share = sum(prompt_id in design.disputed for prompt_id in of_kind) / len(of_kind)
        assert (changes[name].before, changes[name].after) == pytest.approx((share, share))
    assert "of all answers (those on which judges differ count less)" in " ".join(
        succeed("label", run.layout.root).out.split()
    )


def test_labels_of_two_runs_are_compared_on_the_base_once_it_is_whole(tmp_path):
    a = with_step_0(make_run(tmp_path, prompts=120))
    b = with_step_0(make_run(tmp_path, prompts=120, kl=Kl(coef=0.5), draw=1))
    sessions = [label(run.layout.root) for run in (a, b)]
    for session in sessions:
        while session.remaining > 1:
            session.add("comply")
    names = [str(run.layout.root) for run in (a, b)]
    assert compare(names, runs_dir=tmp_path)[0].comparison.human_labels is None
    for session in sessions:
        session.add("comply")
    found = compare(names, runs_dir=tmp_path)[0].comparison.human_labels
    assert (found.prompts, found.weighted) == (30, False)
