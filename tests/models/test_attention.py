"""Which attention a model computes with, and what cannot be had here."""

import pytest
import torch

from ppo_cli.errors import ConfigError
from ppo_cli.models.attention import with_attention
from ppo_cli.models.grouped_attention import GROUPED
from ppo_cli.models.loading import load_model, load_tokenizer


def loaded(folder, attention):
    device = torch.device("cpu")
    return with_attention(load_model(folder, load_tokenizer(folder), device, torch.float32), attention, device)


def test_the_same_logits_whatever_the_attention(tiny_model):
    ids = torch.arange(1, 13).view(2, 6)
    models = {name: loaded(tiny_model, name) for name in ("auto", "eager", "sdpa")}
    used = {name: model.config._attn_implementation for name, model in models.items()}
    assert used == {"auto": GROUPED, "eager": "eager", "sdpa": "sdpa"}
    logits = [model(input_ids=ids, use_cache=False).logits for model in models.values()]
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0])


def test_attention_for_gpus_is_refused_on_a_cpu(tiny_model):
    with pytest.raises(ConfigError, match="flash_attention_2 needs a CUDA GPU"):
        loaded(tiny_model, "flash_attention_2")


def test_what_the_model_or_the_machine_lacks_is_one_sentence(tiny_model, monkeypatch):
    from ppo_cli.models import attention

    monkeypatch.setattr(attention, "NEEDS_CUDA", ())  # as on a machine with a GPU and without the package
    with pytest.raises(ConfigError, match="flash_attention_2 cannot be used here: ") as caught:
        loaded(tiny_model, "flash_attention_2")
    assert "attn_implementation=auto" in str(caught.value.next_step)
