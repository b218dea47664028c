"""The audit on what is shipped: no trick beats the recipes' rewards, and one beats each trap."""

from pathlib import Path

import pytest

from ppo_cli.experiment.load import load_experiment
from ppo_cli.prompts.jsonl import read_prompts
from ppo_cli.records.answers import Answer, PromptAnswers
from ppo_cli.rewards.audit.exploits import exploit_check, try_exploits
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.setup.init import templates_folder


def written_and_cut(prompts):
    """Each written answer beside one that rambles into the limit before it says the same."""
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
    ("config", "outcome", "winner"),
    [
        ("concise.yaml", "pass", None),
        ("refusal.yaml", "pass", None),
        ("bad_rewards/concise.yaml", "stop", "empty"),
        ("bad_rewards/refusal.yaml", "stop", "always refuses"),
    ],
)
def test_tricks(config, outcome, winner):
    experiment = load_experiment(templates_folder() / config).experiment
    written = read_prompts(Path(experiment.model.warm_start), need_answers=True)[:48]
    tricks = try_exploits(
        CompositeReward(experiment.reward),
        written_and_cut(written),
        written,
        baseline=experiment.reward.baseline,
        limit=experiment.rollout.max_new_tokens,
    )
    check = exploit_check(tricks)
    assert check.status == outcome, check.value
    assert winner is None or f"'{winner}'" in check.value
