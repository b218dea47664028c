"""Weights in 8 and 4 bits by the real bitsandbytes on a CPU: loaded, trained through adapters, saved as plain ones."""

import pytest
import torch
from peft.utils.integrations import dequantize_bnb_weight
from transformers import AutoModelForCausalLM, LlamaConfig

from ppo_cli.engine.checkpoints import load_checkpoint, save_checkpoint
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import ConfigError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models import quantised
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.records.events import ignore_events
from ppo_cli.store.layout import RunLayout
from tests.engine.trainer_inputs import trainer_inputs
from tests.tiny_models import SHAPE, tiny_tokenizer

pytest.importorskip("bitsandbytes")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:MatMul8bitLt:UserWarning")

BITS = ["8bit", "4bit"]
IDS = torch.arange(6, 30).unsqueeze(0)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A tiny Llama whose widths are multiples of 64, as those of real models are: bitsandbytes counts on it."""
    folder = tmp_path_factory.mktemp("model")
    config = LlamaConfig(**{**SHAPE, "hidden_size": 64, "intermediate_size": 128})
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def load(folder, load_in):
    return load_model(folder, load_tokenizer(folder), torch.device("cpu"), torch.float32, load_in=load_in)


@pytest.fixture
def trainer(tiny_config, model_folder, tmp_path):
    def make(load_in, *overrides):
        settings = ["reward.baseline=none", "ppo.updates=2", f"model.load_in={load_in}", *overrides]
        experiment = load_experiment(tiny_config, settings).experiment
        inputs = trainer_inputs(experiment, model_folder, model=load(model_folder, load_in))
        return PolicyTrainer(experiment, inputs, tmp_path / "trl", ignore_events)

    return make


def train(trainer):
    metrics = []
    trainer.train(lambda row, *_: metrics.append(row), lambda _update: True)
    return metrics


@pytest.mark.parametrize("load_in", BITS)
def test_maps_are_packed_and_all_else_stays(model_folder, load_in):
    plain, packed = load(model_folder, None), load(model_folder, load_in)
    assert packed.model.layers[0].mlp.up_proj.weight.dtype in (torch.int8, torch.uint8)
    assert packed.lm_head.weight.dtype == torch.float32
    assert quantised.is_quantised(packed)
    assert not quantised.is_quantised(plain)
    weight, module = plain.model.layers[0].mlp.up_proj.weight, packed.model.layers[0].mlp.up_proj
    unpacked = dequantize_bnb_weight(module.weight, getattr(module, "state", None))
    error = (unpacked - weight).abs().mean() / weight.abs().mean()
    assert 0 < error < (0.01 if load_in == "8bit" else 0.12)


@pytest.mark.parametrize("load_in", BITS)
def test_a_checkpoint_is_a_plain_folder_of_what_was_trained(trainer, model_folder, tmp_path, load_in):
    training = trainer(load_in, "ppo.learning_rate=0.05")
    before = training.policy.reference_digest()
    metrics = train(training)
    assert metrics[0].kl == 0.0  # the adapters begin as nothing beside the same packed weights
    assert metrics[1].kl != 0.0
    assert training.policy.reference_digest() == before
    layout = RunLayout(tmp_path / "run")
    layout.checkpoints.mkdir(parents=True)
    folder = save_checkpoint(training, layout, model_folder)
    saved = AutoModelForCausalLM.from_pretrained(folder)
    assert not hasattr(saved.config, "quantization_config")
    with torch.no_grad(), training.policy.merged_model() as model:
        ours, theirs, start = model(IDS).logits, saved(IDS).logits, load(model_folder, None)(IDS).logits
    assert (ours - theirs).abs().mean() < 0.02 * ours.std()
    assert (ours - theirs).abs().mean() < 0.5 * (ours - start).abs().mean()

    again = trainer(load_in, "ppo.learning_rate=0.05")
    load_checkpoint(again, folder)
    for name, value in training.policy.parameters.items():
        assert torch.equal(again.policy.parameters[name], value)


def test_scales_are_part_of_the_reference(trainer):
    training = trainer("4bit")
    digest = training.policy.reference_digest()
    training.policy.decoder.layers[0].mlp.up_proj.weight.quant_state.absmax += 1
    assert training.policy.reference_digest() != digest


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.load_in=4bit", "model.train.lora=null"], "model.load_in: 4bit weights cannot be trained themselves"),
        (["model.load_in=8bit", "ppo.critic=layers"], "ppo.critic: layers would be trained copies of quantised ones"),
    ],
)
def test_quantised_weights_are_not_trained(tiny_config, overrides, words):
    with pytest.raises(ConfigError, match=words):
        load_experiment(tiny_config, overrides)


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(quantised.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"model\.load_in: 4bit needs bitsandbytes") as error:
        quantised.loading_options("4bit", torch.device("cpu"), torch.float32)
    assert "pip install 'ppo-cli[bitsandbytes]'" in error.value.next_step
    assert quantised.loading_options(None, torch.device("cpu"), torch.float32) == {}


def test_the_policy_is_the_reference_before_training(model_folder, tiny_config):
    experiment = load_experiment(tiny_config, ["model.load_in=4bit"]).experiment
    policy = Policy(load(model_folder, "4bit"), experiment.model.train, seed=1)
    with torch.no_grad(), policy.merged_model() as model:
        trained = model(IDS).logits
    with torch.no_grad(), policy.reference_model() as model:
        assert torch.equal(model(IDS).logits, trained)
    assert policy.shares_lower_layers
