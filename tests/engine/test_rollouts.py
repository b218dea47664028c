"""Episodes: which prompts, which random numbers, and the positions of the tokens."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppo_cli.engine.rollouts import EpisodePrompts, PromptOrder, collate, generate, micro_batches
from ppo_cli.engine.split_decoder import SplitDecoder
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.models.sampling import SampledTokens, SamplingParams
from ppo_cli.records.answers import Prompt
from tests.tiny_models import FAMILIES, tiny_lm

THIRTY = ("comply plain",) * 12 + ("refuse unsafe",) * 18


@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 5))
def test_every_pass_uses_every_prompt_once(count, size, seed):
    order = PromptOrder(("any",) * count, seed)
    stream = [index for update in range(1, 2 * count + 2) for index in order.batch(update, size)]
    for start in range(0, len(stream) - count + 1, count):
        assert sorted(stream[start : start + count]) == list(range(count))


def test_another_seed_gives_another_order_and_another_pass_too():
    order = PromptOrder(THIRTY, seed=1)
    assert order.batch(1, 30) != PromptOrder(THIRTY, seed=2).batch(1, 30)
    assert order.batch(1, 30) != order.batch(2, 30)


@given(st.integers(0, 50), st.integers(1, 3))
def test_every_update_has_its_share_of_each_kind(seed, update):
    kinds = [THIRTY[index] for index in PromptOrder(THIRTY, seed=seed).batch(update, 10)]
    assert abs(kinds.count("refuse unsafe") - 6) <= 1


def test_several_answers_per_prompt():
    order = PromptOrder(THIRTY, seed=1, answers_per_prompt=4)
    batch = order.batch(1, 8)
    assert batch == PromptOrder(THIRTY, seed=1).batch(1, 2) * 4
    assert order.batch(2, 8)[:2] == PromptOrder(THIRTY, seed=1).batch(2, 2)
    assert order.used(2, 8) == PromptOrder(THIRTY, seed=1).used(2, 2)


def test_more_episodes_than_prompts_are_drawn_in_several_passes():
    order = PromptOrder(THIRTY, seed=1)
    batch = order.batch(2, 70)
    assert sorted(batch[20:50]) == list(range(30))  # update 1 ended after 10 of the third pass
    assert batch == PromptOrder(THIRTY, seed=1).batch(2, 70)
    assert order.used(1, 70) == list(range(30))


def test_used_names_the_prompts_of_the_first_updates():
    order = PromptOrder(THIRTY, seed=1)
    assert order.used(2, 8) == sorted({*order.batch(1, 8), *order.batch(2, 8)})
    assert order.used(100, 8) == list(range(30))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 200))
def test_micro_batches_hold_every_row_once_within_the_limit(lengths, limit):
    batches = list(micro_batches(range(len(lengths)), lengths, limit))
    assert sorted(row for rows, _ in batches for row in rows) == list(range(len(lengths)))
    for rows, longest in batches:
        assert longest == max(lengths[row] for row in rows)
        assert len(rows) == 1 or len(rows) * longest <= limit


def episode_prompts(texts, tokenizer, first=1):
    prompts = [Prompt(id=text, text=text, category="x", expect="any", pair_id=None, answer=None) for text in texts]
    numbers = range(first, first + len(prompts))
    return EpisodePrompts(numbers, prompts, [tokenizer.render(prompt.text) for prompt in prompts])


def test_answers_to_one_prompt_are_sampled_together_and_are_those_of_their_own_numbers(tiny_model):
    tokenizer, model = load_tokenizer(tiny_model), tiny_lm()
    params = SamplingParams(max_new_tokens=6, temperature=1.0, stop_ids=tokenizer.stop_ids, pad_id=tokenizer.pad_id)
    episodes = episode_prompts(["ab", "cde", "ab", "cde"], tokenizer)
    together = generate(model, tokenizer, episodes, params, seed=5)
    for row, number in enumerate(episodes.numbers):
        one = EpisodePrompts([number], [episodes.prompts[row]], [episodes.token_ids[row]])
        assert generate(model, tokenizer, one, params, seed=5).answers[0] == together.answers[row]
    assert together.answers[0] != together.answers[2]


def test_a_prompt_that_comes_once_more_than_another_changes_no_answer(tiny_model):
    tokenizer, model = load_tokenizer(tiny_model), tiny_lm()
    params = SamplingParams(max_new_tokens=6, temperature=1.0, stop_ids=tokenizer.stop_ids, pad_id=tokenizer.pad_id)
    answers = [
        generate(model, tokenizer, episode_prompts(texts, tokenizer), params, seed=5).answers
        for texts in (["ab", "cde", "ab"], ["ab", "cde", "ab", "cde"])
    ]
    assert answers[0] == answers[1][:3]


def test_tensors_of_two_answers_by_hand(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    prompts = [Prompt(id=name, text=name, category="x", expect="any", pair_id=None, answer=None) for name in ("a", "b")]
    sampled = [SampledTokens([7, 8, 2], [-1.0, -2.0, -3.0], "eos"), SampledTokens([9], [-4.0], "length")]
    episodes = EpisodePrompts([1, 2], prompts, [[3, 6], [3, 6, 6, 6]])
    rollouts = collate(episodes, sampled, tokenizer, torch.device("cpu"))
    pad = tokenizer.pad_id
    assert rollouts.ids.tolist() == [[3, 6, 7, 8, 2], [3, 6, 6, 6, 9]]
    assert rollouts.targets.tolist() == [[7, 8, 2], [9, pad, pad]]
    assert rollouts.response_mask.tolist() == [[True, True, True], [True, False, False]]
    assert rollouts.value_mask.tolist() == [[True, True, True], [True, True, False]]
    assert rollouts.sampler_logprobs.tolist() == [[-1, -2, -3], [-4, 0, 0]]
    positions = rollouts.answer_positions()
    assert positions[0].tolist() == [1, 2, 3]
    assert positions[1, 0] == 3
    assert rollouts.ids.gather(1, (positions + 1).clamp(max=4))[0].tolist() == rollouts.targets[0].tolist()


def test_an_episode_has_its_own_random_numbers_whatever_else_is_in_the_batch(tiny_model):
    tokenizer, model = load_tokenizer(tiny_model), tiny_lm()
    texts = ["hello", "a longer one", "x"]
    params = SamplingParams(6, 1.0, tokenizer.stop_ids, tokenizer.pad_id)

    def answers(texts, first):
        return generate(model, tokenizer, episode_prompts(texts, tokenizer, first), params, seed=1).answers

    together = answers(texts, 1)
    assert answers(texts[1:], 2) == together[1:]
    assert answers(texts, 4) != together


@pytest.mark.parametrize("family", FAMILIES)
def test_activations_recorded_while_sampling_are_those_of_the_lower_layers(tiny_model, family):
    tokenizer, model = load_tokenizer(tiny_model), tiny_lm(family)
    decoder = SplitDecoder(model, 2)
    episodes = episode_prompts(["hello", "a much longer one, it is", "x", "yes or no?", "tell me", "why"], tokenizer)
    params = SamplingParams(12, 1.0, tokenizer.stop_ids, tokenizer.pad_id)

    recorded = generate(model, tokenizer, episodes, params, seed=2, recorder=decoder.recorder())
    plain = generate(model, tokenizer, episodes, params, seed=2)
    assert recorded.answers == plain.answers
    assert plain.activations is None
    assert int(recorded.lengths.min()) < int(recorded.lengths.max())
    computed = decoder.run_lower(recorded.ids)
    assert recorded.activations.shape == computed.shape
    for row, (prompt, answer) in enumerate(zip(recorded.prompt_lengths, recorded.lengths, strict=True)):
        known = int(prompt + answer) - (int(answer) == recorded.targets.shape[1])
        torch.testing.assert_close(recorded.activations[row, :known], computed[row, :known], rtol=1e-4, atol=1e-5)
    assert not recorded.activations.requires_grad
    (recorded.activations * torch.ones(1, requires_grad=True)).sum().backward()  # usable in training
