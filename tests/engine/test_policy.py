"""Policy and reference over one set of weights: separate when trained, merged exactly, never the same."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ppo_cli.engine.policy import Policy, require_separate_reference
from ppo_cli.errors import CheckFailedError
from ppo_cli.experiment.schema import Lora, TrainedPart
from tests.tiny_models import FAMILIES, tiny_lm

IDS = torch.randint(3, 30, (2, 9), generator=torch.Generator().manual_seed(1))
PARTS = {
    "lora": TrainedPart(top_layers=2, lora=Lora(r=4, alpha=8)),
    "full": TrainedPart(top_layers=2, lora=None),
    "lora-all-layers": TrainedPart(top_layers=None, lora=Lora(r=4, alpha=8)),
}


def disturbed(policy):
    """Stands for training: every trained weight moves."""
    generator = torch.Generator().manual_seed(7)
    for value in policy.parameters.values():
        value.data += 0.1 * torch.randn(value.shape, generator=generator).to(value.dtype)
    return policy


def hidden(policy):
    return policy.policy_hidden(policy.decoder.run_lower(IDS), IDS)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_reference_stays_where_the_policy_began(family, part):
    begun = tiny_lm(family).base_model(input_ids=IDS).last_hidden_state
    policy = Policy(tiny_lm(family), PARTS[part], seed=1)
    torch.testing.assert_close(hidden(policy), begun)
    digest = policy.reference_digest()

    disturbed(policy)

    assert not torch.allclose(hidden(policy), begun)
    torch.testing.assert_close(policy.reference_hidden(policy.decoder.run_lower(IDS), IDS), begun)
    with policy.reference_model() as model:
        torch.testing.assert_close(model.base_model(input_ids=IDS).last_hidden_state, begun)
    assert policy.reference_digest() == digest


@pytest.mark.parametrize("part", PARTS)
def test_a_moved_reference_has_another_digest(part):
    policy = Policy(tiny_lm(), PARTS[part], seed=1)
    digest = policy.reference_digest()
    next(iter(policy._reference_tensors().values())).data.flatten()[0] += 1e-3
    assert policy.reference_digest() != digest


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_merged_policy_computes_the_same_and_is_put_back_to_the_bit(family, part):
    policy = disturbed(Policy(tiny_lm(family), PARTS[part], seed=1))
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    expected = hidden(policy)
    with policy.merged_model() as model:
        torch.testing.assert_close(model.base_model(input_ids=IDS).last_hidden_state, expected, rtol=1e-4, atol=1e-5)
    for name, value in policy.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_merging_into_bfloat16_never_rounds_the_weights():
    policy = disturbed(Policy(tiny_lm(dtype=torch.bfloat16), PARTS["lora"], seed=1))
    digest = policy.reference_digest()
    for _ in range(5):
        with policy.merged_model():
            pass
    assert policy.reference_digest() == digest


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_a_saved_policy_is_a_plain_hugging_face_folder(family, part, tiny_model, tmp_path):
    policy = disturbed(Policy(tiny_lm(family), PARTS[part], seed=1))
    policy.save(tmp_path / "saved", tiny_model)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    with policy.merged_model() as model:
        torch.testing.assert_close(loaded(IDS).logits, model(IDS).logits)
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").chat_template
    assert not list((tmp_path / "saved").glob("*.bin"))


def test_only_the_top_layers_are_trained():
    policy = Policy(tiny_lm(), PARTS["full"], seed=1)
    assert policy.parameters
    assert all(".layers.2." in name or ".layers.3." in name for name in policy.parameters)


def test_the_policy_as_its_own_reference_is_refused():
    weight = torch.nn.Parameter(torch.ones(4, 4))
    with pytest.raises(CheckFailedError, match="its own reference: w is trained"):
        require_separate_reference({"w": weight}, {"r": weight.detach()[1:]})  # a view shares memory too
    require_separate_reference({"w": weight}, {"r": weight.detach().clone()})


def test_adapters_start_the_same_from_the_same_seed_whatever_was_drawn_before():
    first = Policy(tiny_lm(), PARTS["lora"], seed=1)
    torch.randn(100)
    second = Policy(tiny_lm(), PARTS["lora"], seed=1)
    third = Policy(tiny_lm(), PARTS["lora"], seed=2)
    same = [torch.equal(a, b) for a, b in zip(first.parameters.values(), second.parameters.values(), strict=True)]
    other = [torch.equal(a, b) for a, b in zip(first.parameters.values(), third.parameters.values(), strict=True)]
    assert all(same)
    assert not all(other)
