"""The audit on the shipped configs: no exploit beats the recipes' rewards, and one beats each bad reward."""

from pathlib import Path

import pytest

from ppo_cli.experiment.load import load_experiment
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Answer, PromptAnswers
from ppo_cli.rewards.audit.exploits import exploit_check, try_exploits
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.setup.init import templates_folder


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


@pytest.mark.parametrize(
    ("config", "status", "winner"),
    [
        ("concise.yaml", "pass", None),
        ("refusal.yaml", "pass", None),
        ("bad_rewards/concise.yaml", "fail", "empty"),
        ("bad_rewards/refusal.yaml", "fail", "always refuses"),
    ],
)
def test_exploits(config, status, winner):
    experiment = load_experiment(templates_folder() / config).experiment
    written = read_prompts(Path(experiment.model.warm_start), need_answers=True)[:48]
    exploits = try_exploits(
        CompositeReward(experiment.reward),
        written_and_cut(written),
        written,
        baseline=experiment.reward.baseline,
        limit=experiment.rollout.max_new_tokens,
    )
    check = exploit_check(exploits)
    assert check.status == status, check.value
    assert winner is None or f"'{winner}'" in check.value
