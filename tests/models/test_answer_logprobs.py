"""Log-probabilities of given answers after given prompts, against the models' own forward."""

import pytest
import torch

from ppo_cli.models.answer_logprobs import answer_logprobs
from tests.tiny_models import FAMILIES, tiny_lm

PROMPTS = [[4, 7, 9, 11, 5], [4, 8, 5], [4, 8, 10, 12, 14, 16, 18, 5]]


@pytest.mark.parametrize("family", FAMILIES)
def test_they_are_the_models_own_whatever_stands_in_the_same_pass(family):
    model = tiny_lm(family)
    pairs = [(0, [6, 7, 8, 2]), (2, [20, 2]), (1, [9]), (0, [13, 13, 13]), (1, [7, 8, 9, 10, 2])]
    for (index, answer), ours in zip(pairs, answer_logprobs(model, PROMPTS, pairs, 0), strict=True):
        ids = torch.tensor([[*PROMPTS[index], *answer]])
        with torch.no_grad():
            logprobs = torch.log_softmax(model(ids).logits[0].float(), dim=-1)
        start = len(PROMPTS[index]) - 1
        expected = [float(logprobs[start + step, token]) for step, token in enumerate(answer)]
        torch.testing.assert_close(ours, torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_progress_ends_at_the_number_of_pairs():
    done = []
    answer_logprobs(tiny_lm(), PROMPTS, [(0, [6])] * 70, 0, done.append)
    assert done == [64, 70]
