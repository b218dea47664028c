"""Decoding with fixed shapes, as on a GPU but without a CUDA graph, against decoding that grows."""

from itertools import chain

import pytest
import torch

from ppo_cli.models import sampling
from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.decoding import DynamicDecoder, GraphDecoder
from ppo_cli.models.kv_cache import PreallocatedLayer
from ppo_cli.models.sampling import sample_answers
from tests.models.test_sampling import PROMPTS, params, uniforms
from tests.tiny_models import FAMILIES, tiny_lm


def fixed_if_possible(model, cache, mask, position, max_new_tokens):
    if all(type(layer) is PreallocatedLayer for layer in cache.layers):
        return GraphDecoder(model, cache, mask, position, max_new_tokens)
    return DynamicDecoder(model, cache, mask, position)


@pytest.mark.parametrize("family", FAMILIES)
def test_fixed_shapes_give_the_same_answers(family, monkeypatch):
    model = tiny_lm(family)
    recorder = ActivationRecorder(third_layer(model))
    growing = sample_answers(model, PROMPTS, uniforms(3), params(), recorder=recorder)
    monkeypatch.setattr(sampling, "make_decoder", fixed_if_possible)
    fixed = sample_answers(model, PROMPTS, uniforms(3), params(), recorder=recorder)
    for before, after in zip(chain(*growing), chain(*fixed), strict=True):
        assert after.token_ids == before.token_ids
        assert after.logprobs == pytest.approx(before.logprobs, abs=1e-5)
        torch.testing.assert_close(after.activations, before.activations, atol=1e-5, rtol=1e-5)


def third_layer(model):
    backbone = model.base_model
    return (backbone.layers if hasattr(backbone, "layers") else backbone.h)[2]


def test_most_families_can_have_fixed_shapes(monkeypatch):
    seen = []
    monkeypatch.setattr(sampling, "make_decoder", lambda *given: seen.append(fixed_if_possible(*given)) or seen[-1])
    sample_answers(tiny_lm(), PROMPTS, uniforms(1), params())
    assert [type(each) for each in seen] == [GraphDecoder]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_captured_steps_give_the_same_answers(family, monkeypatch):
    model = tiny_lm(family).cuda()
    recorder = ActivationRecorder(third_layer(model))
    captured = sample_answers(model, PROMPTS, uniforms(3), params(), recorder=recorder)
    monkeypatch.setattr(
        sampling,
        "make_decoder",
        lambda model, cache, mask, position, _limit: DynamicDecoder(model, cache, mask, position),
    )
    plain = sample_answers(model, PROMPTS, uniforms(3), params(), recorder=recorder)
    for before, after in zip(chain(*plain), chain(*captured), strict=True):
        assert after.token_ids == before.token_ids
        torch.testing.assert_close(after.activations, before.activations, atol=1e-4, rtol=1e-4)
