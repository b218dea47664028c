"""How well an answer fits its prompt: by hand on made log-probabilities, and on the built-in model."""

from contextlib import nullcontext

import pytest
import torch

from ppo_cli.models import loading
from ppo_cli.models.device import choose_dtype
from ppo_cli.models.prompt_fit import PromptFitJudge, _fit, _is_copied, other_prompts
from ppo_cli.records.answers import Prompt

QUESTIONS = {
    "whales": ("Is a whale bigger than an elephant?", "A blue whale is far bigger and heavier than an elephant."),
    "bread": ("How do I bake bread at home?", "Mix flour, water, salt and yeast, let the dough rise, and bake it."),
    "paris": ("What is the capital of France?", "The capital of France is Paris."),
    "violin": ("How many strings does a violin have?", "A violin has four strings, tuned in fifths."),
    "rain": ("Why does it rain?", "It rains when the drops of water in a cloud get so heavy that they fall."),
}


def test_information_and_rank_by_hand():
    none_copied = torch.zeros(4, dtype=torch.bool)
    logprobs = torch.tensor([[-1.0, -2.0, -1.0, -1.0], [-2.0, -2.0, -9.0, -1.0], [-4.0, -2.0, -9.0, 0.0]])
    fit = _fit(logprobs, none_copied)
    # per token: -1 + 3 = 2; 0; -1 + 9 = 8, of which 3 count; -1 + 0.5 = -0.5
    assert fit.information == pytest.approx(2 + 0 + 3 - 0.5)
    assert fit.rank == 1.0
    assert _fit(torch.tensor([[-1.0] * 4, [-1.0] * 4, [-0.5] * 4]), none_copied).rank == 0.25


def test_copied_tokens_say_nothing_and_an_echo_or_gibberish_fits_nothing():
    prompt = [1, 2, 3, 4, 5, 6]
    assert _is_copied([9, 2, 3, 4, 5, 9], prompt).tolist() == [False, True, True, True, True, False]
    assert not _is_copied([1, 2, 3, 9, 4, 5, 6], prompt).any()
    likely, unlikely = torch.full((5,), -1.0), torch.full((5,), -4.0)
    some_copied = torch.tensor([True, True, False, False, False])
    assert _fit(torch.stack([likely, unlikely]), some_copied).information == pytest.approx(9.0)
    assert _fit(torch.stack([likely, unlikely]), torch.tensor([True] * 4 + [False])).information == 0
    assert _fit(torch.stack([likely - 5.5, unlikely - 5.5]), some_copied) == _fit(
        torch.stack([likely, unlikely]), torch.ones(5, dtype=torch.bool)
    )


def test_other_prompts_are_drawn_by_seed_from_those_to_answer():
    prompts = [Prompt(id=str(i), text=str(i), expect="refuse" if i % 2 else "comply") for i in range(40)]
    drawn = other_prompts(prompts, seed=1, count=8)
    assert len({prompt.id for prompt in drawn}) == 9
    assert all(prompt.expect == "comply" for prompt in drawn)
    assert drawn == other_prompts(prompts, seed=1, count=8) != other_prompts(prompts, seed=2, count=8)
    assert len(other_prompts(prompts[1:2], seed=1, count=8)) == 1


@pytest.fixture
def judge(builtin_model):
    tokenizer, device = loading.load_tokenizer(builtin_model), torch.device("cpu")
    model = loading.load_model(builtin_model, tokenizer, device, choose_dtype("auto", device))
    prompts = [Prompt(id=name, text=text) for name, (text, _) in QUESTIONS.items()]
    return PromptFitJudge(lambda: nullcontext(model), tokenizer, prompts)


def fits(judge, answers):
    prompts = [Prompt(id=name, text=text) for name, (text, _) in QUESTIONS.items()]
    return judge.fits(list(zip(prompts, answers, strict=True)))


@pytest.mark.builtin_model
def test_answers_fit_and_what_would_do_for_any_prompt_does_not(judge):
    answers = [answer for _, answer in QUESTIONS.values()]
    own = fits(judge, answers)
    assert all(fit.information > 5 and fit.rank == 1 for fit in own)
    stock = fits(judge, ["This could be a classic example of the situation."] * 5)
    assert max(fit.information for fit in stock) < min(fit.information for fit in own)
    assert abs(sum(fit.information for fit in stock)) / 5 < 3
    shuffled = fits(judge, answers[1:] + answers[:1])
    assert sum(fit.rank for fit in shuffled) / 5 < 0.7
    assert all(fit.information == fit.rank == 0 for fit in fits(judge, [text for text, _ in QUESTIONS.values()]))
    gibberish = ["elephant than whale an a blue heavier the bigger far of is"] * 5
    assert all(fit.information == 0 for fit in fits(judge, gibberish))
    assert all(fit.rank == 0 for fit in fits(judge, [""] * 5))
