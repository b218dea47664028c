"""Log-probabilities in chunks against the whole buffer, values and gradients."""

import pytest
import torch

from ppo_cli.engine.logprobs import token_logprobs, token_logprobs_and_entropy
from ppo_cli.models.lm_head import LMHead
from tests.tiny_models import tiny_lm

TOKENS = 300  # more than two chunks


def case(family="llama"):
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(TOKENS, 32, generator=generator)
    return LMHead(tiny_lm(family)), hidden, torch.randint(0, 38, (TOKENS,), generator=generator)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])  # gemma2 caps its logits
def test_values_and_gradients_are_those_of_the_whole_buffer(family):
    head, hidden, targets = case(family)
    head.scale = 0.5
    ours, naive = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    logprobs = token_logprobs(head, ours, targets, temperature=0.7)
    expected = torch.log_softmax(head.logits(naive) / 0.7, -1).gather(1, targets[:, None]).squeeze(1)
    torch.testing.assert_close(logprobs, expected)
    weights = torch.linspace(-1, 1, TOKENS)
    (logprobs * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, naive.grad)


def test_entropy_is_that_of_the_distribution():
    head, hidden, targets = case()
    logprobs, entropies = token_logprobs_and_entropy(head, hidden, targets, temperature=0.7)
    whole = torch.distributions.Categorical(logits=head.logits(hidden) / 0.7)
    torch.testing.assert_close(entropies, whole.entropy())
    torch.testing.assert_close(logprobs, whole.log_prob(targets))


def test_no_tokens_give_no_numbers():
    head, hidden, targets = case()
    assert token_logprobs(head, hidden[:0], targets[:0], 1.0).shape == (0,)
