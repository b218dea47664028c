"""The split decoder: two halves give what the whole gives, in every family, or every pass runs all layers."""

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig

from ppo_cli.engine.split_decoder import SplitDecoder
from ppo_cli.errors import ModelError
from tests.tiny_models import FAMILIES, tiny_lm

IDS = torch.randint(3, 30, (3, 11), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("trained", [1, 3, None])
@pytest.mark.parametrize("family", FAMILIES)
def test_halves_give_the_whole(family, trained):
    model = tiny_lm(family)
    decoder = SplitDecoder(model, trained)
    assert decoder.disable_split_if_inexact(IDS)
    assert decoder.split_at == (0 if trained is None else 4 - trained)
    whole = model.base_model(input_ids=IDS).last_hidden_state
    torch.testing.assert_close(decoder.run_upper(decoder.run_lower(IDS), IDS), whole)
    torch.testing.assert_close(model.base_model(input_ids=IDS).last_hidden_state, whole)


def test_right_padding_changes_no_answer():
    decoder = SplitDecoder(tiny_lm(), 2)
    padded = torch.nn.functional.pad(IDS, (0, 5))
    long = decoder.run_upper(decoder.run_lower(padded), padded)[:, : IDS.shape[1]]
    torch.testing.assert_close(long, decoder.run_upper(decoder.run_lower(IDS), IDS))


def test_other_layers_replace_the_upper_ones_and_no_others():
    first, second = tiny_lm(seed=1), tiny_lm(seed=2)
    decoder = SplitDecoder(first, 2)
    others = SplitDecoder(second, 2).upper_layers
    mixed = decoder.run_upper(decoder.run_lower(IDS), IDS, others)
    with decoder.with_upper_layers(others):
        torch.testing.assert_close(first.base_model(input_ids=IDS).last_hidden_state, mixed)
    assert not torch.allclose(mixed, decoder.run_upper(decoder.run_lower(IDS), IDS))


def test_a_family_that_cannot_be_split_runs_all_layers_and_stays_right():
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(BloomConfig(hidden_size=32, n_layer=4, n_head=4, vocab_size=40)).eval()
    decoder = SplitDecoder(model, 2)
    assert not decoder.disable_split_if_inexact(IDS)
    assert decoder.split_at == 0
    assert len(decoder.upper_layers) == 2  # what is trained stays what was asked for
    torch.testing.assert_close(
        decoder.run_upper(decoder.run_lower(IDS), IDS), model.base_model(input_ids=IDS).last_hidden_state
    )


def test_more_layers_than_there_are():
    with pytest.raises(ModelError, match="has 4 layers, not 5"):
        SplitDecoder(tiny_lm(), 5)
