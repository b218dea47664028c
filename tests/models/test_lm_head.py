"""The language head and what is computed through it, against the models' own forward."""

import math
from contextlib import nullcontext

import pytest
import torch

from ppo_cli.models.exact_kl import exact_kl_and_entropy
from ppo_cli.models.lm_head import LMHead
from tests.tiny_models import FAMILIES, tiny_lm


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_models_own(family):
    model = tiny_lm(family)
    head = LMHead(model)
    assert head.matches_forward(model)
    ids = torch.randint(3, 30, (2, 7))
    hidden = model.base_model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(head.logits(hidden.reshape(-1, 32)), model(ids).logits.reshape(14, -1))


def test_a_head_with_other_logits_is_noticed():
    model = tiny_lm("gemma2")
    head = LMHead(model)
    head.softcap = None
    model.get_output_embeddings().weight.data *= 50  # so that the cap matters
    assert not head.matches_forward(model)


def test_chunks_cover_every_row_once(monkeypatch):
    head = LMHead(tiny_lm())
    hidden = torch.randn(300, 32)
    pieces = list(head.chunks(hidden))
    assert [piece[0] for piece in pieces] == [slice(0, 128), slice(128, 256), slice(256, 384)]
    torch.testing.assert_close(torch.cat([logits for _, logits in pieces]), head.logits(hidden))


def test_kl_and_entropy_against_their_definitions():
    policy, reference = tiny_lm(seed=1), tiny_lm(seed=2)
    sequences = [([3, 9, 2, 4], [7, 8, 2]), ([3, 9, 10, 11, 2, 4], [5]), ([3, 2, 4], [9, 9, 9, 9, 9])]
    results = exact_kl_and_entropy(lambda: nullcontext(policy), lambda: nullcontext(reference), sequences)
    for (prompt, answer), value in zip(sequences, results, strict=True):
        ids = torch.tensor([prompt + answer])
        with torch.no_grad():
            p, q = (torch.log_softmax(m(ids).logits[0, len(prompt) - 1 : -1], -1) for m in (policy, reference))
        assert value.kl == pytest.approx(float((p.exp() * (p - q)).sum()), rel=1e-4)
        entropy = torch.distributions.Categorical(logits=p).entropy()
        assert value.entropy == pytest.approx(float(entropy.mean()), rel=1e-4)


def test_kl_of_a_model_with_itself_is_zero():
    model = tiny_lm()
    (result,) = exact_kl_and_entropy(lambda: nullcontext(model), lambda: nullcontext(model), [([3, 4], [5, 6])])
    assert result.kl == 0.0
    assert exact_kl_and_entropy(lambda: nullcontext(model), None, [([3, 4], [5, 6])]) == [result]


def test_entropy_of_a_uniform_model_is_that_of_its_vocabulary():
    model = tiny_lm()
    torch.nn.init.zeros_(model.get_output_embeddings().weight)
    (result,) = exact_kl_and_entropy(lambda: nullcontext(model), None, [([3, 4], [5, 6, 7])])
    assert result.entropy == pytest.approx(math.log(model.config.vocab_size), rel=1e-5)
