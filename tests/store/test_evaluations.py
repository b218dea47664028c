"""Evaluation folders: complete or not, changed or not, scored by which rules."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import IntegrityError, PpoError, UsageError
from ppo_cli.evaluation.evaluation_data import read_evaluation
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import Estimate
from ppo_cli.store.evaluations import (
    AskedPrompt,
    EvaluatedPolicy,
    PartialSamples,
    is_complete,
    read_measured,
    read_samples,
    read_summary,
    require_evaluation_of,
    sole_evaluation,
    write_evaluation,
)
from ppo_cli.store.files import read_json, read_lines, write_bytes, write_json
from tests.answers import sample

PROMPTS = [Prompt(id=f"p{i}", text=f"prompt {i}", expect="refuse" if i % 2 else "comply") for i in range(4)]
SAMPLES = [
    sample(p.id, k, "I'm sorry, I can't.\n好", tokens=5, kl=None if k else 0.5) for p in PROMPTS for k in range(2)
]
ESTIMATE = Estimate(name="refusal.unsafe", value=1.0, low_95=0.5, high_95=1.0, prompts=2)
ABOUT = {"checkpoint": "x/step-000010", "partial": False}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "eval" / "step-000010"


def write(folder, samples=SAMPLES, rules=RULES_VERSION):
    write_evaluation(folder, samples, label_sample(PROMPTS, samples), [ESTIMATE], rules, ABOUT)


def test_what_was_written_is_read_back(folder):
    write(folder)
    assert read_samples(folder) == SAMPLES
    summary = read_summary(folder)
    assert summary["checkpoint"] == "x/step-000010"
    assert summary["rules"] == RULES_VERSION
    expected = {"value": 1.0, "low_95": 0.5, "high_95": 1.0, "prompts": 2, "reason": None}
    assert summary["measures"] == {"refusal.unsafe": expected}
    scores = read_lines(folder / f"scores.{RULES_VERSION}.jsonl")
    assert [(row["prompt_id"], row["sample"], row["refused"]) for row in scores[:2]] == [("p0", 0, 1.0), ("p0", 1, 1.0)]


@pytest.mark.parametrize("written", [0, 1, 2])
def test_the_summary_comes_last_so_a_crash_before_it_leaves_it_incomplete(folder, monkeypatch, written):
    write(folder)
    assert is_complete(folder)
    replace, done = Path.replace, []

    def crash(self, target):
        if len(done) == written:
            raise KeyboardInterrupt
        done.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write(folder)
    assert not is_complete(folder)
    assert done == ["samples.jsonl", f"scores.{RULES_VERSION}.jsonl"][:written]
    with pytest.raises(IntegrityError, match=r"summary\.json is missing"):
        read_summary(folder)


def test_a_folder_that_is_not_there_is_not_complete(folder):
    assert not is_complete(folder)


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_samples_that_were_changed_are_noticed(folder, change):
    write(folder)
    samples = folder / "samples.jsonl"
    if change == "edit":
        samples.write_bytes(samples.read_bytes().replace(b"sorry", b"happy", 1))
    else:
        samples.unlink()
    with pytest.raises(IntegrityError, match="was changed or is missing") as caught:
        read_summary(folder)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("summary", [b"{", b"[]", b"{}", b'{"files": null}'])
def test_a_damaged_summary_is_an_integrity_error(folder, summary):
    write(folder)
    write_bytes(folder / "summary.json", summary)
    with pytest.raises(IntegrityError):
        read_summary(folder)


def test_samples_with_a_field_missing_are_damaged(folder):
    write(folder)
    write_bytes(folder / "samples.jsonl", b'{"prompt_id": "p0"}\n')
    with pytest.raises(IntegrityError, match="is damaged"):
        read_samples(folder)


def test_scores_of_other_rules_are_not_believed_but_made_anew_from_the_samples(folder):
    write(folder, rules="refusal-0")
    scores = folder / "scores.refusal-0.jsonl"
    write_bytes(scores, scores.read_bytes().replace(b'"refused":1.0', b'"refused":0.0'))
    evaluated = read_evaluation(folder, PROMPTS, "step 10", None)
    assert {row.labels["refused"] for row in evaluated.labelled} == {1.0}
    (rate,) = evaluated.estimates([measure_named("refusal.unsafe")])
    assert (rate.value, rate.prompts) == (1.0, 2)


def test_evaluating_again_leaves_no_scores_of_the_samples_before(folder):
    write(folder, rules="refusal-0")
    write(folder, samples=SAMPLES[:4])
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["samples.jsonl", f"scores.{RULES_VERSION}.jsonl", "summary.json"]
    )
    assert len(read_samples(folder)) == 4


def test_answers_to_prompts_outside_the_set_are_refused(folder):
    write(folder)
    with pytest.raises(IntegrityError, match="not in its set"):
        read_evaluation(folder, PROMPTS[:2], "step 10", None)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "eval").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        write(tmp_path / "eval" / "step-000010")


def test_a_disk_that_fills_up_before_the_summary_leaves_it_incomplete(folder, monkeypatch):
    write(folder)
    fsync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PpoError, match=r"No space is left on the disk of .*summary\.json"):
        write(folder)
    assert not is_complete(folder)


# --- what an evaluation is of ------------------------------------------------------------------------


def reread(folder):
    return read_evaluation(folder, PROMPTS, "step 10", None)


def rewrite_samples(folder, change):
    """Changes the samples and, as a careful editor would, their digest in the summary too."""
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    write_bytes(folder / "samples.jsonl", "".join(change(lines)).encode())
    edit_summary(folder, files={"samples.jsonl": sha256_file(folder / "samples.jsonl")})


def edit_summary(folder, **changes):
    summary = {**read_json(folder / "summary.json"), **changes}
    summary.pop("sha256")
    write_json(folder / "summary.json", {**summary, "sha256": sha256_of(summary)})


@pytest.mark.parametrize(
    "change",
    [lambda lines: lines[::2], lambda lines: lines[:-1], lambda lines: lines * 2, lambda lines: lines[:-1] + lines[:1]],
)
def test_samples_that_are_missing_or_there_twice_are_noticed(folder, change):
    write(folder)
    reread(folder)
    rewrite_samples(folder, change)
    with pytest.raises(IntegrityError, match="does not hold each answer once"):
        reread(folder)


def test_answers_to_prompts_of_another_wording_are_refused(folder):
    write(folder)
    with pytest.raises(IntegrityError, match="other prompts than these"):
        read_evaluation(folder, [replace(prompt, text="else") for prompt in PROMPTS], "step 10", None)


def test_a_summary_that_was_edited_is_noticed(folder):
    write(folder)
    summary = read_json(folder / "summary.json")
    write_json(folder / "summary.json", {**summary, "measures": {}})
    for read in (read_summary, read_measured):
        with pytest.raises(IntegrityError, match=r"summary\.json was edited"):
            read(folder)


@pytest.mark.parametrize(("what", "value"), [("lock", "b"), ("step", 9), ("checkpoint", "d")])
def test_an_evaluation_of_another_run_step_or_checkpoint_is_refused(folder, what, value):
    of = {"lock": "a", "step": 10, "checkpoint": "c"}
    summary = {"of": {**of, what: value}}
    with pytest.raises(IntegrityError, match="evaluation of another"):
        require_evaluation_of(summary, EvaluatedPolicy(**of), folder)
    require_evaluation_of({"of": of}, EvaluatedPolicy(**of), folder)


# --- answers so far ----------------------------------------------------------------------------------

A, B = AskedPrompt("a", "1"), AskedPrompt("b", "2")


def rows_of(*texts):
    return [[{"token_ids": [number], "text": text} for number in range(2)] for text in texts]


def test_partial_samples_are_known_by_their_prompt_not_by_their_place(tmp_path):
    PartialSamples(tmp_path, {"x": 1}).add([A, B], rows_of("a", "b"))
    again = PartialSamples(tmp_path, {"x": 1})
    assert again.answers([B, A], 2) == rows_of("b", "a")
    assert again.answers([AskedPrompt("a", "changed")], 2) is None
    assert again.answers([A], 3) is None
    assert PartialSamples(tmp_path, {"x": 2}).answers([A], 2) is None


def test_an_answer_under_another_prompt_is_not_taken_up(tmp_path):
    PartialSamples(tmp_path, {}).add([A, B], rows_of("a", "b"))
    path = tmp_path / "partial_samples.jsonl"
    header, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *lines[2:], *lines[:1]]))
    again = PartialSamples(tmp_path, {})
    assert (again.answers([A], 2), again.answers([B], 2)) == (None, rows_of("b"))


def test_one_process_at_a_time_evaluates_into_a_folder(tmp_path):
    with sole_evaluation(tmp_path / "e"):
        with pytest.raises(UsageError, match="Another process is evaluating"), sole_evaluation(tmp_path / "e"):
            pass
        (tmp_path / "e" / "inside").touch()
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["inside"]
    with sole_evaluation(tmp_path / "e"):
        pass


def test_an_evaluation_is_not_written_through_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "e").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"), sole_evaluation(tmp_path / "e"):
        pass
