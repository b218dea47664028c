"""Decoding with fixed shapes, as on a GPU but not recorded, against decoding that grows."""

from itertools import chain

import pytest
import torch

from ppo_cli.models import decoding as decoding_module
from ppo_cli.models import sampling
from ppo_cli.models.decoding import DynamicDecoder, GraphDecoder
from ppo_cli.models.prefill import ActivationRecorder
from ppo_cli.models.sampling import sample_answers
from tests.models.test_sampling import PROMPTS, decoding, draws
from tests.tiny_models import FAMILIES, tiny_lm


def fixed_where_it_can_be(model, cache, mask, position, room):
    plain = all(type(layer) is decoding_module.RoomyLayer for layer in cache.layers)
    return GraphDecoder(model, cache, mask, position, room) if plain else DynamicDecoder(model, cache, mask, position)


@pytest.mark.parametrize("family", FAMILIES)
def test_fixed_shapes_give_the_same_answers(family, monkeypatch):
    model = tiny_lm(family)
    tap = ActivationRecorder(sampling_layer(model))
    growing = sample_answers(model, PROMPTS, draws(3), decoding(), tap=tap)
    monkeypatch.setattr(sampling, "steps_of", fixed_where_it_can_be)
    fixed = sample_answers(model, PROMPTS, draws(3), decoding(), tap=tap)
    for before, after in zip(chain(*growing), chain(*fixed), strict=True):
        assert after.token_ids == before.token_ids
        assert after.logprobs == pytest.approx(before.logprobs, abs=1e-5)
        torch.testing.assert_close(after.activations, before.activations, atol=1e-5, rtol=1e-5)


def sampling_layer(model):
    backbone = model.base_model
    return (backbone.layers if hasattr(backbone, "layers") else backbone.h)[2]


def test_most_families_can_have_fixed_shapes(monkeypatch):
    seen = []
    monkeypatch.setattr(sampling, "steps_of", lambda *given: seen.append(fixed_where_it_can_be(*given)) or seen[-1])
    sample_answers(tiny_lm(), PROMPTS, draws(1), decoding())
    assert [type(each) for each in seen] == [GraphDecoder]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_steps_give_the_same_answers(family, monkeypatch):
    model = tiny_lm(family).cuda()
    tap = ActivationRecorder(sampling_layer(model))
    recorded = sample_answers(model, PROMPTS, draws(3), decoding(), tap=tap)
    monkeypatch.setattr(
        sampling, "steps_of", lambda model, cache, mask, position, room: DynamicDecoder(model, cache, mask, position)
    )
    plain = sample_answers(model, PROMPTS, draws(3), decoding(), tap=tap)
    for before, after in zip(chain(*plain), chain(*recorded), strict=True):
        assert after.token_ids == before.token_ids
        torch.testing.assert_close(after.activations, before.activations, atol=1e-4, rtol=1e-4)
