"""`ppo view` over run folders: what is written where, torn and foreign runs, and that bytes repeat."""

import re
import shutil
from urllib.parse import unquote

import pytest

from ppo_cli.evaluation.compare import compare
from ppo_cli.evaluation.view import page_name, view
from ppo_cli.experiment.schema import Kl
from tests.terminal import fingerprint, outcome, refused, start, succeed
from tests.viewed_runs import viewed_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, its child, and a few that cannot be read; no test may change them."""
    output = tmp_path_factory.mktemp("viewed") / "runs"
    output.mkdir()
    first = viewed_run(output, prompts=16)
    viewed_run(output, prompts=16, kl=Kl(coef=0.5), parent=first.name, changed={"kl.coef": 0.5}, safe=0.1)
    torn, foreign = output / "torn", output / "foreign"
    for folder, text in ((torn, '{"format": 2, "id": '), (foreign, '{"format": 1}')):
        folder.mkdir()
        (folder / "run.json").write_text(text)
    damaged, edited = output / "damaged", output / "edited"
    for folder in (damaged, edited):
        shutil.copytree(first, folder)
    (damaged / "rollouts.jsonl").write_text('{"update": 1}\n')
    (edited / "inputs" / "train.jsonl").chmod(0o644)
    (edited / "inputs" / "train.jsonl").write_text("{}\n")
    return output


def test_all_runs_are_listed_and_those_that_are_torn_or_foreign_with_the_reason(runs, tmp_path):
    before = fingerprint(runs)
    screen = succeed("view", "--runs-dir", runs, "--folder", tmp_path / "out", "--no-reports", "--json").json
    assert fingerprint(runs) == before
    assert (screen["runs"], screen["rollouts"]) == (6, 96)
    assert sorted(screen["unreadable"]) == ["damaged", "edited", "foreign", "torn"]
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    problems = dict(re.findall(r"<bdi>(\w+)</bdi>.*?<td[^>]*problem[^>]*>(.*?)</td>", text))
    assert problems["torn"] == "torn/run.json is damaged."
    assert "older version of ppo" in problems["foreign"]
    assert problems["damaged"].startswith("damaged/rollouts.jsonl is damaged")
    assert "train.jsonl" in problems["edited"]
    assert "round 1: kl.coef 0.1 → 0.5" in text
    assert (tmp_path / "out" / ".gitignore").read_text() == "*\n"


def test_every_link_leads_to_a_file(runs, tmp_path):
    copy = tmp_path / "runs"
    shutil.copytree(runs, copy, ignore=shutil.ignore_patterns("damaged", "edited", "torn", "foreign"))
    shown = succeed("view", "--runs-dir", copy).out
    assert "2 runs, 96 rollouts, 2 new reports" in shown
    pages = sorted((copy / "view").glob("*.html"))
    assert len(pages) == 3
    for page in pages:
        links = re.findall(r'<a href="([^"#]+)"', page.read_text(encoding="utf-8"))
        assert len(links) >= 2
        assert all((page.parent / unquote(link)).is_file() for link in links), links
    compare([str(path) for path in copy.iterdir()], runs_dir=copy)  # as the shell writes runs/*


def test_the_same_runs_give_the_same_bytes_wherever_they_lie(runs, tmp_path):
    for place in ("here", "there"):
        shutil.copytree(runs, tmp_path / place / "runs")
        view(runs_dir=tmp_path / place / "runs", reports=False)
    here, there = (fingerprint(tmp_path / place / "runs" / "view") for place in ("here", "there"))
    assert here == there
    assert len(here) == 4


def test_without_runs_the_page_and_the_screen_say_what_to_do(tmp_path):
    shown = succeed("view", "--runs-dir", tmp_path / "none").out
    assert "ppo init refusal my-exp" in shown
    assert "There is no run yet" in (tmp_path / "none" / "view" / "index.html").read_text(encoding="utf-8")


def test_pages_are_written_neither_into_a_run_nor_through_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    assert "is a run" in refused("view", "--folder", tmp_path / "run")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "view").symlink_to(tmp_path / "run")
    assert "--folder DIR" in refused("view", "--runs-dir", tmp_path / "runs")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


@pytest.mark.parametrize("name", ["index", "a b", "a#b", "..", "x" * 250, "ü", "\udcff", "<b>"])
def test_a_run_of_any_name_has_a_page_of_a_plain_name(name):
    assert re.fullmatch(r"run-[0-9a-f]{12}\.html", page_name(name))
    assert page_name("refusal-kl0.05-s1-7f3a9c") == "refusal-kl0.05-s1-7f3a9c.html"


@pytest.mark.process
def test_the_browser_opens_the_page_if_asked(tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    screen = outcome(start("view", "--open", cwd=tmp_path, BROWSER=f"{browser} %s"))
    assert screen.code == 0, screen
    assert (tmp_path / "opened").read_text() == (tmp_path / "runs" / "view" / "index.html").as_uri()
