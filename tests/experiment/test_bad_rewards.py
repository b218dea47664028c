"""The deliberately bad rewards: each is the experiment it is named for, with another reward."""

from pathlib import Path

import pytest

from ppo_cli.commands.init import recipes, templates_folder
from ppo_cli.experiment.load import load_experiment

TRAPS = sorted((templates_folder() / "traps").glob("*.yaml"))


def test_there_are_traps():
    assert {trap.stem for trap in TRAPS} >= {"clarify", "concise", "refusal"}


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.stem)
def test_a_trap_differs_from_its_recipe_in_the_reward(trap):
    bad = load_experiment(trap).experiment
    good = load_experiment(recipes()[trap.stem]).experiment
    for part in ("goal", "rollout", "kl", "seed"):
        assert getattr(bad, part) == getattr(good, part), part
    for name in ("train", "eval"):
        assert Path(getattr(bad.prompts, name)).samefile(getattr(good.prompts, name))
    assert Path(bad.model.warm_start).samefile(good.model.warm_start)
    assert bad.model.sft == good.model.sft
    assert bad.evaluation.primary == good.evaluation.primary
    assert bad.reward.terms != good.reward.terms


def test_a_trap_is_no_recipe():
    assert not {path.parent.name for path in recipes().values()} & {"traps"}
