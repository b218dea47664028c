"""Exports of a real run: what a stranger loads, what the folder holds, and what is never written or written over."""

import json
import shutil

import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import ppo_cli
from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.evaluation.run_checkpoint import RunCheckpoint
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.experiment.schema import Model, TrainedPart
from ppo_cli.exports.adapter import require_adapter
from ppo_cli.exports.export_folder import require_free
from ppo_cli.exports.model_card import model_card
from ppo_cli.exports.self_test import self_test
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.exports import ExportOptions, SelfTest
from ppo_cli.setup.start_model import load_start_model
from tests.made_runs import make_run
from tests.terminal import fingerprint, refused, succeed
from tests.tiny_models import tiny_lm

ADAPTER = ExportOptions(adapter=True)
FORBIDDEN = ("training.safetensors", "training.json", "checkpoint.json", "config.yaml", "rollouts.jsonl")


@pytest.fixture(scope="module")
def run(trained):
    return trained()


@pytest.fixture(scope="module")
def merged(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "merged"
    return ppo_cli.export(f"{run}/last", folder), folder


@pytest.fixture(scope="module")
def adapter(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "adapter"
    return ppo_cli.export(run, folder, options=ADAPTER), folder


def checkpoint_of(root):
    """The last checkpoint of a made run, of which there are no files."""
    records = RunRecords.verified(ppo_cli.find_run(root))
    return RunCheckpoint(records=records, folder=root / "checkpoints" / "step-000004", step=4)


def weights_of(run):
    return load_file(run / "checkpoints" / "step-000004" / "model.safetensors")


def logits(model):
    return model(input_ids=torch.tensor([[3, 10, 11, 12, 2, 4]])).logits


def test_the_whole_model_loads_with_transformers_and_has_the_weights_of_the_checkpoint(run, merged):
    result, folder = merged
    assert (result.form, result.base, result.checkpoint) == ("merged", None, f"{run.name}/step-4")
    loaded = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in weights_of(run).items())
    text = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        [{"role": "user", "content": "a brick?"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<user>a brick?<eos><assistant>"
    assert len(result.self_test.prompt_ids) == 3
    assert result.self_test.tokens >= 6


def test_a_run_of_the_exported_folder_as_its_start_model_begins_with_the_exported_policy(merged, adapter, tmp_path):
    """Both forms are start models of this program too; an adapter is merged into the base beside it."""
    from ppo_cli.models import model_source

    tokenizer = load_tokenizer(merged[1])
    assert tokenizer.stop_ids[0] == 2
    for _, folder in (merged, adapter):
        source = model_source.resolve(str(folder)).folder
        own, theirs = (load_file(where / "model.safetensors") for where in (source, merged[1]))
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in own.items())


def test_the_adapter_loads_with_peft_and_merges_to_the_checkpoints_weights(run, adapter):
    result, folder = adapter
    assert (result.form, result.base) == ("adapter", "./base")
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    before = logits(base)
    adapted = PeftModel.from_pretrained(base, folder)
    assert not torch.allclose(logits(adapted), before)
    loaded = adapted.merge_and_unload().state_dict()
    for name, tensor in weights_of(run).items():
        assert torch.equal(tensor, loaded[name]), name
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert (settings["base_model_name_or_path"], settings["task_type"], settings["r"]) == ("./base", "CAUSAL_LM", 4)


def test_the_adapter_of_a_run_in_bfloat16_merges_to_the_same_weights_too(trained, tmp_path):
    run = trained("model.dtype=bfloat16", "ppo.updates=2")
    result = ppo_cli.export(run, tmp_path / "adapter", options=ADAPTER)
    assert result.self_test.tokens
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter" / "base", dtype=torch.bfloat16)
    adapted = PeftModel.from_pretrained(base, tmp_path / "adapter", autocast_adapter_dtype=False)
    merged = adapted.merge_and_unload().state_dict()
    last = load_file(run / "checkpoints" / "step-000002" / "model.safetensors")
    assert all(torch.equal(tensor, merged[name]) for name, tensor in last.items())
    assert {tensor.dtype for tensor in last.values()} == {torch.bfloat16}
    assert 'dtype="bfloat16"' in (tmp_path / "adapter" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["merged", "adapter"])
def test_the_folder_holds_safetensors_and_json_and_no_path_or_record_of_this_machine(form, run, request, tmp_path):
    result, folder = request.getfixturevalue(form)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {*result.files, "export.json"}
    assert not [name for name in names if name.rpartition("/")[2] in FORBIDDEN]
    assert {name.rpartition(".")[2] for name in names} <= {"safetensors", "json", "jinja", "md"}
    for name in names:
        if not name.endswith(".safetensors"):
            text = (folder / name).read_text(encoding="utf-8")
            assert str(run.parent) not in text
            assert str(tmp_path.parent.parent) not in text, name
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_the_card_has_goal_table_kl_digests_and_limits(run, merged):
    card = (merged[1] / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---")[1])
    assert front["library_name"] == "transformers"
    assert "base_model" not in front  # the start model is a folder of this machine
    for part in ("Goal: Say something else.", "| behaviour (16 prompts × 2) | start | update 4 |", "95 % interval"):
        assert part in card
    lock = ppo_cli.find_run(run).lock()
    for digest in (lock.fingerprint, lock.groups["train_set"].values["rows_sha256"], "nats per answer", "## Limits"):
        assert digest in card
    assert "KL per answer" in card


def test_a_secret_or_markup_in_a_goal_does_not_reach_the_card(tmp_path):
    """Of a run without a model; the card says too that it was not evaluated against step 0."""
    root = make_run(tmp_path / "runs", goal="Say <b>hf_abcdefghijklmnop</b> [x](http://e.example).")
    tested = SelfTest(prompt_ids=("a",), tokens=1, max_new_tokens=1, temperature=1.0, seed=1)
    text = model_card(checkpoint_of(root), "merged", None, tested, start_is_on_hub=False)
    assert "abcdefghijklmnop" not in text
    assert "Say " in text
    assert "<b>" not in text
    assert "](http" not in text
    assert "nothing is known of its behaviour" in text


def test_generation_defaults_are_what_the_run_was_measured_with(merged):
    settings = json.loads((merged[1] / "generation_config.json").read_text(encoding="utf-8"))
    assert (settings["temperature"], settings["top_p"], settings["top_k"], settings["do_sample"]) == (1.0, 1.0, 0, True)
    assert settings["eos_token_id"][0] == 2


def test_a_folder_that_holds_something_is_refused_and_with_force_only_same_names_change(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "README.md").write_text("old", encoding="utf-8")
    before = fingerprint(folder)
    with pytest.raises(UsageError, match=r"is not empty: it holds README\.md and 1 more"):
        ppo_cli.export(run, folder)
    assert fingerprint(folder) == before
    ppo_cli.export(run, folder, options=ExportOptions(force=True))
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert (folder / "README.md").read_text(encoding="utf-8") != "old"
    ppo_cli.export(run, folder, options=ExportOptions(adapter=True, force=True))
    assert not (folder / "model.safetensors").exists()  # of the export before; it would hide the adapter
    assert (folder / "adapter_model.safetensors").is_file()
    assert not list(tmp_path.glob(".mine.partial*"))


def test_weights_of_someone_else_links_files_and_runs_are_never_written_over(run, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pytorch_model.bin").write_bytes(b"x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").write_text("x", encoding="utf-8")
    for folder, why in (
        (tmp_path / "a", "weights that no export wrote"),
        (tmp_path / "b", "is not a folder"),
        (tmp_path / "c", "is not a folder"),
        (run / "export", "lies in a run"),
        (run / "checkpoints" / "step-000004", "lies in a run"),
    ):
        with pytest.raises(UsageError, match=why):
            require_free(folder, force=True)


def test_a_checkpoint_that_was_changed_is_not_exported(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "runs" / "copy")
    weights = copy / "checkpoints" / "step-000004" / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] += 1
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match="was changed"):
        ppo_cli.export(copy, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_self_test_finds_another_model_and_another_tokenizer(run, merged, tmp_path):
    checkpoint = run / "checkpoints" / "step-000004"
    tokenizer, experiment = load_tokenizer(checkpoint), ppo_cli.find_run(run).experiment()
    prompts = read_prompts(run / "inputs" / "eval.jsonl")[:1]
    with pytest.raises(IntegrityError, match=r"its weight .* is another one"):
        self_test(tiny_lm(seed=9), merged[1], checkpoint, tokenizer, prompts, experiment)
    folder = shutil.copytree(merged[1], tmp_path / "other")
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}", encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"reads the prompt .* as other tokens"):
        self_test(AutoModelForCausalLM.from_pretrained(folder), folder, checkpoint, tokenizer, prompts, experiment)


def test_a_run_that_trained_whole_layers_has_no_adapter(tmp_path):
    root = make_run(tmp_path / "runs", model=Model(start="builtin:none", train=TrainedPart(lora=None)))
    with pytest.raises(UsageError, match="trained whole layers"):
        require_adapter(checkpoint_of(root))


def test_what_is_typed(run, tmp_path):
    runs = run.parent
    screen = succeed("export", run.name, tmp_path / "out", "--runs-dir", runs)
    assert f"{run.name}/step-4 exported to" in screen.out
    assert "self-test  passed" in screen.out
    assert "is not empty" in refused("export", run.name, tmp_path / "out", "--runs-dir", runs)
    assert "Name the folder" in refused("export", run.name, "--runs-dir", runs)
    assert "--public has no effect" in refused("export", run.name, tmp_path / "new", "--public", "--runs-dir", runs)
    assert "not the name of a repository" in refused(
        "export", run.name, tmp_path / "new", "--push", "name", "--runs-dir", runs
    )
    assert f"  - {run.name}, finished" in refused("export", "--runs-dir", runs)


def test_the_adapter_is_restored_over_the_start_model_without_changing_it(run, adapter):
    """The base in the export is the run's start model, weight by weight."""
    from ppo_cli.setup.resolve import read_inputs, resolve_experiment

    resolved = resolve_experiment(read_inputs(ppo_cli.find_run(run).experiment()), lambda _event: None)
    start = load_start_model(resolved, lambda _event: None).model.state_dict()
    base = load_file(adapter[1] / "base" / "model.safetensors")
    assert all(torch.equal(tensor, start[name]) for name, tensor in base.items())
