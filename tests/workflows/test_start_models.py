"""The start model and other models of whole runs: a checkpoint as start, a folder elsewhere, code that a run brings."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from ppo_cli.store.checkpoint_names import start_checkpoint
from ppo_cli.training.sweep_plan import plan_sweep
from tests.models.test_loading import edit
from tests.terminal import only_run, ppo, refused, succeed
from tests.tiny_models import save_tiny_model
from tests.workflows.test_rewards import FUNCTION, with_terms


def interrupt(run, after=2):
    """Leaves a run as Ctrl-C leaves it after the checkpoint of an update."""
    for later in sorted((run / "checkpoints").iterdir())[1:]:
        shutil.rmtree(later)
    for evaluation in (run / "eval").iterdir():
        if evaluation.name > f"step-{after:06d}":
            shutil.rmtree(evaluation)
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "status": "interrupted"}))
    return run


def as_another_user(monkeypatch, tmp_path):
    monkeypatch.setenv("PPO_CACHE", str(tmp_path / "cache-of-another-user"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-of-another-user"))


@pytest.fixture
def model(tiny_model, tmp_path):
    return Path(shutil.copytree(tiny_model, tmp_path / "models" / "start"))


@pytest.fixture
def run(tiny_config, model):
    """A run that was interrupted after update 2."""
    succeed("train", tiny_config, f"model.start={model}")
    return interrupt(only_run())


@pytest.mark.slow
def test_a_run_that_starts_from_a_checkpoint_is_whole_and_says_where_it_comes_from(trained, tiny_config):
    first = trained()
    checkpoint = first / "checkpoints" / "step-000002"
    succeed("train", tiny_config, f"model.start={checkpoint}")
    second = only_run()
    origin = json.loads((second / "run.json").read_text())["started_from"]
    assert (origin["run"], origin["update"]) == (first.name, 2)
    assert json.loads((second / "provenance.json").read_text())["started_from"] == origin
    for name in ("last", "best"):
        succeed("eval", "--checkpoint", f"{second}/{name}", "--prompts", "tiny/train.jsonl")
    weights = [(second / "checkpoints" / "step-000004" / "model.safetensors").read_bytes()]
    succeed("train", "--resume", interrupt(second))
    weights.append((second / "checkpoints" / "step-000004" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_a_changed_checkpoint_is_no_start_model(trained, tiny_config, tmp_path):
    checkpoint = shutil.copytree(trained() / "checkpoints" / "step-000002", tmp_path / "checkpoint")
    (checkpoint / "adapter_config.json").write_text("{}")
    assert "adapter beside the weights" in refused("train", tiny_config, f"model.start={checkpoint}")
    (checkpoint / "adapter_config.json").rename(checkpoint / "more.json")
    assert "more.json is not among the files" in refused("train", tiny_config, f"model.start={checkpoint}", code=4)


def test_a_start_model_that_lies_elsewhere_is_named_and_checked_by_content(run, model, tmp_path):
    elsewhere = model.rename(tmp_path / "another-name")
    prompts = ("--prompts", "tiny/train.jsonl")
    for words in (["train", "--resume", run], ["eval", "--checkpoint", f"{run}/last", *prompts]):
        sentence = refused(*words)
        assert f"is not in {model}" in sentence
        assert "--start FOLDER" in sentence
    other = save_tiny_model(tmp_path / "other", seed=9)
    assert "group start_model is not what was frozen (weights differ)" in refused(
        "train", "--resume", run, "--start", other, code=4
    )
    assert "group start_model" in refused("eval", "--checkpoint", f"{run}/last", *prompts, "--start", other, code=4)
    succeed("eval", "--checkpoint", f"{run}/last", *prompts, "--start", elsewhere)
    succeed("train", "--resume", run, "--start", elsewhere)
    resumes = json.loads((run / "provenance.json").read_text())["resumes"]
    assert [(entry["updates_done"], entry["changed_packages"]) for entry in resumes] == [(4, {})]


def test_start_without_a_run_has_no_effect(tiny_config, tiny_model):
    assert "--resume only" in refused("train", tiny_config, "--start", tiny_model)
    assert "has no effect" in refused(
        "eval", "--checkpoint", tiny_model, "--config", tiny_config, "--start", tiny_model
    )


@pytest.mark.slow
def test_two_copies_of_one_model_are_the_same_start_model(tiny_config, model):
    copy = shutil.copytree(model, model.parent / "under-another-name")
    succeed("train", tiny_config, f"model.start={model}", "name=a")
    first = only_run()
    screen = succeed("train", tiny_config, f"model.start={copy}", "name=b", "--parent", first.name)
    assert "differ from the parent" not in screen.out + screen.err
    second = next(run for run in Path("runs").iterdir() if run.name.startswith("b-"))
    assert json.loads((second / "run.json").read_text())["changed_keys"] == {}
    compared = succeed("compare", first, second, "--json").json
    assert "model.start" not in json.dumps(compared)
    assert second.name.rpartition("-")[2] == first.name.rpartition("-")[2]  # one fingerprint
    planned = succeed("train", tiny_config, f"model.start={copy}", "name=c", "--parent", first.name, "--dry-run")
    assert "differs in: nothing" in planned.out


@pytest.mark.slow
def test_a_start_model_may_be_named_as_a_checkpoint_of_a_run(trained, tiny_config):
    first = trained()
    runs = first.parent
    prefix = first.name[: len("tiny-kl")]
    names = {
        f"{first}/best": None,
        f"{first}/last": 4,
        f"{first}/step-2": 2,
        f"{first.name}/step-000002": 2,
        f"{prefix}/last": 4,
        "latest/last": 4,
        "latest": 4,
        str(first): 4,
        first.name: 4,
    }
    best = json.loads((first / "run.json").read_text())["best_step"]
    for name, step in names.items():
        found = start_checkpoint(name, runs)
        assert found == str(first / "checkpoints" / f"step-{best if step is None else step:06d}"), name
    for other in ("builtin:x", "org/model", "gpt2", prefix, "org/last", "/no/such/folder", "a" * 5000):
        assert start_checkpoint(other, runs) == other
    assert f"there is no checkpoint {first}/checkpoints/step-000009" in refused(
        "train", tiny_config, f"model.start={first}/step-9"
    )
    screen = succeed("train", tiny_config, f"model.start={first}/step-2")
    assert f"model.start: {first}/step-2 is {first}/checkpoints/step-000002." in " ".join(
        (screen.out + screen.err).split()
    )
    second = only_run()
    origin = json.loads((second / "run.json").read_text())["started_from"]
    assert (origin["run"], origin["update"]) == (first.name, 2)
    succeed("train", "--resume", interrupt(second))
    plan = plan_sweep(tiny_config, ["model.start=latest"], seeds=2, runs_dir=runs)
    assert {arm.experiment.model.start for arm in plan.arms} == {str(first / "checkpoints" / "step-000004")}
    assert f"model.start={first}/checkpoints/step-000004" in plan.command
    checked = ppo("sft-check", f"{first}/last", "--json").json
    assert len(checked["checks"]) > 3


def test_a_checkpoint_of_another_run_or_update_is_not_taken_for_the_runs_own(trained, run):
    first, own = trained(), run / "checkpoints" / "step-000002"
    kept = own.rename(run.parent.parent / "kept")
    for foreign, update in (
        (trained("seed=2") / "checkpoints" / "step-000002", 2),
        (first / "checkpoints" / "step-000004", 4),
    ):
        shutil.copytree(foreign, own)
        written = f"it was written after update {update} of {foreign.parents[1].name}"
        for words in (["eval", "--checkpoint", f"{run}/last"], ["train", "--resume", run]):
            sentence = refused(*words, code=4)
            assert written in sentence
        if own.exists():
            shutil.rmtree(own)
    kept.rename(own)
    succeed("train", "--resume", run)


def test_changed_code_of_a_trusted_start_model_is_refused_before_it_runs(tiny_config, model):
    (model / "own.py").write_text("VALUE = 1\n")
    succeed("train", tiny_config, f"model.start={model}", "model.trust_remote_code=true")
    run = interrupt(only_run())
    (model / "own.py").write_text("VALUE = 2\n")
    for words in (["train", "--resume", run], ["eval", "--checkpoint", f"{run}/last", "--prompts", "tiny/eval.jsonl"]):
        sentence = refused(*words, code=4)
        assert f"the code of its start model was changed after freezing: {model / 'own.py'}" in sentence
    (model / "own.py").write_text("VALUE = 1\n")
    succeed("train", "--resume", run)


@pytest.mark.parametrize("key", [{"rms_norm_eps": 0.1}, {"rope_theta": 7.0}, {"sliding_window": 4}])
def test_a_start_model_with_another_config_json_is_not_what_was_frozen(run, model, key):
    edit(model / "config.json", **key)
    for words in (["train", "--resume", run], ["eval", "--checkpoint", f"{run}/last", "--prompts", "tiny/train.jsonl"]):
        assert "group start_model is not what was frozen (config differ)" in refused(*words, code=4)


def test_other_package_versions_are_said_and_recorded(run):
    record = json.loads((run / "provenance.json").read_text())
    record["packages"]["torch"] = "1.0"
    (run / "provenance.json").write_text(json.dumps(record))
    screen = succeed("train", "--resume", run)
    assert "other package versions (torch 1.0 -> " in screen.out + screen.err
    resumes = json.loads((run / "provenance.json").read_text())["resumes"]
    assert resumes[0]["changed_packages"]["torch"][0] == "1.0"


class TestReceived:
    """A run that was made by somebody else."""

    @pytest.fixture
    def received(self, tiny_config, monkeypatch, tmp_path):
        (tiny_config.parent / "mine.py").write_text(FUNCTION)
        with_terms(tiny_config, mine={"type": "python", "function": "mine.py:score"})
        succeed("train", tiny_config)
        run = interrupt(only_run())
        (run / "inputs" / "reward-mine" / "ran").unlink(missing_ok=True)
        as_another_user(monkeypatch, tmp_path)
        return run

    def ran(self, run):
        return (run / "inputs" / "reward-mine" / "ran").exists()

    def test_its_reward_is_not_run_unless_the_command_says_so(self, received):
        sentence = refused("train", "--resume", received)
        assert "was not made by you on this machine" in sentence
        assert "its reward term 'mine'" in sentence
        assert "--trust-code" in sentence
        assert not self.ran(received)
        succeed("train", "--resume", received, "--trust-code")

    def test_a_run_of_ones_own_stays_so_when_the_cache_is_emptied(self, tiny_config, tmp_path):
        (tiny_config.parent / "mine.py").write_text(FUNCTION)
        with_terms(tiny_config, mine={"type": "python", "function": "mine.py:score"})
        succeed("train", tiny_config)
        assert (tmp_path / "state" / "ppo-cli" / "own-runs.key").stat().st_mode & 0o77 == 0
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        succeed("train", "--resume", interrupt(only_run()))

    def test_an_evaluation_runs_no_reward_and_so_needs_no_trust(self, received):
        succeed("eval", "--checkpoint", f"{received}/last", "--prompts", "tiny/train.jsonl")
        assert not self.ran(received)

    def test_a_forged_mark_is_no_proof(self, received):
        edit(received / "run.json", mark="0" * 64)
        assert "--trust-code" in refused("train", "--resume", received)

    def test_code_of_its_start_model_is_not_run(self, tiny_config, model, monkeypatch, tmp_path):
        succeed("train", tiny_config, f"model.start={model}", "model.trust_remote_code=true")
        run = interrupt(only_run())
        as_another_user(monkeypatch, tmp_path)
        for words in (
            ["train", "--resume", run],
            ["eval", "--checkpoint", f"{run}/last", "--prompts", "tiny/eval.jsonl"],
        ):
            sentence = refused(*words)
            assert "model.trust_remote_code" in sentence
            succeed(*words, "--trust-code")


class TestForeignModel:
    """A model that belongs to no run, with the settings of a config."""

    def evaluate(self, model, config):
        return ("eval", "--checkpoint", model, "--config", config)

    def test_one_with_another_vocabulary_is_refused(self, model, tiny_config):
        tokenizer = json.loads((model / "tokenizer.json").read_text())
        words = tokenizer["model"]["vocab"]
        words["a"], words["b"] = words["b"], words["a"]
        (model / "tokenizer.json").write_text(json.dumps(tokenizer))
        assert "has another tokenizer than model.start of the config" in refused(*self.evaluate(model, tiny_config))

    def test_it_is_asked_through_its_own_template_and_stop_tokens(self, model, tiny_config):
        template = model / "chat_template.jinja"
        same = succeed(*self.evaluate(model, tiny_config))
        assert "is asked with its own" not in same.out + same.err
        template.write_text(template.read_text().replace("'<eos>'", "' <eos>'"))
        edit(model / "generation_config.json", eos_token_id=[2, 20])
        shutil.rmtree("runs/evaluations")
        screen = succeed(*self.evaluate(model, tiny_config))
        assert "is asked with its own chat template and stop tokens" in screen.out + screen.err
        samples = next(Path("runs/evaluations").iterdir()) / "samples.jsonl"
        assert same.out != screen.out
        assert samples.is_file()

    def test_one_with_fewer_embeddings_than_tokens_is_a_sentence(self, model, tiny_config):
        weights = load_file(model / "model.safetensors")
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = weights[name][:20].clone()
        save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
        edit(model / "config.json", vocab_size=20)
        assert "has embeddings for 20 tokens only" in refused(*self.evaluate(model, tiny_config))
        assert "has embeddings for 20 tokens only" in refused("train", tiny_config, f"model.start={model}", "--force")
        assert not list(Path("runs").glob("tiny*"))
