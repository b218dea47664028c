"""Seeded sampling: each answer has its own random numbers; greedy decoding is the model's own."""

from itertools import chain

import numpy as np
import pytest
import torch

from ppo_cli.models import prefill, sampling
from ppo_cli.models.activation_recorder import ActivationRecorder
from ppo_cli.models.decoding import last_hidden
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers
from ppo_cli.models.token_draw import invert_cumulative
from tests.tiny_models import FAMILIES, tiny_lm

PROMPTS = [[3, 10, 11, 12, 2, 4], [3, 20, 2, 4], [3, 15, 16, 17, 18, 19, 2, 4], [3, 9, 9, 2, 4]]


def uniforms(samples, steps=12, seed=1):
    return [
        np.stack([keyed_uniforms(seed, "p", i, k, count=steps) for k in range(samples)]) for i in range(len(PROMPTS))
    ]


def params(temperature=1.0, steps=12):
    return SamplingParams(max_new_tokens=steps, temperature=temperature, stop_ids=(2, 0), pad_id=0)


def tokens(answers):
    return [[row.token_ids for row in rows] for rows in answers]


def test_numbers_belong_to_their_owner():
    assert keyed_uniforms(1, "a", 2, count=3).tolist() == keyed_uniforms(1, "a", 2, count=3).tolist()
    assert keyed_uniforms(1, "a", 2, count=3).tolist() != keyed_uniforms(1, "a", 3, count=3).tolist()
    assert keyed_uniforms(1, "a", 2, count=3).tolist() == keyed_uniforms(1, "a", 2, count=9).tolist()[:3]
    assert keyed_uniforms(1, "a", 23, count=1) != keyed_uniforms(1, "a2", 3, count=1)
    many = keyed_uniforms(7, "u", count=10_000)
    assert 0 <= many.min() < many.max() < 1
    assert many.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_decoding_is_the_models_own(family):
    model = tiny_lm(family)
    for prompt, rows in zip(PROMPTS, sample_answers(model, PROMPTS, uniforms(1), params(0.0)), strict=True):
        theirs = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=12,
            eos_token_id=[2, 0],
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        assert rows[0].token_ids == theirs
        assert (rows[0].finish == "eos") == (theirs[-1] in (2, 0))


def test_an_answer_does_not_depend_on_its_neighbours(monkeypatch):
    model = tiny_lm()
    together = sample_answers(model, PROMPTS, uniforms(3), params())
    for index, prompt in enumerate(PROMPTS):
        alone = sample_answers(model, [prompt], [uniforms(3)[index]], params())
        assert tokens(alone) == tokens([together[index]])
    monkeypatch.setattr(sampling, "MAX_ROWS_PER_BATCH", 3)
    assert tokens(sample_answers(model, PROMPTS, uniforms(3), params())) == tokens(together)
    monkeypatch.setattr(sampling, "COMPACT_AT_ONE_IN", 1)
    assert tokens(sample_answers(model, PROMPTS, uniforms(3), params())) == tokens(together)


def test_more_samples_change_none_of_the_first():
    model = tiny_lm()
    two, four = (sample_answers(model, PROMPTS, uniforms(k), params()) for k in (2, 4))
    assert tokens(two) == [rows[:2] for rows in tokens(four)]


def test_global_randomness_is_neither_used_nor_changed():
    model = tiny_lm()
    torch.manual_seed(1)
    first, state = sample_answers(model, PROMPTS, uniforms(2), params()), torch.get_rng_state()
    torch.manual_seed(2)
    assert tokens(sample_answers(model, PROMPTS, uniforms(2), params())) == tokens(first)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


def test_logprobs_are_those_of_a_plain_forward_pass():
    model, temperature = tiny_lm(), 0.8
    for prompt, rows in zip(PROMPTS, sample_answers(model, PROMPTS, uniforms(1), params(temperature)), strict=True):
        whole = torch.tensor([prompt + rows[0].token_ids])
        logits = model(whole).logits[0, len(prompt) - 1 : -1] / temperature
        expected = torch.log_softmax(logits, -1).gather(1, torch.tensor(rows[0].token_ids)[:, None])[:, 0]
        assert rows[0].logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_frequencies_follow_the_distribution():
    model, count = tiny_lm(), 4000
    numbers = np.stack([keyed_uniforms(0, "f", k, count=1) for k in range(count)])
    (rows,) = sample_answers(model, [PROMPTS[0]], [numbers], params(steps=1))
    seen = np.bincount([row.token_ids[0] for row in rows], minlength=38) / count
    expected = torch.softmax(model(torch.tensor([PROMPTS[0]])).logits[0, -1], -1).detach().numpy()
    assert np.abs(seen - expected).max() < 0.03


@pytest.mark.parametrize("vocabulary", [7, 512, 1300])
def test_a_token_is_the_first_past_its_share(vocabulary):
    generator = torch.Generator().manual_seed(vocabulary)
    weights = torch.rand(50, vocabulary, generator=generator, dtype=torch.float64)
    uniform = torch.rand(50, generator=generator, dtype=torch.float64)
    chosen, total = invert_cumulative(weights, uniform)
    cumulative = weights.numpy().cumsum(1)
    assert total[:, 0].tolist() == pytest.approx(cumulative[:, -1].tolist())
    for row, share in enumerate(uniform.tolist()):
        assert chosen[row, 0] == np.searchsorted(cumulative[row], share * cumulative[row, -1], side="right")


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1.0 - 2.0**-53])
def test_what_has_no_weight_is_never_drawn(uniform):
    weights = torch.zeros(3, 1500)
    weights[0, 700], weights[1, 0], weights[2, 1499] = 1e-3, 5.0, 1e30
    chosen, _ = invert_cumulative(weights, torch.full((3,), uniform, dtype=torch.float64))
    assert chosen[:, 0].tolist() == [700, 0, 1499]


def test_answers_stop_at_a_stop_token_or_the_limit():
    for rows in sample_answers(tiny_lm(), PROMPTS, uniforms(4), params()):
        for row in rows:
            assert 1 <= len(row.token_ids) <= 12
            assert len(row.logprobs) == len(row.token_ids)
            assert not {2, 0} & set(row.token_ids[:-1])
            assert (row.finish == "eos") == (row.token_ids[-1] in (2, 0))


def test_progress_counts_answers():
    seen = []
    sample_answers(tiny_lm(), PROMPTS, uniforms(2), params(), seen.append)
    assert seen[-1] == 8


def test_progress_counts_answers_that_are_begun_in_part():
    seen = []
    without_end = SamplingParams(max_new_tokens=12, temperature=1.0, stop_ids=(), pad_id=0)
    sample_answers(tiny_lm(), PROMPTS, uniforms(3), without_end, seen.append)
    assert seen == [*(12 * step // 12 for step in range(1, 13)), 12]


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_in_groups_of_similar_length_get_the_same_answers(family, monkeypatch):
    model = tiny_lm(family)
    together = sample_answers(model, PROMPTS, uniforms(2), params(1.0))
    monkeypatch.setattr(prefill, "MAX_PROMPTS_PER_PASS", 1)
    apart = sample_answers(model, PROMPTS, uniforms(2), params(1.0))
    assert [[row.token_ids for row in rows] for rows in apart] == [[row.token_ids for row in rows] for rows in together]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shared_prefix_is_processed_once_and_changes_no_answer(family, monkeypatch):
    model = tiny_lm(family)
    backbone = model.base_model
    recorder = ActivationRecorder((backbone.layers if hasattr(backbone, "layers") else backbone.h)[2])
    prefix = [3, 21, 22, 23, 24, 25, 26, 27, 28]
    prompts = [prefix + prompt for prompt in PROMPTS]
    read = []
    monkeypatch.setattr(prefill, "last_hidden", lambda *given: read.append(given[1]) or last_hidden(*given))
    once = sample_answers(model, prompts, uniforms(2), params(), recorder=recorder)
    if family in ("mistral", "gemma2"):  # a window slides
        assert [ids.shape for ids in read[:1]] == [(4, 17)]
    else:
        assert read[0].tolist() == [[*prefix, 3]]
        assert read[1].shape == (4, 7)
    monkeypatch.setattr(prefill, "MIN_SHARED_TOKENS", 1000)
    each = sample_answers(model, prompts, uniforms(2), params(), recorder=recorder)
    for ours, plain in zip(chain(*once), chain(*each), strict=True):
        assert ours.token_ids == plain.token_ids
        assert ours.logprobs == pytest.approx(plain.logprobs, abs=1e-5)
        torch.testing.assert_close(ours.activations, plain.activations, atol=1e-5, rtol=1e-5)


def test_most_families_process_a_shared_prefix_once(monkeypatch):
    read = []
    monkeypatch.setattr(prefill, "last_hidden", lambda *given: read.append(given[1].shape) or last_hidden(*given))
    prefix = list(range(3, 13))
    sample_answers(tiny_lm(), [prefix + prompt for prompt in PROMPTS], uniforms(1), params())
    assert read == [(1, 11), (4, 7)]
