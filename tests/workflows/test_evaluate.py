"""What `ppo eval` does beyond one evaluation: goes on after a kill, scores again, compares steps, goes by category."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ppo_cli.evaluation.evaluate import evaluate
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.models import sampling
from ppo_cli.training.train import resume
from tests.terminal import fingerprint, process_environment, refused, succeed
from tests.tiny_models import rows, write_rows


@pytest.fixture
def copy(tmp_path):
    """A run of one's own to work on."""

    def copy(run, where="runs"):
        return Path(shutil.copytree(run, tmp_path / where / run.name))

    return copy


@pytest.fixture
def small_batches(trained, monkeypatch):
    """Eight answers side by side, so that the tiny evaluation has several batches; counts how many are sampled."""
    trained(), trained("kl.coef=0.5")  # made before, as ever
    monkeypatch.setattr(sampling, "MAX_ROWS_PER_BATCH", 8)
    sample, batches = sampling.sample_answers, []

    def counting(model, prompts, *others):
        batches.append(len(prompts))
        return sample(model, prompts, *others)

    monkeypatch.setattr(sampling, "sample_answers", counting)
    return batches


class Killed(BaseException):
    """The end of a process, as the code inside it sees it: no handler runs."""


def die_at(batches, number):
    """A watcher that ends the process while the batch of this number is being sampled."""

    def on_event(event):
        if len(batches) == number:
            raise Killed

    return on_event


def evaluate_until(run, batches, wanted):
    """Evaluates the last checkpoint and dies once so many batches have been sampled."""
    with pytest.raises(Killed):
        evaluate(str(run / "checkpoints" / "step-000004"), on_event=die_at(batches, wanted + 1))


# --- going on after a kill ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_killed_evaluation_goes_on_and_ends_with_the_same_bytes(trained, copy, small_batches, done):
    whole, killed = copy(trained()), copy(trained(), "killed")
    shutil.rmtree(whole / "eval" / "step-000004")
    evaluate(str(whole / "checkpoints" / "step-000004"))
    assert small_batches == [4, 4, 4, 4]

    shutil.rmtree(killed / "eval" / "step-000004")
    small_batches.clear()
    evaluate_until(killed, small_batches, done)
    folder = killed / "eval" / "step-000004"
    rows = [json.loads(line) for line in (folder / "partial_samples.jsonl").read_text().splitlines()[1:]]
    assert len({(row["prompt_id"], row["prompt_sha256"], row["sample"]) for row in rows}) == len(rows)
    assert bool(rows) == bool(done)
    with (folder / "partial_samples.jsonl").open("a") as partial:
        partial.write('{"prompt_id": "e')  # what a kill leaves of a line

    small_batches.clear()
    evaluate(str(killed / "checkpoints" / "step-000004"))
    assert len(small_batches) == 4 - done
    assert fingerprint(folder) == fingerprint(whole / "eval" / "step-000004")


def test_what_was_sampled_with_other_weights_is_thrown_away(trained, copy, small_batches):
    run, other = copy(trained()), trained("kl.coef=0.5")
    shutil.rmtree(run / "eval" / "step-000004")
    evaluate_until(run, small_batches, 2)
    checkpoint = run / "checkpoints" / "step-000004"
    manifest = json.loads((checkpoint / "checkpoint.json").read_text())
    shutil.rmtree(checkpoint)
    shutil.copytree(other / "checkpoints" / "step-000004", checkpoint)
    foreign = json.loads((checkpoint / "checkpoint.json").read_text())
    of_this_run = {**foreign, "run": manifest["run"], "lock": manifest["lock"]}
    (checkpoint / "checkpoint.json").write_text(json.dumps(of_this_run))
    small_batches.clear()
    evaluate(str(checkpoint))
    assert len(small_batches) == 4


def test_a_training_killed_within_an_evaluation_goes_on_within_it(trained, copy, small_batches):
    run = copy(trained())
    whole = fingerprint(run / "eval" / "step-000004")
    shutil.rmtree(run / "eval" / "step-000004")
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "status": "interrupted"}))
    with pytest.raises(Killed):
        resume(run.name, runs_dir=run.parent, on_event=die_at(small_batches, 3))
    assert (run / "eval" / "step-000004" / "partial_samples.jsonl").is_file()

    small_batches.clear()
    succeed("train", "--resume", run)
    assert len(small_batches) == 2
    again = fingerprint(run / "eval" / "step-000004")
    assert again["samples.jsonl"] == whole["samples.jsonl"]
    assert "partial_samples.jsonl" not in again


# --- scoring again -----------------------------------------------------------------------------------


def test_rescoring_gives_what_the_evaluation_gave_without_touching_the_answers(trained, copy):
    run = copy(trained())
    before = fingerprint(run / "eval" / "step-000004")
    shown = succeed("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--json").json
    (scores,) = (run / "eval" / "step-000004").glob("scores.*.jsonl")
    scores.rename(scores.with_name("scores.refusal0.jsonl"))
    summary = run / "eval" / "step-000004" / "summary.json"
    row = {**json.loads(summary.read_text()), "rules": "refusal0", "measures": {}}
    row.pop("sha256")
    summary.write_text(json.dumps({**row, "sha256": sha256_of(row)}))
    again = succeed("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--rescore", "--json").json
    assert again == shown
    assert fingerprint(run / "eval" / "step-000004") == before


def test_a_step_whose_checkpoint_has_gone_is_scored_again_all_the_same(trained, copy):
    run = copy(trained())
    shutil.rmtree(run / "checkpoints" / "step-000002")
    before = fingerprint(run / "eval" / "step-000002")
    succeed("eval", "--checkpoint", run / "checkpoints" / "step-000002", "--rescore")
    assert fingerprint(run / "eval" / "step-000002") == before


def test_there_must_be_answers_to_score_again(trained, copy):
    run = copy(trained())
    (run / "eval" / "step-000004" / "summary.json").unlink()
    message = refused("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--rescore")
    assert "holds no complete evaluation to score again" in message


def test_changed_answers_are_not_scored_again(trained, copy):
    run = copy(trained())
    with (run / "eval" / "step-000004" / "samples.jsonl").open("a") as samples:
        samples.write("\n")
    refused("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--rescore", code=4)


@pytest.mark.process
def test_rescoring_a_run_needs_no_torch(trained, copy):
    run = copy(trained())
    script = (
        "import sys\nfrom ppo_cli.cli import app\n"
        f"app(['eval', '--checkpoint', {str(run)!r}, '--rescore'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=process_environment(), capture_output=True)


# --- other prompts, categories -----------------------------------------------------------------------


def test_step_zero_answers_other_prompts_once_to_be_compared_with(trained, copy, tmp_path):
    run = copy(trained())
    write_rows(tmp_path / "mine.jsonl", rows("mine", 5, start=90))
    words = ["eval", "--prompts", "mine.jsonl", "--json", "--checkpoint"]
    first = succeed(*words, run / "checkpoints" / "step-000004").json
    assert first["comparison"]["before"] == "step 0"
    assert first["comparison"]["prompts"] == 5
    (baseline,) = (run / "eval").glob("step-000000--mine-*")
    written = (baseline / "summary.json").stat().st_mtime_ns
    second = succeed(*words, run / "checkpoints" / "step-000002").json
    assert (baseline / "summary.json").stat().st_mtime_ns == written
    one, other = ({c["name"]: c["before"] for c in found["comparison"]["changes"]} for found in (first, second))
    assert one == other


def test_categories_stand_beside_what_step_zero_did(trained, copy):
    run = copy(trained())
    result = succeed("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--json").json
    assert {line["name"]: (line["expect"], line["prompts"]) for line in result["categories"]} == {
        "plain.x": ("comply", 4),
        "scary.x": ("comply", 4),
        "unsafe.x": ("refuse", 4),
        "unsafe.y": ("refuse", 4),
    }
    assert all(value["before"] is not None for line in result["categories"] for value in line["values"])
    assert "unsafe.y" in succeed("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--rescore").out


def test_entropy_is_in_the_table_for_step_zero_too(trained):
    result = succeed("compare", trained(), trained(), "--json").json[0]
    change = next(found for found in result["comparison"]["changes"] if found["name"] == "entropy.per_token")
    assert change["verdict"] == "info"
    summary = json.loads((trained() / "eval" / "step-000000" / "summary.json").read_text())
    assert 0 < summary["measures"]["entropy.per_token"]["value"] < 3.7  # ln of the tiny vocabulary is 3.64


# --- several checkpoints -----------------------------------------------------------------------------


def test_a_run_stands_for_all_of_its_steps_on_the_prompts_they_share(trained, copy):
    run = copy(trained("evaluation.primary=ending.eos"))  # the tiny model refuses nothing, so it has no d′
    before = fingerprint(run)
    result = succeed("eval", "--checkpoint", run, "--json").json
    assert fingerprint(run) == before
    assert [line["step"] for line in result["rows"]] == [0, 2, 4]
    assert [bool(line["checkpoint"]) for line in result["rows"]] == [False, True, True]
    assert (result["prompts"], result["of_prompts"]) == (8, 16)
    first, *others = result["rows"]
    assert first["kl"] == 0.0
    assert first["change"] is None
    assert first["frontier"] is True
    assert all(line["kl"] > 0 and line["change"]["prompts"] == 8 for line in others)
    screen = succeed("eval", "--checkpoint", run.name)
    assert "8 prompts × 2, those of 16 that every step answered" in screen.out
    assert "KL per answer, nats" in screen.out


def test_named_checkpoints_are_evaluated_on_the_whole_set_once(trained, copy):
    run = copy(trained())
    words = ["eval", "--json"]
    for name in (run / "checkpoints" / "step-000002", run / "last"):
        words += ["--checkpoint", name]
    result = succeed(*words).json
    assert result["prompts"] == result["of_prompts"] == 16
    assert [line["step"] for line in result["rows"]] == [0, 2, 4]
    after = fingerprint(run)
    assert succeed(*words).json == result
    assert fingerprint(run) == after


def test_a_step_without_an_evaluation_gets_one(trained, copy):
    run = copy(trained())
    before = fingerprint(run / "eval" / "step-000004")
    shutil.rmtree(run / "eval" / "step-000004")
    succeed("eval", "--checkpoint", run)
    assert fingerprint(run / "eval" / "step-000004")["samples.jsonl"] == before["samples.jsonl"]


def test_checkpoints_of_two_runs_are_not_put_together(trained):
    message = refused("eval", "--checkpoint", trained(), "--checkpoint", trained("kl.coef=0.5"))
    assert "only if they are of one run. → For two runs: ppo compare A B" in message
