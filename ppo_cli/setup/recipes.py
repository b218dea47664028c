"""The shipped experiments, and how much of one a config still has.

Not here: writing an experiment folder from one (`init`), what a user puts in place of its parts (`recipe_choices`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ppo_cli
from ppo_cli.errors import UsageError
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.values import to_dict
from ppo_cli.prompts.leakage import wording


@dataclass(frozen=True, kw_only=True)
class UnconfirmedGoal:
    """A goal that differs from that of the recipe whose parts its config has, and no word that they fit it."""

    recipe: str
    recipe_goal: str
    parts: tuple[str, ...]
    """What is still the recipe's, in words that name it."""
    primary: str

    @property
    def sentence(self) -> str:
        """What is the case, in one sentence."""
        *others, last = self.parts
        parts = f"{', '.join(others)} and {last}" if others else last
        return (
            f"This goal may not be measured: {parts} {'are' if others else 'is'} still of the recipe {self.recipe}, "
            f'made for "{self.recipe_goal.rstrip(".")}"'
        )

    @property
    def next_step(self) -> str:
        """What to change."""
        return (
            "Change the prompts, reward.terms and evaluation.primary to those of your goal; or, if "
            f"{self.primary} does show whether it is reached, set evaluation.primary_confirmed: true."
        )


def recipes() -> dict[str, Path]:
    """The shipped configs by name; configs in folders below, such as `bad_rewards`, are no recipes."""
    return {path.stem: path for path in sorted(templates_folder().glob("*.yaml"))}


def templates_folder() -> Path:
    """The folder of the shipped configs: inside the package of a wheel, or beside the package in a checkout."""
    package = Path(ppo_cli.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def load_recipe(name: str, overrides: Sequence[str] = ()) -> LoadedExperiment:
    """A shipped config.

    Args:
        name: its file name without the suffix.
        overrides: changes to it, each as `key=value`.

    Raises:
        UsageError: there is none of this name.
    """
    known = recipes()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
        raise UsageError(f"no recipe '{name}'.", hint)
    return load_experiment(known[name], overrides)


def is_same_goal(goal: str, other: str) -> bool:
    """Whether two goals have the same words."""
    return wording(goal) == wording(other)


def unconfirmed_goal(experiment: Experiment, eval_text: str) -> UnconfirmedGoal | None:
    """The recipe whose reward or prompts a config has under another goal; None where the user confirmed the measure.

    Nothing is concluded from what the goal says, only from whether it is the recipe's.

    Args:
        experiment: as loaded.
        eval_text: of its evaluation prompts, as `read_prompt_file` gives it.
    """
    if experiment.evaluation.primary_confirmed:
        return None
    nearest: UnconfirmedGoal | None = None
    for name, path in recipes().items():
        recipe = load_experiment(path).experiment
        parts = _shared_parts(experiment, eval_text, recipe)
        if not parts:
            continue
        if is_same_goal(experiment.goal, recipe.goal):
            return None
        if nearest is None or len(parts) > len(nearest.parts):
            primary = experiment.evaluation.primary
            nearest = UnconfirmedGoal(recipe=name, recipe_goal=recipe.goal, parts=parts, primary=primary)
    return nearest


def _shared_parts(experiment: Experiment, eval_text: str, recipe: Experiment) -> tuple[str, ...]:
    """Prompts, reward and primary measure where they are the recipe's; empty unless prompts or reward are."""
    parts = []
    if Path(recipe.prompts.eval).read_text(encoding="utf-8") == eval_text:
        parts.append("prompts")
    if to_dict(experiment)["reward"]["terms"] == to_dict(recipe)["reward"]["terms"]:
        parts.append(f"reward ({', '.join(experiment.reward.terms)})")
    if parts and experiment.evaluation.primary == recipe.evaluation.primary:
        parts.append(f"primary measure ({experiment.evaluation.primary})")
    return tuple(parts)
