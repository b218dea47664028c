"""Every weight of the model is in the file, fits and is a number; what a folder is instead is said in one sentence."""

import json
import os
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from ppo_cli.errors import IntegrityError, ModelError
from ppo_cli.models import model_source
from ppo_cli.models.cost_estimate import model_shape
from ppo_cli.models.folder_checks import require_matching_weights
from ppo_cli.models.loading import export_support_files, load_model, load_tokenizer
from ppo_cli.models.model_digests import model_digests
from tests.models.test_loading import edit
from tests.tiny_models import tiny_lm


@pytest.fixture
def folder(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def load(folder):
    return load_model(folder, load_tokenizer(folder), torch.device("cpu"), torch.float32)


def rename_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})


def prefixed(prefix):
    return lambda weights: {prefix + name: value for name, value in weights.items()}


def without(part):
    return lambda weights: {name: value for name, value in weights.items() if part not in name}


def with_more(name, value):
    return lambda weights: {**weights, name: value}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (prefixed("module."), r"names hold 'module\.', as DataParallel or DeepSpeed"),
        (prefixed("_orig_mod."), r"as torch\.compile writes them"),
        (prefixed("anything.else."), r"names hold 'anything\.else\.', as a wrapper around the model"),
        (
            lambda w: {name.replace("layers.0.", "layers.0._fsdp_wrapped_module."): value for name, value in w.items()},
            "as FSDP writes them",
        ),
        (prefixed("base_model.model."), r"as PEFT writes them"),
        (
            lambda w: {**prefixed("pretrained_model.")(w), "v_head.summary.weight": torch.zeros(1, 32)},
            "a TRL model with",
        ),
        (without("lm_head"), r"it has no lm_head\.weight"),
        (without("layers.2."), r"layers\.2\.\S+ and 8 more are missing"),
        (with_more("score.weight", torch.zeros(1, 32)), r"a classifier or reward model \(score\.weight\)"),
        (with_more("v_head.summary.weight", torch.zeros(1, 32)), "a value head"),
        (with_more("model.layers.4.mlp.up_proj.weight", torch.zeros(48, 32)), "which the model does not have"),
        (
            with_more("model.layers.0.self_attn.q_proj.lora_A.weight", torch.zeros(4, 32)),
            "adapters that were not merged",
        ),
        (lambda w: {**w, "lm_head.weight": w["lm_head.weight"][:10].clone()}, "lm_head.weight has another shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_the_reason(folder, change, reason):
    rename_weights(folder, change)
    with pytest.raises(ModelError, match=f"do not fit its config.json: .*{reason}"):
        load(folder)


def sharded(folder, second):
    """The weights in two files, of which the index names the second so."""
    weights = load_file(folder / "model.safetensors")
    first = dict(list(weights.items())[:9])
    save_file(first, folder / "model-1.safetensors", metadata={"format": "pt"})
    (folder / second).parent.mkdir(exist_ok=True)
    save_file(weights, folder / second, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    names = {name: "model-1.safetensors" if name in first else second for name in weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


@pytest.mark.parametrize("second", ["../outside/model-2.safetensors", "below/model-2.safetensors", "model-2.txt"])
def test_an_index_names_files_of_its_own_folder_only(folder, second):
    sharded(folder, second)
    with pytest.raises(ModelError, match=r"index\.json names .*, which is no file of weights in this folder"):
        load(folder)


def test_weights_in_several_files_are_read(folder, tiny_model):
    sharded(folder, "model-2.safetensors")
    assert torch.equal(load(folder).lm_head.weight, load(tiny_model).lm_head.weight)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_weights_that_need_scales_or_are_no_real_numbers_are_refused(folder, dtype):
    rename_weights(folder, lambda w: {**w, "lm_head.weight": w["lm_head.weight"].to(dtype)})
    with pytest.raises(ModelError, match=r"no plain numbers: lm_head\.weight is stored as"):
        load(folder)


def test_a_head_that_differs_from_the_embeddings_is_kept_and_said_so_in_a_copy(folder, tmp_path):
    edit(folder / "config.json", tie_word_embeddings=True)
    model = load(folder)
    assert torch.equal(model.lm_head.weight, load_file(folder / "model.safetensors")["lm_head.weight"])
    model.save_pretrained(tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "config.json").read_text())["tie_word_embeddings"] is False


@pytest.mark.parametrize("name", ["model.safetensors", "generation_config.json", "tokenizer.json", "more.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match=f"{name} is not an ordinary file"):
        model_source.resolve(str(folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", r"config\.json is a git-lfs pointer"),
        (b"{", r"config\.json is not JSON"),
        (b'{"model_type": "llama", "hidden_size": 32, "num_attention_heads": 0}', r"config\.json cannot be used"),
    ],
)
def test_a_broken_config_is_not_blamed_on_the_tokenizer(folder, content, message):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_tokenizer(folder)
    assert model_shape(str(folder)) is None  # a dry run estimates without it


def test_a_reward_model_as_the_policy_is_refused(folder):
    rename_weights(folder, lambda w: {**without("lm_head")(w), "score.weight": torch.zeros(1, 32)})
    with pytest.raises(ModelError, match="classifier or reward model"):
        load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(folder, value):
    rename_weights(folder, lambda w: {**w, "model.norm.weight": torch.full((32,), value)})
    with pytest.raises(ModelError, match=r"damaged: model\.norm\.weight holds NaN or infinite"):
        load(folder)


def test_buffers_and_heads_that_hold_nothing_are_no_reason_to_refuse(folder):
    none = {"missing_keys": []}
    require_matching_weights({**none, "unexpected_keys": ["model.layers.0.self_attn.rotary_emb.inv_freq"]}, folder)
    require_matching_weights({**none, "unexpected_keys": ["lm_head.weight", "bert.pooler.w"]}, folder, classifier=True)
    with pytest.raises(ModelError):
        require_matching_weights({**none, "unexpected_keys": ["module.score.weight"]}, folder, classifier=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: (f / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
            "git-lfs pointer",
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "damaged or was not copied completely"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 99), "damaged or was not copied completely"),
        (
            lambda f: edit(f / "config.json", quantization_config={"quant_method": "bitsandbytes"}),
            r"quantised \(bitsandbytes",
        ),
        (lambda f: edit(f / "config.json", quantization_config={"quant_method": "gptq"}), r"quantised \(gptq"),
        (lambda f: edit(f / "config.json", num_hidden_layers=10**9), "states 1000000000 layers"),
        (lambda f: edit(f / "config.json", num_hidden_layers="many"), "cannot be read"),
        (lambda f: edit(f / "config.json", hidden_act="warp"), "cannot be read"),
        (lambda f: edit(f / "config.json", model_type="unheard_of"), "cannot be read"),
        (lambda f: edit(f / "config.json", hidden_size=0), "do not fit|cannot be read"),
        (lambda f: (f / "config.json").write_text("[" * 3000), "is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "is not a JSON object"),
        (
            lambda f: [
                (f / "model.safetensors").rename(f / "model-00001-of-00002.safetensors"),
                (f / "model.safetensors.index.json").write_text(
                    json.dumps(
                        {
                            "metadata": {},
                            "weight_map": {
                                "a": "model-00001-of-00002.safetensors",
                                "b": "model-00002-of-00002.safetensors",
                            },
                        }
                    )
                ),
            ],
            r"model-00002-of-00002\.safetensors is missing, one of 2 files",
        ),
    ],
)
def test_a_broken_folder_is_a_sentence(folder, change, message):
    tokenizer = load_tokenizer(folder)
    change(folder)
    with pytest.raises(ModelError, match=message):
        load_model(folder, tokenizer, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"version https://git-lfs.github.com/spec/v1\n"),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"[]"),
        ("tokenizer_config.json", b"[]"),
        ("tokenizer_config.json", b"{"),
        ("tokenizer_config.json", b'{"tokenizer_class": 7}'),
        ("chat_template.jinja", b"{% for %}"),
        ("chat_template.jinja", b"{{ messages + 1 }}"),
        ("chat_template.jinja", b"{{ messages[0]['content'] / 0 }}"),
        ("chat_template.jinja", b"{{ 1 / 0 }}"),
        ("chat_template.jinja", b"{{ messages[0].content.nothing.at_all }}"),
    ],
)
def test_a_broken_tokenizer_or_template_is_a_sentence(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError):
        load_tokenizer(folder).render("a")


def test_a_model_with_code_of_its_own_names_the_key_that_allows_it(folder):
    edit(
        folder / "config.json",
        model_type="own_model",
        auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"},
    )
    (folder / "own.py").write_text("raise SystemExit('this code was run')")
    tokenizer = load_tokenizer(shutil.copytree(folder, folder.parent / "tokenizer", ignore=lambda *_: ["config.json"]))
    with pytest.raises(ModelError, match=r"model\.trust_remote_code=true"):
        load_model(folder, tokenizer, torch.device("cpu"), torch.float32)


def test_a_pad_token_without_an_embedding_is_named(folder, tmp_path):
    edit(folder / "generation_config.json", eos_token_id=[2, 99])
    with pytest.raises(ModelError, match="token 99 pads or ends answers"):
        load(folder)


class TestAdapter:
    @pytest.fixture
    def adapter(self, tmp_path, tiny_model):
        config = LoraConfig(r=2, target_modules=["q_proj"])
        adapted = get_peft_model(tiny_lm(), config)
        for name, value in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.constant_(value.data, 0.1)
        adapted.save_pretrained(tmp_path / "adapter")
        edit(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path=str(tiny_model))
        return tmp_path / "adapter"

    def test_it_is_merged_into_the_base_that_it_names(self, adapter, tiny_model):
        folder = model_source.resolve(str(adapter)).folder
        assert model_source.resolve(str(adapter)).folder == folder
        ids = torch.tensor([[3, 14, 15, 2]])
        merged = load(folder)(ids).logits
        assert not torch.allclose(merged, load(tiny_model)(ids).logits)
        (folder / "config.json").write_text("{}")
        with pytest.raises(IntegrityError, match="was changed"):
            model_source.resolve(str(adapter))

    @pytest.mark.parametrize(
        ("base", "message"),
        [(None, "an unnamed base model"), ("/no/such/base", "LoRA adapter of /no/such/base, and that")],
    )
    def test_without_its_base_it_is_recognised(self, adapter, base, message):
        edit(adapter / "adapter_config.json", base_model_name_or_path=base)
        with pytest.raises(ModelError, match=message) as caught:
            model_source.resolve(str(adapter))
        assert "merge_and_unload" in caught.value.next_step

    def test_weights_that_do_not_fit_the_base_are_refused(self, adapter):
        file = adapter / "adapter_model.safetensors"
        save_file({f"module.{name}": value for name, value in load_file(file).items()}, file)
        with pytest.raises(ModelError, match="does not fit it"):
            model_source.resolve(str(adapter))

    def test_one_of_a_reward_model_is_to_be_merged_first(self, adapter):
        edit(adapter / "adapter_config.json", task_type="SEQ_CLS")
        with pytest.raises(ModelError, match="a LoRA adapter of a classifier or reward model") as caught:
            model_source.resolve(str(adapter))
        assert "merge_and_unload" in caught.value.next_step

    def test_beside_merged_weights_it_is_refused(self, adapter, folder):
        shutil.copy(adapter / "adapter_config.json", folder)
        with pytest.raises(ModelError, match="an adapter beside the weights of a model"):
            model_source.resolve(str(folder))


def test_only_known_files_are_copied_into_a_checkpoint(folder, tmp_path):
    for name in ("checkpoint.json", "notes.txt", "own.py", "trainer_state.json", "secret.env", "x.index.json"):
        (folder / name).write_text("{}")
    target = tmp_path / "target"
    target.mkdir()
    export_support_files(folder, target)
    copied = {file.name for file in target.iterdir()}
    assert copied == {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"}
    for file, auto_class in (("config.json", "AutoModelForCausalLM"), ("tokenizer_config.json", "AutoTokenizer")):
        before = (folder / file).read_bytes()
        edit(folder / file, auto_map={auto_class: "own.M"})
        export_support_files(folder, target)
        (target / "own.py").unlink()
        (folder / file).write_bytes(before)


def test_config_json_belongs_to_a_models_identity(folder):
    tokenizer = load_tokenizer(folder)
    before = model_digests(folder, tokenizer)
    edit(folder / "config.json", transformers_version="0.1", _name_or_path="elsewhere")
    assert model_digests(folder, tokenizer) == before
    edit(folder / "config.json", rms_norm_eps=0.1)
    assert model_digests(folder, tokenizer)["config"] != before["config"]


def test_a_pad_token_beyond_the_vocabulary_is_named(folder):
    edit(folder / "config.json", pad_token_id=9999)
    with pytest.raises(
        ModelError, match=r"pad_token_id of its config\.json is a token that its vocabulary does not have"
    ):
        load_model(folder, load_tokenizer(folder), torch.device("cpu"), torch.float32)
