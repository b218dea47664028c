"""The audit on the shipped configs: no exploit beats the recipes' rewards, and one beats each bad reward."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from ppo_cli.experiment.load import load_experiment
from ppo_cli.models.device import choose_dtype
from ppo_cli.models.loading import load_model, load_tokenizer
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Answer, PromptAnswers
from ppo_cli.rewards.audit.exploits import exploit_check, try_exploits
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.scorer import InstructModel, RewardContext
from ppo_cli.setup.recipes import templates_folder


def written_and_cut(prompts):
    """Each written answer, and one that is cut at the limit while it says the same in more words."""
    return PromptAnswers(
        prompts=tuple(prompts),
        answers=tuple(
            (
                Answer(text=prompt.answer, token_count=12, finish="eos"),
                Answer(
                    text=f"There is much to say of it. {prompt.answer} And so it goes", token_count=40, finish="length"
                ),
            )
            for prompt in prompts
        ),
    )


def check_of(config, context=None, *, examples=48):
    experiment = load_experiment(templates_folder() / config).experiment
    written = read_prompts(Path(experiment.model.warm_start), need_answers=True)[:examples]
    exploits = try_exploits(
        CompositeReward(experiment.reward, context=context),
        written_and_cut(written),
        written,
        baseline=experiment.reward.baseline,
        limit=experiment.rollout.max_new_tokens,
    )
    return exploit_check(exploits)


@pytest.mark.parametrize(
    ("config", "winner"), [("bad_rewards/concise.yaml", "empty"), ("bad_rewards/refusal.yaml", "always refuses")]
)
def test_an_exploit_beats_each_bad_reward(config, winner):
    check = check_of(config)
    assert check.status == "fail", check.value
    assert f"'{winner}'" in check.value


@pytest.mark.builtin_model
@pytest.mark.parametrize("recipe", [pytest.param("refusal", marks=pytest.mark.long), "concise"])
def test_no_exploit_beats_a_reward_that_asks_the_built_in_model(builtin_model, recipe):
    tokenizer = load_tokenizer(builtin_model)
    cpu = torch.device("cpu")
    model = load_model(builtin_model, tokenizer, cpu, choose_dtype("auto", cpu))
    prompts = read_prompts(templates_folder() / "prompts" / recipe / "train.jsonl")
    context = RewardContext(prompts=prompts, instruct_model=InstructModel(lambda: nullcontext(model), tokenizer))
    assert check_of(f"{recipe}.yaml", context, examples=2).status == "pass"
