"""A training reads, parses, tokenizes and tabulates each thing once; what was read is what the run keeps."""

import json
import shutil
from pathlib import Path

import pytest

from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.store.runs import Run
from ppo_cli.training import train as command
from tests.counting import counting
from tests.terminal import only_run, records, succeed
from tests.tiny_models import rows, write_rows
from tests.workflows.test_rewards import with_terms


def test_training_does_each_thing_once(tiny_config, monkeypatch):
    files = [str(tiny_config.parent / name) for name in ("train.jsonl", "eval.jsonl")]
    prompts = [prompt.text for file in files for prompt in read_prompts(Path(file))]
    counts = counting(monkeypatch)
    succeed("train", tiny_config)
    assert counts.parsed == {str(tiny_config): 1}
    assert counts.read == dict.fromkeys(files, 1)
    assert [counts.opened[file] for file in files] == [1, 1]
    assert {text: counts.tokenized[text] for text in prompts} == dict.fromkeys(prompts, 1)
    assert list(counts.loaded.values()) == [1]  # the start model, which is the policy, the reference and the critic's
    evaluations = sorted((only_run() / "eval").iterdir())
    assert list(counts.matrices.values()) == [1] * len(evaluations)


def test_resuming_does_each_thing_once(tiny_config, monkeypatch):
    succeed("train", tiny_config)
    run = only_run()
    Run(run).update_state(status="interrupted")
    copies = [str((run / "inputs" / name).absolute()) for name in ("train.jsonl", "eval.jsonl")]
    prompts = [prompt.text for file in copies for prompt in read_prompts(Path(file))]
    counts = counting(monkeypatch)
    succeed("train", "--resume", run)
    assert counts.parsed == {str(run / "config.yaml"): 1}
    assert counts.read == dict.fromkeys(copies, 1)
    assert {text: counts.tokenized[text] for text in prompts} == dict.fromkeys(prompts, 1)
    assert set(counts.matrices.values()) == {1}


def test_a_file_that_the_reward_names_is_frozen_from_one_reading(tiny_config, monkeypatch):
    """Besides, Python reads a function's code when it imports it."""
    file = tiny_config.parent / "mine.py"
    file.write_text("def score(answers):\n    return [len(answer) / 8 for answer in answers]\n")
    with_terms(tiny_config, mine={"type": "python", "function": "mine.py:score"})
    counts = counting(monkeypatch)
    succeed("train", tiny_config, "ppo.updates=2")
    assert counts.opened[str(file)] == 1


@pytest.mark.parametrize("name", ["train.jsonl", "eval.jsonl"])
def test_a_prompt_file_that_is_saved_while_a_run_starts_does_not_harm_the_run(tiny_config, monkeypatch, name):
    """The rows, the lock and the copy come from one reading, so that the run can be resumed."""
    file = tiny_config.parent / name
    before = file.read_text(encoding="utf-8")
    freeze = command.freeze_inputs

    def saved_meanwhile(*words):
        write_rows(file, rows("other", 30, start=120))
        return freeze(*words)

    monkeypatch.setattr(command, "freeze_inputs", saved_meanwhile)
    succeed("train", tiny_config)
    run = Run(only_run())
    assert (run.layout.inputs / name).read_text(encoding="utf-8") == before
    known = {row["id"] for row in map(json.loads, before.splitlines())}
    if name == "train.jsonl":
        episodes = map(json.loads, run.layout.rollouts.read_text(encoding="utf-8").splitlines())
        assert {episode["prompt_id"] for episode in episodes} <= known
    run.verify()
    run.update_state(status="interrupted")
    succeed("train", "--resume", run.layout.root)


def test_a_baseline_answer_is_scored_once_before_the_first_update_and_a_resumed_run_goes_on_with_the_same_bytes(
    tiny_config, tmp_path
):
    calls = tmp_path / "calls.txt"
    code = f"def score(prompts, answers):\n    with open({str(calls)!r}, 'a') as file:\n"
    code += "        file.write(f'{len(answers)}\\n')\n    return [len(a) / 8 for a in answers]\n"
    (tiny_config.parent / "mine.py").write_text(code)
    with_terms(tiny_config, mine={"type": "python", "function": "mine.py:score"})
    screen = succeed("train", tiny_config, "ppo.updates=4")
    assert "scoring the baseline answers (24 answers)" in screen.out
    sizes = [int(line) for line in calls.read_text().splitlines()]
    assert sizes[-4:] == [8] * 4  # the updates score their own answers alone
    run = only_run()
    before = records(run)

    shutil.rmtree(run / "checkpoints" / "step-000004")
    shutil.rmtree(run / "eval" / "step-000004")
    Run(run).update_state(status="interrupted")
    succeed("train", "--resume", run)
    assert records(run) == before
