"""A whole run on a tiny model: its folder, its repetition to the byte, and its life after being stopped or killed."""

import json
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.experiment.load import load_experiment
from tests.terminal import AS_MODULE, only_run, outcome, records, refused, start, succeed

RUN_FILES = ("run.json", "config.yaml", "freeze.lock", "provenance.json", "metrics.jsonl", "rollouts.jsonl")
MAX_WAIT_SECONDS = 60
"""For a file of a run in another process."""


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_leaves_the_folder_that_was_promised(trained):
    run = trained()
    assert run.name.startswith("tiny-kl0.05-s1-")
    for name in (*RUN_FILES, "inputs/train.jsonl", "inputs/eval.jsonl", "inputs/chat_template.jinja", "reports"):
        assert (run / name).exists(), name
    assert [row["update"] for row in lines(run / "metrics.jsonl")] == [1, 2, 3, 4]
    assert [row["episode"] for row in lines(run / "rollouts.jsonl")] == list(range(1, 33))
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-000002", "step-000004"]
    for step in (0, 2, 4):
        folder = run / "eval" / f"step-{step:06d}"
        assert {"samples.jsonl", "summary.json"} <= {path.name for path in folder.iterdir()}
        assert len(list(folder.glob("scores.*.jsonl"))) == 1
    assert [path.name for path in run.rglob(".*")] == [".running"]
    assert not [path for path in run.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_a_run_says_what_became_of_it(trained):
    run = trained()
    state = json.loads((run / "run.json").read_text())
    assert (state["id"], state["status"], state["exit_code"], state["updates_done"]) == (run.name, "finished", 0, 4)
    assert state["changed_keys"] == {}
    came_from = json.loads((run / "provenance.json").read_text())
    assert came_from["reference"]["sha256_at_start"] == came_from["reference"]["sha256_at_end"]
    assert came_from["packages"]["trl"]
    assert came_from["seeds"] == {"run": 1, "evaluation": 5}


def test_every_episode_has_its_prompt_its_answer_its_reward_by_term_and_its_kl(trained):
    for row in lines(trained() / "rollouts.jsonl"):
        assert row["prompt"]
        assert isinstance(row["answer"], str)
        assert set(row["terms"]) == set(row["baseline_terms"]) == {"ends_turn", "matches_expect"}
        expected = sum(
            weight * (row["terms"][name] - row["baseline_terms"][name])
            for name, weight in (("ends_turn", 1.0), ("matches_expect", 0.5))
        )
        assert row["reward"] == pytest.approx(expected)
        assert isinstance(row["kl"], float)


def test_only_the_policy_moved(trained, tiny_model):
    before = AutoModelForCausalLM.from_pretrained(tiny_model).state_dict()
    after = AutoModelForCausalLM.from_pretrained(trained() / "checkpoints" / "step-000004").state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("model.layers.2.", "model.layers.3.")) for name in moved)


def test_the_checkpoint_is_a_plain_model_that_generates(trained):
    folder = trained() / "checkpoints" / "step-000004"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "hello there"}]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    assert answer.shape[1] > inputs["input_ids"].shape[1]


def test_the_config_of_a_run_is_a_config_again_and_gives_the_same_run(trained, tmp_path):
    copy = Path(shutil.copytree(trained(), tmp_path / "elsewhere"))
    experiment = load_experiment(copy / "config.yaml").experiment
    assert experiment.prompts.eval == str(copy / "inputs" / "eval.jsonl")
    succeed("train", copy / "config.yaml", "--runs-dir", "runs")
    assert only_run().name == trained().name
    assert records(only_run()) == records(trained())


def test_the_same_command_again_gives_the_same_bytes(shared_config, trained):
    first = trained()
    screen = succeed("train", shared_config, "--repeat", "--runs-dir", "runs", "--json")
    second = only_run()
    assert records(second) == records(first)
    for step in (0, 2, 4):
        samples = f"eval/step-{step:06d}/samples.jsonl"
        assert (second / samples).read_bytes() == (first / samples).read_bytes()
    assert screen.json["run"] == second.name == first.name
    reference = json.loads((second / "provenance.json").read_text())["reference"]
    assert reference["sha256_at_start"] == reference["sha256_at_end"]


def test_a_reference_that_moves_is_noticed(tiny_config, monkeypatch):
    finish = PolicyTrainer.finish_update

    def nudged(trainer, metrics):
        finish(trainer, metrics)
        trainer.policy.model.get_input_embeddings().weight.data[0, 0] += 1e-3

    monkeypatch.setattr(PolicyTrainer, "finish_update", nudged)
    assert "the reference's weights changed during training. →" in refused("train", tiny_config, code=4)


def test_again_stands_beside_the_first_and_touches_nothing_of_it(shared_config, trained, tmp_path):
    output = tmp_path / "output"
    first = Path(shutil.copytree(trained(), output / trained().name))
    succeed("train", shared_config, "--repeat", "--runs-dir", output, "checkpoints.keep=1", "evaluation.every=0")
    assert sorted(path.name for path in output.iterdir()) == [first.name, f"{first.name}-2"]
    assert records(first) == records(trained())
    assert [path.name for path in (output / f"{first.name}-2" / "checkpoints").iterdir()] == ["step-000004"]


@pytest.mark.parametrize("every", [0, 1])
def test_evaluating_more_or_less_often_changes_no_number_of_the_training(trained, every):
    other = trained(f"evaluation.every={every}")
    assert records(other) == records(trained())
    steps = [path.name for path in sorted((other / "eval").iterdir())]
    assert len(steps) == (2 if every == 0 else 5)


def test_another_seed_gives_another_run(trained):
    assert records(trained("seed=2")) != records(trained())


def test_a_run_stops_at_its_kl_line_and_says_so(tiny_config):
    screen = succeed("train", tiny_config, "kl.stop_at=0.05")
    run = only_run()
    state = json.loads((run / "run.json").read_text())
    assert state["status"] == "stopped_early"
    assert "above kl.stop_at = 0.05" in state["reason"]
    assert state["updates_done"] < 4
    assert (run / "checkpoints" / f"step-{state['updates_done']:06d}" / "model.safetensors").is_file()
    assert "kl.stop_at" in screen.out


# --- stopped and killed ------------------------------------------------------------------------------


def wait_for(condition, process):
    end = time.monotonic() + MAX_WAIT_SECONDS
    while not condition():
        assert process.poll() is None, outcome(process)
        assert time.monotonic() < end
        time.sleep(0.002)


def updates_written(folder):
    return sum(path.read_text().count("\n") for path in Path(folder).glob("runs/*/metrics.jsonl"))


@pytest.fixture(scope="module")
def interrupted(shared_config, tmp_path_factory):
    """A run that got Ctrl-C after its first update, and what the user then saw."""
    folder = tmp_path_factory.mktemp("interrupted")
    process = start("train", shared_config, cwd=folder)
    wait_for(lambda: updates_written(folder) >= 1, process)
    process.send_signal(signal.SIGINT)
    return only_run(folder / "runs"), outcome(process)


@pytest.mark.process
def test_ctrl_c_ends_with_130_and_says_how_to_go_on(interrupted):
    run, screen = interrupted
    state = json.loads((run / "run.json").read_text())
    done = state["updates_done"]
    assert screen.code == 130
    assert (state["status"], state["exit_code"]) == ("interrupted", 130)
    assert f"error: Interrupted after update {done} of 4; nothing is lost." in screen.err
    assert screen.err.endswith(f"→ Continue with: {AS_MODULE} train --resume runs/{run.name}\n")
    assert "Traceback" not in screen.err
    assert 1 <= done < 4
    assert [row["update"] for row in lines(run / "metrics.jsonl")] == list(range(1, done + 1))


@pytest.mark.process
def test_the_last_checkpoint_of_an_interrupted_run_can_be_evaluated(interrupted, tmp_path):
    run = Path(shutil.copytree(interrupted[0], tmp_path / "copy" / interrupted[0].name))
    last = max((run / "checkpoints").iterdir())
    assert last.name == f"step-{json.loads((run / 'run.json').read_text())['updates_done']:06d}"
    screen = succeed("eval", "--checkpoint", last, "--json")
    assert screen.json["comparison"]["before"] == "step 0"


@pytest.mark.process
def test_an_interrupted_run_goes_on_to_the_same_bytes(interrupted, trained, tmp_path):
    run = Path(shutil.copytree(interrupted[0], tmp_path / "runs" / interrupted[0].name))
    succeed("train", "--resume", run.name)
    assert records(run) == records(trained())
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


@pytest.mark.process
def test_a_run_goes_on_from_the_last_checkpoint_that_is_whole(shared_config, trained, tmp_path):
    process = start("train", shared_config, "checkpoints.every=1", cwd=tmp_path)
    wait_for(lambda: updates_written(tmp_path) >= 3, process)
    process.kill()
    outcome(process)
    run = only_run(tmp_path / "runs")
    last = max((run / "checkpoints").glob("step-*"))
    (last / "model.safetensors").write_bytes(b"half")
    screen = succeed("train", "--resume", run)
    assert f"{last.name}.damaged" in screen.out
    assert records(run) == records(trained())


@pytest.mark.process
def test_a_run_goes_on_with_the_threads_it_began_with(interrupted, trained, tmp_path):
    run = Path(shutil.copytree(interrupted[0], tmp_path / "runs" / interrupted[0].name))
    torch.set_num_threads(2)
    succeed("train", "--resume", run)
    assert torch.get_num_threads() == 1
    assert records(run) == records(trained())


@pytest.mark.process
def test_a_run_killed_from_outside_shows_as_interrupted_and_goes_on_to_the_same_bytes(shared_config, trained, tmp_path):
    process = start("train", shared_config, cwd=tmp_path)
    wait_for(lambda: updates_written(tmp_path) >= 3, process)
    process.kill()
    assert outcome(process).code == -signal.SIGKILL
    run = only_run(tmp_path / "runs")
    (row,) = succeed("runs", "--json").json
    assert row["state"]["status"] == "interrupted"
    succeed("train", "--resume", run)
    assert records(run) == records(trained())
