"""An answer token by token is the answer that sampling gives, whatever else is streamed between its tokens."""

import pytest

from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers
from ppo_cli.models.streaming import stream_tokens
from tests.tiny_models import tiny_lm

PROMPT, OTHER = [3, 10, 11, 12, 2, 4], [3, 20, 21, 2, 4]


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_tokens_are_those_of_sampling(family, temperature):
    model = tiny_lm(family)
    params = SamplingParams(16, temperature, stop_ids=(2,), pad_id=0)
    for seed in range(4):
        draws = keyed_uniforms(seed, "chat", 1, 1, count=16)
        (sampled,) = sample_answers(model, [PROMPT], [draws[None]], params)[0]
        assert list(stream_tokens(model, PROMPT, draws, params)) == sampled.token_ids


def test_two_answers_that_grow_in_turn_do_not_disturb_each_other():
    models = tiny_lm(seed=1), tiny_lm(seed=2)
    params = SamplingParams(12, 1.0, stop_ids=(2,), pad_id=0)
    draws = keyed_uniforms(5, "chat", 1, 1, count=12)
    alone = [list(stream_tokens(model, PROMPT, draws, params)) for model in models]
    streams = [stream_tokens(model, PROMPT, draws, params) for model in models]
    together = [[], []]
    for _ in range(12):
        for got, stream in zip(together, streams, strict=True):
            got += [token for token in [next(stream, None)] if token is not None]
    assert together == alone


def test_an_answer_has_no_more_tokens_than_asked_for():
    params = SamplingParams(3, 1.0, stop_ids=(), pad_id=0)
    draws = keyed_uniforms(5, "chat", 1, 1, count=9)
    assert len(list(stream_tokens(tiny_lm(), OTHER, draws, params))) == 3
