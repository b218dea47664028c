"""Whether the user said which measure shows that the goal is reached, where a recipe's goal was changed.

The goal is a text for people: nothing reads it. What is learnt is what the reward scores, and what is reported is the
primary measure.

Not here: which recipe a config is nearest to (`setup.recipes`).
"""

from __future__ import annotations

from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.checks import Check
from ppo_cli.setup.recipes import unconfirmed_goal


def goal_check(experiment: Experiment, eval_text: str) -> Check:
    """A warning where prompts or reward are those of a recipe with another goal, and nobody said that they fit.

    Args:
        experiment: as loaded.
        eval_text: of its evaluation prompts.
    """
    unconfirmed, primary = unconfirmed_goal(experiment, eval_text), experiment.evaluation.primary
    terms = ", ".join(experiment.reward.terms)
    confirmed = " (confirmed)" if experiment.evaluation.primary_confirmed else ""
    return Check.from_condition(
        "the primary measure stands for the goal",
        unconfirmed is None,
        value=unconfirmed.sentence if unconfirmed else f"{primary}{confirmed}; reward: {terms}",
        threshold="chosen for this goal",
        reason="PPO learns what the reward scores, and a verdict is about the primary measure, whatever the goal says",
        next_step=unconfirmed.next_step if unconfirmed else "",
        otherwise="warn",
    )
