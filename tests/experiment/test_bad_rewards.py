"""The deliberately bad rewards: each is the experiment it is named for, with another reward."""

from pathlib import Path

import pytest

from ppo_cli.experiment.load import load_experiment
from ppo_cli.setup.recipes import recipes, templates_folder

BAD_REWARDS = sorted((templates_folder() / "bad_rewards").glob("*.yaml"))


def test_there_are_bad_rewards():
    assert {config.stem for config in BAD_REWARDS} == {"clarify", "concise", "refusal", "refusal_stock_phrases"}


@pytest.mark.parametrize("config", BAD_REWARDS, ids=lambda config: config.stem)
def test_a_bad_reward_differs_from_its_recipe_in_the_reward(config):
    bad = load_experiment(config).experiment
    good = load_experiment(recipes()[config.stem.split("_")[0]]).experiment
    for part in ("goal", "rollout", "seed"):
        assert getattr(bad, part) == getattr(good, part), part
    for name in ("train", "eval"):
        assert Path(getattr(bad.prompts, name)).samefile(getattr(good.prompts, name))
    assert Path(bad.model.warm_start).samefile(good.model.warm_start)
    assert bad.model.sft == good.model.sft
    assert bad.evaluation.primary == good.evaluation.primary
    assert bad.reward.terms != good.reward.terms


def test_a_bad_reward_is_no_recipe():
    assert not {path.parent.name for path in recipes().values()} & {"bad_rewards"}
