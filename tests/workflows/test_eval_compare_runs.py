"""Looking at runs: evaluating their checkpoints, comparing two of them, listing them all."""

import json
import shutil
from pathlib import Path

import pytest

from ppo_cli.evaluation import evaluate
from tests.terminal import error_of, fingerprint, ppo, refused, succeed
from tests.tiny_models import rows, save_tiny_model, write_rows


@pytest.fixture
def copy(tmp_path):
    """A run of one's own to work on."""

    def copy(run):
        return Path(shutil.copytree(run, tmp_path / "runs" / run.name))

    return copy


# --- eval --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_checkpoint_evaluated_again_gives_the_same_answers_and_the_same_change(trained, copy):
    run = copy(trained())
    before = fingerprint(run)
    shutil.rmtree(run / "eval" / "step-000004")
    result = succeed("eval", "--checkpoint", run / "checkpoints" / "step-000004", "--json").json
    assert fingerprint(run) == before
    assert result["name"] == f"{run.name}/step-000004"
    assert (result["prompts"], result["samples_per_prompt"]) == (16, 2)
    assert result["comparison"]["before"] == "step 0"
    ended = next(change for change in result["comparison"]["changes"] if change["name"] == "ending.eos")
    assert ended["after"] > ended["before"]


def test_what_train_has_evaluated_is_shown_without_sampling_until_it_is_damaged(trained, copy, monkeypatch):
    run, answered = copy(trained()), []
    original = evaluate.sample_answers
    monkeypatch.setattr(evaluate, "sample_answers", lambda *given: answered.append(1) or original(*given))
    before = fingerprint(run)
    screen = succeed("eval", run)
    assert f"{run.name}/step-000004 is not sampled again: its answers are in " in " ".join(screen.out.split())
    assert succeed("eval", run, "--json").json["comparison"]["before"] == "step 0"
    assert fingerprint(run) == before
    assert answered == []

    change_one_byte(run / "eval" / "step-000004" / "samples.jsonl")
    screen = succeed("eval", run)
    assert f"So {run.name}/step-000004 is sampled again." in " ".join(screen.out.split())
    assert fingerprint(run) == before
    assert answered == [1]

    write_rows(Path("mine.jsonl"), rows("mine", 5, start=90))
    first, again = (succeed("eval", run, "--prompts", "mine.jsonl", "--json").json for _ in range(2))
    assert first == again
    assert answered == [1] * 3  # of the checkpoint and of step 0, once


def test_a_checkpoint_on_other_prompts_leaves_the_frozen_evaluation_alone(trained, copy, tmp_path):
    run = copy(trained())
    before = fingerprint(run)
    write_rows(tmp_path / "mine.jsonl", rows("mine", 5, start=90))
    result = succeed(
        "eval", "--checkpoint", run / "checkpoints" / "step-000004", "--prompts", "mine.jsonl", "--json"
    ).json
    after = fingerprint(run)
    assert {name: after[name] for name in before} == before
    assert result["prompts"] == result["comparison"]["prompts"] == 5
    samples = Path(result["folder"]) / "samples.jsonl"
    assert samples.parent.parent == run / "eval"
    assert samples.parent.name.startswith("step-000004--mine-")
    assert len(samples.read_text().splitlines()) == 10


def test_other_prompts_are_read_as_strictly_as_any(trained, tmp_path):
    checkpoint = trained() / "checkpoints" / "step-000004"
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "prompt": "x"}\n{"id": "a", "prompt": "y"}\n')
    assert "line 2: id 'a' was already used" in refused("eval", "--checkpoint", checkpoint, "--prompts", "mine.jsonl")


def test_a_foreign_model_is_evaluated_with_the_settings_of_a_config(trained, shared_config, tmp_path):
    model = save_tiny_model(tmp_path / "foreign", seed=7)
    result = succeed("eval", "--checkpoint", model, "--config", shared_config, "--json").json
    assert result["name"] == str(model)
    assert Path(result["folder"]).parent == Path("runs/evaluations")
    assert (Path(result["folder"]) / "summary.json").is_file()
    assert succeed("runs", "--json").json == []


def test_the_start_model_evaluated_on_its_own_is_step_zero_of_its_runs(trained, shared_config, tiny_model):
    result = succeed("eval", "--checkpoint", tiny_model, "--config", shared_config, "--json").json
    samples = Path(result["folder"]) / "samples.jsonl"
    assert samples.read_bytes() == (trained() / "eval" / "step-000000" / "samples.jsonl").read_bytes()


def test_a_config_of_a_run_serves_as_settings_too(trained, tiny_model):
    result = succeed("eval", "--checkpoint", tiny_model, "--config", trained() / "config.yaml", "--json").json
    assert result["prompts"] == 16


# --- compare -----------------------------------------------------------------------------------------


def test_two_runs_that_differ_in_one_key_are_compared_and_the_key_is_named(trained):
    a, b = trained(), trained("kl.coef=0.5")
    (result,) = succeed("compare", a, b, "--json").json
    assert result["treatments"] == {"kl.coef": [0.05, 0.5]}
    assert set(result["confounders"]) <= {"git"}  # somebody may commit between two runs of this test
    assert result["same_run"] is False
    assert (result["before"], result["after"]) == (a.name, b.name)
    assert result["steps"] == [4, 4]
    screen = succeed("compare", a, b)
    assert "kl.coef" in screen.out
    assert "0.05 → 0.5" in screen.out
    assert "ppo.learning_rate" not in screen.out


def test_a_run_compared_with_itself_differs_by_exactly_nothing(trained):
    (result,) = succeed("compare", trained(), trained(), "--json").json
    assert result["same_run"] is True
    assert result["treatments"] == {}
    assert result["comparison"]["flips"] == []
    for change in result["comparison"]["changes"]:
        assert change["difference"] in (0.0, 1.0, None), change
        assert change["before"] == change["after"]
        if change["difference"] is not None:
            assert change["low_95"] == change["high_95"] == change["difference"]


def test_several_runs_are_each_compared_with_the_first(trained):
    a, b, c = trained(), trained("kl.coef=0.5"), trained("kl.stop_at=0.05")
    first, second = succeed("compare", a, b, c, "--json").json
    assert [first["after"], second["after"]] == [b.name, c.name]
    assert [set(first["treatments"]), set(second["treatments"])] == [{"kl.coef"}, {"kl.stop_at"}]


def test_two_seeds_of_one_setting_are_its_noise_floor(trained, copy):
    a, b = copy(trained()), copy(trained("seed=2"))
    (result,) = succeed("compare", a, b, "--json").json
    assert (result["treatments"], result["seeds"]) == ({}, [1, 2])
    (other,) = succeed("compare", a, trained("kl.coef=0.5"), "--json").json
    assert other["seed_noise"]["runs"] == [a.name, b.name]


def test_runs_are_found_by_name_in_the_output_folder(trained, copy):
    a, b = copy(trained()), copy(trained("kl.coef=0.5"))
    assert succeed("compare", a.name, b.name, "--json").json[0]["after"] == b.name


def test_two_variables_at_once_are_called_confounded(trained):
    a, b = trained(), trained("kl.coef=0.5", "ppo.learning_rate=2e-2")
    message = refused("compare", a, b, code=3)
    assert "onfounded: 2 variables differ (kl.coef, ppo.learning_rate)" in message
    (result,) = succeed("compare", a, b, "--allow-confounded", "--json").json
    assert set(result["treatments"]) == {"kl.coef", "ppo.learning_rate"}


def test_other_evaluation_prompts_are_not_comparable(trained, tmp_path_factory):
    other = write_rows(tmp_path_factory.mktemp("other") / "eval.jsonl", rows("eval", 15, start=60))
    message = refused("compare", trained(), trained("ppo.updates=2", f"prompts.eval={other}"), code=3)
    assert "are not comparable: the evaluation sets differ" in message


def test_other_generation_settings_are_not_comparable(trained):
    message = refused("compare", trained(), trained("ppo.updates=2", "evaluation.temperature=0.5"), code=3)
    assert "not comparable: the evaluations sample differently (evaluation.temperature 1.0 and 0.5)" in message


def change_one_byte(path):
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    place = content.index(b"a", len(content) // 2)
    content[place] = ord("e")
    path.write_bytes(content)


PINNED = {
    "inputs/eval.jsonl": "eval_set",
    "inputs/train.jsonl": "train_set",
    "inputs/chat_template.jinja": "start_model",
    "config.yaml": "config",
}


@pytest.mark.parametrize("name", PINNED)
def test_one_changed_byte_in_a_pinned_file_is_noticed_by_every_command(trained, copy, name):
    run = copy(trained())
    change_one_byte(run / name)
    commands = [
        ["compare", trained(), run],
        ["compare", run, trained()],
        ["eval", "--checkpoint", run / "checkpoints" / "step-000004"],
    ]
    for words in commands:
        message = refused(*words, code=4)
        assert f"{run.name}: {name} (group {PINNED[name]}) was changed after freezing. → Restore the file" in message

    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "status": "interrupted"}))
    assert f"(group {PINNED[name]}) was changed" in refused("train", "--resume", run, code=4)


def test_an_edited_or_missing_lock_is_noticed(trained, copy):
    run = copy(trained())
    lock = run / "freeze.lock"
    lock.chmod(0o644)
    text = lock.read_text()
    lock.write_text(text.replace("kl.coef: 0.05", "kl.coef: 0.06"))
    assert "was edited after freezing: group kl." in refused("compare", trained(), run, code=4)
    lock.unlink()
    assert "freeze.lock is missing" in refused("compare", trained(), run, code=4)


def test_changed_answers_are_noticed(trained, copy):
    run = copy(trained())
    change_one_byte(run / "eval" / "step-000004" / "samples.jsonl")
    assert "samples.jsonl was changed or is missing" in refused("compare", trained(), run, code=4)


def test_another_start_model_under_the_same_path_is_noticed(trained, copy, tmp_path):
    model = save_tiny_model(tmp_path / "model", seed=1)
    run = copy(trained(f"model.start={model}", "ppo.updates=2"))
    save_tiny_model(model, seed=2)
    shutil.rmtree(run / "eval" / "step-000002")
    message = refused("eval", "--checkpoint", run / "checkpoints" / "step-000002", code=4)
    assert "group start_model is not what was frozen (weights differ)" in message


# --- runs --------------------------------------------------------------------------------------------


def test_runs_lists_each_run_and_what_differs_between_them(trained, copy):
    a, b = copy(trained()), copy(trained("kl.coef=0.5"))
    screen = succeed("runs")
    assert a.name in screen.out
    assert b.name in screen.out
    assert "finished" in screen.out
    assert "kl.coef" in screen.out
    assert "ppo.updates" not in screen.out
    listed = succeed("runs", "--json").json
    assert {row["state"]["id"] for row in listed} == {a.name, b.name}
    assert [row["step"] for row in listed] == [4, 4]
    assert all("ending.eos" in row["measures"] for row in listed)
    assert next(row for row in listed if row["state"]["id"] == b.name)["state"]["changed_keys"] == {"kl.coef": "0.5"}


def test_runs_in_an_empty_place_says_how_to_make_one():
    assert "ppo train" in succeed("runs").out
    assert succeed("runs", "--json").json == []


@pytest.mark.parametrize("damage", ["run.json", "config.yaml", "eval/step-000004/summary.json"])
def test_one_damaged_run_does_not_hide_the_others(trained, copy, damage):
    whole, torn = copy(trained("kl.coef=0.5")), copy(trained())
    (torn / damage).chmod(0o644)
    (torn / damage).write_text("{")
    listed = {Path(row["state"]["id"]).name: row for row in succeed("runs", "--json").json}
    assert listed[whole.name]["problem"] is None
    assert damage.rpartition("/")[2] in listed[torn.name]["problem"]
    assert torn.name in succeed("runs").out


def test_a_stopped_run_is_compared_too(trained):
    stopped = trained("kl.stop_at=0.05")
    (result,) = succeed("compare", trained(), stopped, "--json").json
    assert result["treatments"] == {"kl.stop_at": [None, 0.05]}
    assert result["steps"][1] < 4


def test_a_refusal_as_json_keeps_its_code(trained):
    screen = ppo("compare", trained(), trained("kl.coef=0.5", "ppo.learning_rate=2e-2"), "--json")
    assert screen.code == screen.json["exit_code"] == 3
    assert error_of(ppo("compare", trained(), "none"))
