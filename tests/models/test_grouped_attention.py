"""Grouped-query attention, against each family's own."""

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig

from ppo_cli.models import grouped_attention
from ppo_cli.models.grouped_attention import GROUPED, attend_by_groups
from tests.tiny_models import FAMILIES, SHAPE, tiny_lm

IDS = torch.randint(3, 30, (3, 9), generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[0] * 4 + [1] * 5, [1] * 9, [0] + [1] * 8])


def outcome(model):
    """Logits of real tokens and the gradient of their mean at the embeddings."""
    model.zero_grad()
    logits = model(input_ids=IDS, attention_mask=MASK, use_cache=False).logits[MASK.bool()]
    logits.float().logsumexp(-1).mean().backward()
    return logits.detach(), model.get_input_embeddings().weight.grad.clone()


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_are_the_familys_own(family):
    model = tiny_lm(family)
    usual = model.config._attn_implementation
    model.set_attn_implementation("eager")
    logits, gradient = outcome(model)
    model.set_attn_implementation(usual)
    assert attend_by_groups(model)
    assert model.config._attn_implementation == GROUPED
    torch.testing.assert_close(outcome(model)[0], logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outcome(model)[1], gradient, atol=1e-5, rtol=1e-4)


def test_in_bfloat16_even_the_roundings_are_the_familys_own():
    model = tiny_lm(dtype=torch.bfloat16)
    model.set_attn_implementation("eager")
    logits, _ = outcome(model)
    model.set_attn_implementation("sdpa")
    assert attend_by_groups(model)
    assert torch.equal(outcome(model)[0], logits)


def test_long_sequences_go_to_torchs_attention(monkeypatch):
    model = tiny_lm()
    logits, gradient = outcome(model)
    assert attend_by_groups(model)
    monkeypatch.setattr(grouped_attention, "MAX_TOKENS", 4)
    torch.testing.assert_close(outcome(model)[0], logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outcome(model)[1], gradient, atol=1e-5, rtol=1e-4)


def test_a_family_with_attention_of_its_own_is_left_alone():
    config = BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=SHAPE["vocab_size"])
    model = AutoModelForCausalLM.from_config(config).eval()
    before = model.config._attn_implementation
    assert not attend_by_groups(model)
    assert model.config._attn_implementation == before


def test_a_wrong_result_is_noticed(monkeypatch):
    model = tiny_lm()

    def blind(_module, query, _key, value, _mask, **_others):
        return value[:, :1].expand_as(query).transpose(1, 2), None

    monkeypatch.setitem(grouped_attention.AttentionInterface._global_mapping, GROUPED, blind)
    assert not attend_by_groups(model)
    assert model.config._attn_implementation == "sdpa"
