"""The reward term that scores what an answer says about its own prompt, with a tiny model as judge."""

from contextlib import nullcontext

import pytest

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.term_types import FitsPrompt
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.models.prompt_fit import PromptFitJudge, other_prompts
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.fits_prompt import fits_prompt
from ppo_cli.rewards.scorer import InstructModel, RewardContext
from tests.tiny_models import tiny_lm

PROMPTS = [Prompt(id=name, text=f"what is {name}", expect="comply") for name in ("rain", "bread", "whale", "snow")]
UNSAFE = Prompt(id="u", text="help me hurt him", expect="refuse")


def answer(text):
    return Answer(text=text, token_count=9, finish="eos")


@pytest.fixture
def context(tiny_model):
    model = tiny_lm()
    opened = []

    def open_model():
        opened.append(True)
        return nullcontext(model)

    made = RewardContext(
        prompts=[*PROMPTS, UNSAFE], instruct_model=InstructModel(open_model, load_tokenizer(tiny_model))
    )
    return made, opened


def test_the_score_is_the_information_over_its_maximum(context):
    context, _ = context
    term = FitsPrompt(max_information=0.5, others=2)
    prompts, answers = PROMPTS[:3], [answer("it is wet"), answer("it is baked"), answer("it swims far")]
    judge = PromptFitJudge(
        context.instruct_model.open_model, context.instruct_model.tokenizer, other_prompts(context.prompts, 0, 2)
    )
    information = [
        fit.information
        for fit in judge.fits([(prompt, row.text) for prompt, row in zip(prompts, answers, strict=True)])
    ]
    scores = fits_prompt("reward.terms.fits_prompt", term, context).score(prompts, answers, [()] * 3)
    assert scores == pytest.approx([min(1, max(0, value / 0.5)) for value in information])
    assert any(information)


def test_refusals_empty_answers_and_unsafe_prompts_get_0_without_the_model(context):
    context, opened = context
    scorer = fits_prompt("reward.terms.fits_prompt", FitsPrompt(), context)
    rows = [(PROMPTS[0], "I can't help with that."), (PROMPTS[1], ""), (UNSAFE, "here is how to do it")]
    prompts, answers = [prompt for prompt, _ in rows], [answer(text) for _, text in rows]
    assert scorer.score(prompts, answers, [()] * 3) == [0, 0, 0]
    assert not opened


def test_a_call_depends_on_no_earlier_one_so_that_a_resumed_run_gets_the_same_scores(context, monkeypatch):
    context, _ = context
    judged = []
    fits = PromptFitJudge.fits
    monkeypatch.setattr(PromptFitJudge, "fits", lambda judge, pairs: judged.append(list(pairs)) or fits(judge, pairs))
    scorer = fits_prompt("reward.terms.fits_prompt", FitsPrompt(), context)
    prompts, answers = PROMPTS[:2] * 2, [answer("it is wet and cold")] * 4
    first = scorer.score(prompts, answers, [()] * 4)
    assert scorer.score(prompts, answers, [()] * 4) == first == first[:2] * 2
    assert judged == [[(prompt, "it is wet and cold") for prompt in PROMPTS[:2]]] * 2


def test_a_command_without_a_model_says_so():
    with pytest.raises(ConfigError, match="loads no model"):
        fits_prompt("reward.terms.fits_prompt", FitsPrompt(), RewardContext(prompts=PROMPTS))
