"""The pre-allocated cache, against transformers' own."""

import pytest
import torch
from transformers import DynamicCache

from ppo_cli.models.kv_cache import PreallocatedLayer, concatenate_caches
from tests.tiny_models import FAMILIES, tiny_lm

IDS = torch.randint(3, 30, (3, 6), generator=torch.Generator().manual_seed(1))


def last_logits(model, ids, cache):
    with torch.inference_mode():
        return model(input_ids=ids, past_key_values=cache, use_cache=True).logits[:, -1]


@pytest.mark.parametrize("family", FAMILIES)
def test_later_tokens_get_the_same_logits(family):
    model = tiny_lm(family)
    theirs, first, second = (DynamicCache(config=model.config) for _ in range(3))
    last_logits(model, IDS, theirs)
    last_logits(model, IDS[:2], first)
    last_logits(model, IDS[2:], second)
    ours = concatenate_caches([first, second], max_new_tokens=4)
    for token in (5, 9, 4, 7):
        ids = torch.full((3, 1), token)
        torch.testing.assert_close(last_logits(model, ids, ours), last_logits(model, ids, theirs), atol=1e-5, rtol=1e-5)
    keep = torch.tensor([2, 0])
    for cache in (ours, theirs):
        cache.batch_select_indices(keep)
        cache.batch_repeat_interleave(2)
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        torch.testing.assert_close(mine.keys, other.keys, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(mine.values, other.values, atol=1e-6, rtol=1e-6)


def test_a_step_copies_nothing():
    layer = PreallocatedLayer(torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4), max_new_tokens=2)
    address = layer.keys.data_ptr()
    for length in (6, 7):
        keys, values = layer.update(torch.ones(2, 3, 1, 4), torch.zeros(2, 3, 1, 4))
        assert keys.shape == values.shape == (2, 3, length, 4)
        assert keys.data_ptr() == address
        assert keys[:, :, -1].eq(1).all()
        assert layer.get_seq_length() == length


def test_shorter_rows_are_padded_in_front():
    def filled(rows, length, value):
        cache = DynamicCache()
        cache.update(torch.full((rows, 1, length, 2), value), torch.full((rows, 1, length, 2), -value), 0)
        return cache

    keys = concatenate_caches([filled(1, 3, 1.0), filled(2, 1, 2.0)], max_new_tokens=1).layers[0].keys
    assert keys[:, 0, :, 0].tolist() == [[1, 1, 1], [0, 0, 2], [0, 0, 2]]
