"""Episodes: which prompts, whose randomness, and where the tokens lie."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppo_cli.engine.rollouts import PromptOrder, collate, generate, micro_batches
from ppo_cli.engine.split_decoder import SplitDecoder
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.models.sampling import SampledTokens, SamplingParams
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import ignore_events
from tests.tiny_models import FAMILIES, tiny_lm


@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 5))
def test_every_pass_uses_every_prompt_once(count, size, seed):
    order = PromptOrder(count, seed)
    stream = [index for update in range(1, 2 * count + 2) for index in order.batch(update, size)]
    for start in range(0, len(stream) - count + 1, count):
        assert sorted(stream[start : start + count]) == list(range(count))


def test_another_seed_gives_another_order_and_another_pass_too():
    order = PromptOrder(30, seed=1)
    assert order.batch(1, 30) != PromptOrder(30, seed=2).batch(1, 30)
    assert order.batch(1, 30) != order.batch(2, 30)


def test_used_names_the_prompts_of_the_first_updates():
    order = PromptOrder(30, seed=1)
    assert order.used(2, 8) == sorted({*order.batch(1, 8), *order.batch(2, 8)})
    assert order.used(100, 8) == list(range(30))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 200))
def test_micro_batches_hold_every_row_once_within_the_limit(lengths, limit):
    batches = list(micro_batches(range(len(lengths)), lengths, limit))
    assert sorted(row for rows, _ in batches for row in rows) == list(range(len(lengths)))
    for rows, longest in batches:
        assert longest == max(lengths[row] for row in rows)
        assert len(rows) == 1 or len(rows) * longest <= limit


def test_tensors_of_two_answers_by_hand(tiny_model):
    tokens = load_tokenizer(tiny_model)
    prompts = [Prompt(id=name, text=name, category="x", expect="any", pair_id=None, answer=None) for name in ("a", "b")]
    drawn = [SampledTokens([7, 8, 2], [-1.0, -2.0, -3.0], "eos"), SampledTokens([9], [-4.0], "length")]
    made = collate(prompts, [[3, 6], [3, 6, 6, 6]], drawn, tokens, torch.device("cpu"))
    pad = tokens.pad_id
    assert made.ids.tolist() == [[3, 6, 7, 8, 2], [3, 6, 6, 6, 9]]
    assert made.targets.tolist() == [[7, 8, 2], [9, pad, pad]]
    assert made.response_mask.tolist() == [[True, True, True], [True, False, False]]
    assert made.value_mask.tolist() == [[True, True, True], [True, True, False]]
    assert made.sampler_logprobs.tolist() == [[-1, -2, -3], [-4, 0, 0]]
    places = made.answer_positions()
    assert places[0].tolist() == [1, 2, 3]
    assert places[1, 0] == 3
    assert made.ids.gather(1, (places + 1).clamp(max=4))[0].tolist() == made.targets[0].tolist()


def test_an_episode_owns_its_draws_whoever_stands_beside_it(tiny_model):
    tokens, model = load_tokenizer(tiny_model), tiny_lm()
    prompts = [
        Prompt(id=text, text=text, category="x", expect="any", pair_id=None, answer=None)
        for text in ("hello", "a longer one", "x")
    ]
    decoding = SamplingParams(6, 1.0, tokens.stop_ids, tokens.pad_id)

    def draw(chosen, first):
        return generate(
            model,
            tokens,
            chosen,
            decoding,
            seed=1,
            episodes=range(first, first + len(chosen)),
            update=1,
            on_event=ignore_events,
        ).answers

    together = draw(prompts, 1)
    assert draw(prompts[1:], 2) == together[1:]
    assert draw(prompts, 4) != together


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_overheard_while_sampling_is_what_the_lower_layers_give(tiny_model, family):
    tokens, model = load_tokenizer(tiny_model), tiny_lm(family)
    stack = SplitDecoder(model, 2)
    prompts = [
        Prompt(id=text, text=text, category="x", expect="any", pair_id=None, answer=None)
        for text in ("hello", "a much longer one, it is", "x", "yes or no?", "tell me", "why")
    ]
    decoding = SamplingParams(12, 1.0, tokens.stop_ids, tokens.pad_id)

    def draw(tap):
        return generate(
            model, tokens, prompts, decoding, seed=2, episodes=range(1, 7), update=1, on_event=ignore_events, tap=tap
        )

    heard, alone = draw(stack.recorder()), draw(None)
    assert heard.answers == alone.answers
    assert alone.activations is None
    assert int(heard.lengths.min()) < int(heard.lengths.max())
    computed = stack.run_lower(heard.ids)
    assert heard.activations.shape == computed.shape
    for row, (prompt, answer) in enumerate(zip(heard.prompt_lengths, heard.lengths, strict=True)):
        known = int(prompt + answer) - (int(answer) == heard.targets.shape[1])
        torch.testing.assert_close(heard.activations[row, :known], computed[row, :known], rtol=1e-4, atol=1e-5)
    assert not heard.activations.requires_grad
    (heard.activations * torch.ones(1, requires_grad=True)).sum().backward()  # usable in training
