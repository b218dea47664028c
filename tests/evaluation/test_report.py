"""`ppo report`, and the page and the Markdown of `ppo compare`."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.errors import NoPermissionError
from ppo_cli.evaluation import report as report_module
from ppo_cli.evaluation.target import find_target
from ppo_cli.experiment.schema import Kl
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.store import evaluations
from ppo_cli.store.checkpoint_names import last_checkpoint_of
from ppo_cli.store.evaluations import write_evaluation
from ppo_cli.store.files import write_json, write_lines
from ppo_cli.store.layout import RunLayout
from ppo_cli.store.runs import Run
from tests.made_runs import answers, evaluated_at, make_run, seeds
from tests.reports.html_pages import ALARM
from tests.reports.records import metrics
from tests.terminal import fingerprint, ppo, refused, succeed


@pytest.fixture
def run(tmp_path):
    """A run whose first policy refuses more, with a record of its updates and an alarm."""
    output = tmp_path / "runs"
    output.mkdir()
    root = make_run(output, prompts=24)
    layout = RunLayout(root)
    asked = read_prompts(layout.prompt_file("prompts.eval"))
    samples = answers(asked, 0.9, 0.9, 7, 2)
    about = {"partial": False, "of": evaluated_at(Run(root), 0)}
    write_evaluation(layout.evaluation(0), samples, label_sample(asked, samples), (), RULES_VERSION, about)
    write_lines(layout.metrics, [asdict(metrics(update, kl=0.1 * update)) for update in (1, 2, 3, 4)])
    write_json(layout.alarms, {"step": 4, "last": True, "looks": {"4": [ALARM.name]}, "alarms": [asdict(ALARM)]})
    return root


@pytest.fixture
def other(tmp_path, run):
    """A run beside it that differs in kl.coef."""
    return make_run(tmp_path / "runs", prompts=24, safe=0.2, draw=1, kl=Kl(coef=0.5))


def data_of(page):
    text = Path(page).read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


def test_the_page_of_a_run_that_may_not_be_written_goes_to_the_current_folder(run, monkeypatch):
    before = fingerprint(run)
    monkeypatch.setattr(report_module, "may_write", lambda _: False)
    written = succeed("report", run, "--json").json
    assert written["path"] == f"{run.name}-report.html"
    assert Path(written["path"]).is_file()
    assert fingerprint(run) == before


def test_scores_of_a_run_that_may_not_be_written_are_shown(run, monkeypatch):
    before = fingerprint(run)

    def refuse(folder, **_):
        raise NoPermissionError(f"No permission to write {folder}.")

    monkeypatch.setattr(evaluations, "sole_evaluation", refuse)
    shown = succeed("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--rescore")
    assert "shown, not kept" in " ".join((shown.out + shown.err).split())
    assert fingerprint(run) == before


def test_a_run_means_its_last_checkpoint(run):
    last = run / "checkpoints" / "step-000004"
    last.mkdir()
    for name in (run, run.name, run.name[:6], "latest", last):
        target = last_checkpoint_of(str(name), run.parent)
        assert target == str(last if name == last else run / "last")
    found = find_target(f"{run.name[:6]}/last", config=None, prompts=None, runs_dir=run.parent, opened={})
    assert Path(found.checkpoint).name == last.name
    assert last_checkpoint_of("builtin:smollm2-135m-instruct", run.parent) == "builtin:smollm2-135m-instruct"


def test_a_run_gets_a_page_in_its_folder_and_again_the_same_bytes(run):
    before = fingerprint(run)
    written = succeed("report", run, "--json").json
    page = run / "reports" / "report.html"
    first = page.read_bytes()
    assert (written["path"], written["bytes"], written["prompts"]) == (str(page), len(first), 24)
    assert "Wrote" in succeed("report", run.name).out
    assert page.read_bytes() == first
    assert ALARM.next_step in first.decode()
    page.unlink()
    assert fingerprint(run) == before


def test_the_page_holds_every_answer_of_step_zero_and_of_the_last_step(run):
    succeed("report", run, "--html", "page.html")
    data = data_of("page.html")
    assert data["names"] == ["step 0", "step 4"]
    for place, step in enumerate(("step-000000", "step-000004")):
        lines = (run / "eval" / step / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [(row["prompt_id"], row["sample"], row["answer"]) for row in map(json.loads, lines)]
        shown = [(p["id"], k, a[0]) for p in data["prompts"] for k, a in enumerate(p["answers"][place])]
        assert sorted(shown) == sorted(rows)


def test_two_runs_get_a_page_beside_the_screen(run, other):
    screen = succeed("compare", run, other, "--html", "both.html")
    assert "kl.coef" in screen.out
    assert "Wrote both.html" in screen.out
    assert "0.1 → 0.5" in Path("both.html").read_text(encoding="utf-8")
    assert data_of("both.html")["names"] == ["A", "B"]
    (result,) = succeed("compare", run, other, "--html", "again.html", "--json").json
    assert result["treatments"] == {"kl.coef": [0.1, 0.5]}
    assert Path("again.html").read_bytes() == Path("both.html").read_bytes()


def test_a_comparison_as_markdown(run, other):
    text = succeed("compare", run, other, "--markdown").out
    assert text.startswith("## ")
    assert "| behaviour (24 prompts × 2) | A | B | change | 95 % interval | | verdict |" in text


def test_arms_of_several_seeds_are_one_page(tmp_path):
    a = seeds(tmp_path, (1, 2), safe=0.7, prompts=24)
    b = seeds(tmp_path, (1, 3, 4), safe=0.2, prompts=24, kl=Kl(coef=0.5))
    succeed("compare", a[0], b[0], a[1], *b[1:], "--html", "arms.html")
    page, data = Path("arms.html").read_text(encoding="utf-8"), data_of("arms.html")
    assert "comparison of two settings" in page
    assert "Seed by seed" in page
    assert "A 1, 2; B 1, 3, 4" in page
    for letter in ("A seed 1", "A seed 2", "B seed 1", "B seed 3", "B seed 4"):
        assert f"{letter} · " in page
    first = data["prompts"][0]["answers"]
    assert [[answer[5] for answer in arm] for arm in first] == [[1, 1, 2, 2], [1, 1, 3, 3, 4, 4]]
    rows = [
        json.loads(line)
        for root in (*b,)
        for line in (root / "eval" / "step-000004" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    said = [row["answer"] for row in rows if row["prompt_id"] == data["prompts"][0]["id"]]
    assert [answer[0] for answer in first[1]] == said
    again = refused("compare", *a, b[0], make_run(tmp_path, prompts=24, kl=Kl(coef=0.9)), "--html", "no.html")
    assert "these 4 runs are of 3" in again
    assert not Path("no.html").exists()


def test_a_page_shows_two_runs_and_no_more(run):
    assert "these 3 runs are of 1" in refused("compare", run, run, run, "--html", "x.html")
    assert not Path("x.html").exists()
    assert "cannot be combined" in ppo("compare", run, run, "--markdown", "--json").json["error"]


def test_a_run_without_step_zero_is_refused(other):
    assert "no evaluation of step 0" in refused("report", other, code=4)


def test_a_run_that_is_not_there_is_named():
    assert "no such run" in refused("report", "nowhere")


@pytest.mark.process
def test_a_comparison_without_a_page_loads_no_charts(run, other):
    code = (
        "import sys; from ppo_cli.cli import app\n"
        f"try: app(['compare', {str(run)!r}, {str(other)!r}])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'matplotlib', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
