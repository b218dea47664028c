"""Sampling in slots, as on a GPU but without a CUDA graph, against sampling that grows and shrinks."""

from itertools import chain, groupby
from types import SimpleNamespace

import pytest
import torch

from ppo_cli.models import sampling, slot_decoder, slot_sampling
from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.sampling import sample_answers, sample_on_gpu
from ppo_cli.models.slot_decoder import SlotDecoder, fits_slots
from ppo_cli.models.slot_sampling import MAX_SLOTS, slot_limit
from tests.models.test_sampling import PROMPTS, params, uniforms
from tests.tiny_models import FAMILIES, tiny_lm


def in_slots(model, numbers, settings, recorder=None, progress=lambda _done: None, prompts=PROMPTS):
    return sample_on_gpu(model, prompts, numbers, settings, progress, recorder)


def third_layer(model):
    backbone = model.base_model
    return (backbone.layers if hasattr(backbone, "layers") else backbone.h)[2]


def assert_same(growing, slotted, *, activations=False):
    for before, after in zip(chain(*growing), chain(*slotted), strict=True):
        assert after.token_ids == before.token_ids
        assert after.finish == before.finish
        assert after.logprobs == pytest.approx(before.logprobs, abs=1e-5)
        if activations:
            torch.testing.assert_close(after.activations, before.activations, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_slots_give_the_same_answers(family):
    model = tiny_lm(family)
    assert fits_slots(model, 20)
    recorder = ActivationRecorder(third_layer(model))
    growing = sample_answers(model, PROMPTS, uniforms(3), params(), recorder=recorder)
    assert len({answer.finish for answer in chain(*growing)}) == 2
    assert_same(growing, in_slots(model, uniforms(3), params(), recorder), activations=True)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_slots_that_are_refilled_give_the_same_answers(slots, monkeypatch):
    monkeypatch.setattr(slot_sampling, "MAX_SLOTS", slots)
    model = tiny_lm()
    recorder = ActivationRecorder(third_layer(model))
    growing = sample_answers(model, PROMPTS, uniforms(3), params(), recorder=recorder)
    assert_same(growing, in_slots(model, uniforms(3), params(), recorder), activations=True)


def test_prompts_in_several_passes_give_the_same_answers(monkeypatch):
    monkeypatch.setattr(slot_decoder, "MAX_TOKENS_PER_PREFILL", 8)
    model = tiny_lm()
    assert_same(sample_answers(model, PROMPTS, uniforms(2), params()), in_slots(model, uniforms(2), params()))


@pytest.mark.parametrize(("temperature", "limit"), [(0.0, 12), (1.0, 1), (0.5, 9)])
def test_greedy_and_short_answers_are_the_same(temperature, limit):
    model, settings = tiny_lm(), params(temperature, limit)
    numbers = uniforms(2, limit)
    assert_same(sample_answers(model, PROMPTS, numbers, settings), in_slots(model, numbers, settings))


def test_one_decoder_serves_the_prompts_of_similar_length_however_often_slots_are_refilled(monkeypatch):
    made = []
    monkeypatch.setattr(slot_sampling, "MAX_SLOTS", 2)
    monkeypatch.setattr(slot_sampling, "SlotDecoder", lambda *given: made.append(given[1]) or SlotDecoder(*given))
    prompts = [[3] * length for length in (5, 60, 7, 6, 4)]
    numbers = [uniforms(1)[0] for _ in prompts]
    model = tiny_lm()
    assert_same(sample_answers(model, prompts, numbers, params()), in_slots(model, numbers, params(), prompts=prompts))
    assert [(shape.slots, shape.positions) for shape in made] == [(1, 72), (2, 19)]


def test_progress_ends_with_all_answers_and_never_falls():
    seen = []
    in_slots(tiny_lm(), uniforms(3), params(), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 12


@pytest.mark.parametrize("family", ["mistral", "gemma2"])
def test_a_window_shorter_than_the_answers_is_left_to_the_family(family):
    model = tiny_lm(family)
    window = model.config.sliding_window
    assert [fits_slots(model, positions) for positions in (window - 1, window)] == [True, False]


def test_slots_follow_the_free_memory():
    model = tiny_lm()  # 4 layers, 2 groups of 8 in float32: 512 bytes of keys and values per position
    gigabyte = 10**9
    assert slot_limit(model, 100, 50, None, None) == MAX_SLOTS
    assert slot_limit(model, 1000, 50, None, gigabyte // 10) == 97
    recorder = SimpleNamespace()
    assert slot_limit(model, 1000, 50, recorder, gigabyte // 10) == 50_000_000 // (512_000 + 32 * 1050 * 4)
    assert slot_limit(model, 1000, 50, None, 0) == 1


def test_the_decoder_leaves_the_models_attention_as_it_was():
    model = tiny_lm()
    before = model.config._attn_implementation
    in_slots(model, uniforms(1), params())
    assert model.config._attn_implementation == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_steps_of_a_gpu_give_the_answers_of_eager_steps(family, monkeypatch):
    model = tiny_lm(family).cuda()
    recorded = sample_answers(model, PROMPTS, uniforms(3), params())
    monkeypatch.setattr(sampling, "fits_slots", lambda *_: False)
    for before, after in zip(
        chain(*sample_answers(model, PROMPTS, uniforms(3), params())), chain(*recorded), strict=True
    ):
        assert after.token_ids == before.token_ids
        assert after.logprobs == pytest.approx(before.logprobs, abs=1e-4)


def test_ended_slots_keep_their_answer_while_others_go_on():
    """An ended slot repeats its last pass; neither its tokens nor its log-probabilities may change."""
    numbers = uniforms(1, 40)
    settings = params(steps=40)
    growing = sample_answers(tiny_lm(), PROMPTS, numbers, settings)
    lengths = [len(answer.token_ids) for answer in chain(*growing)]
    assert len(list(groupby(sorted(lengths)))) > 1
    assert_same(growing, in_slots(tiny_lm(), numbers, settings))
