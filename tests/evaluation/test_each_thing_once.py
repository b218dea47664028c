"""`compare`, `report` and `show` parse each config, read each file and label each evaluation once."""

import shutil

import pytest

from ppo_cli.behaviours.measures import MEASURES, is_headline
from ppo_cli.experiment.schema import Kl
from ppo_cli.stats import comparison
from tests.counting import counting
from tests.made_runs import make_run, seeds
from tests.terminal import succeed

FROZEN = ("config.yaml", "inputs/train.jsonl", "inputs/eval.jsonl", "samples.jsonl")
"""Files that are opened a second time, to compare their digest with the frozen one."""


def require_once(counts, runs, evaluations):
    """Checks what a command did with some runs, of which it needed so many evaluations."""
    assert counts.parsed == {str(run / "config.yaml"): 1 for run in runs}
    assert set(counts.read.values()) == {1}
    assert list(counts.matrices.values()) == [1] * evaluations
    opened = {path: count for path, count in counts.opened.items() if any(str(run) in path for run in runs)}
    assert opened
    for path, count in opened.items():
        assert count <= (2 if path.endswith((*FROZEN, "run.json")) else 1), path


@pytest.fixture
def pair(tmp_path):
    return [make_run(tmp_path / "runs", draw=1), make_run(tmp_path / "runs", draw=2, safe=0.2, kl=Kl(coef=0.5))]


def test_a_comparison_does_each_thing_once(pair, monkeypatch):
    counts = counting(monkeypatch)
    succeed("compare", *pair)
    require_once(counts, pair, 2)


def test_a_comparison_with_its_page_does_each_thing_once(pair, tmp_path, monkeypatch):
    counts = counting(monkeypatch)
    succeed("compare", *pair, "--html", tmp_path / "page.html")
    require_once(counts, pair, 2)


def test_a_comparison_of_seeds_does_each_thing_once(tmp_path, monkeypatch):
    arms = [*seeds(tmp_path / "runs", (1, 2)), *seeds(tmp_path / "runs", (1, 2), kl=Kl(coef=0.5))]
    counts = counting(monkeypatch)
    succeed("compare", *arms, "--html", tmp_path / "page.html")
    assert counts.parsed == {str(run / "config.yaml"): 1 for run in arms}
    assert set(counts.read.values()) == {1}
    assert sum(counts.matrices.values()) == len(arms)


def test_a_report_does_each_thing_once(trained, tmp_path, monkeypatch):
    run = trained()
    counts = counting(monkeypatch)
    succeed("report", run, "--html", tmp_path / "page.html")
    require_once(counts, [run], len(list((run / "eval").iterdir())))


def test_show_does_each_thing_once_and_computes_the_headlines_only(trained, monkeypatch):
    run = trained()
    counts = counting(monkeypatch)
    compared, estimated = [], []
    paired = comparison.paired_difference
    monkeypatch.setattr(comparison, "paired_difference", lambda m, *arms: compared.append(m.name) or paired(m, *arms))
    monkeypatch.setattr(
        "ppo_cli.evaluation.evaluation_data.estimate", lambda measure, *_: estimated.append(measure.name)
    )
    succeed("show", run)
    require_once(counts, [run], 2)
    assert estimated == []
    assert sorted(compared) == sorted(row.name for row in MEASURES if is_headline(row, "refusal.separation"))
    assert len(compared) < len(MEASURES)


def test_a_rescored_evaluation_is_labelled_once(trained, tmp_path, monkeypatch):
    run = shutil.copytree(trained(), tmp_path / "runs" / trained().name)
    counts = counting(monkeypatch)
    succeed("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--rescore")
    assert list(counts.matrices.values()) == [1, 1]  # this step and step 0
    assert set(counts.read.values()) == {1}
