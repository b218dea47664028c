"""What a user puts in place of a recipe's start model, reward and primary measure, checked against the schema at once.

Not here: the recipes (`recipes`), a user's own prompts (`user_dataset`), writing the config (`init`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ppo_cli.behaviours.measures import MEASURES, measure_named, require_primary
from ppo_cli.errors import ConfigError, ModelError, UsageError
from ppo_cli.experiment.load import LoadedExperiment
from ppo_cli.experiment.problems import problems_of
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_index import TERMS, keys_in
from ppo_cli.experiment.term_types import TERM_TYPES
from ppo_cli.experiment.values import flatten, to_dict
from ppo_cli.models import builtin
from ppo_cli.models.cost_estimate import model_shape
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import Measure
from ppo_cli.stats.power import missing_expectations
from ppo_cli.store.checkpoint_names import start_checkpoint

BUILTIN_PREFIX = "builtin:"
BUILTIN = f"{BUILTIN_PREFIX}{builtin.NAME}"


@dataclass(frozen=True, kw_only=True)
class RecipeChoices:
    """What a user puts in place of a recipe's parts; what is None or empty stays the recipe's."""

    model: str | None = None
    """A folder, a Hugging Face id, builtin:NAME, or a checkpoint of a run."""
    reward: tuple[str, ...] = ()
    """Each TERM or TERM=WEIGHT."""
    primary: str | None = None
    """The measure that stands for the goal."""


def chosen_experiment(loaded: LoadedExperiment, choices: RecipeChoices) -> tuple[LoadedExperiment, list[str]]:
    """A recipe with a user's choices, and a sentence per setting that they change beside themselves.

    Raises:
        UsageError: a choice names nothing that there is; the message proposes the nearest.
    """
    tree, removed, changed, notices = to_dict(loaded.experiment), set[str](), dict[str, Any](), list[str]()
    if choices.model is not None:
        changed |= _model(loaded.experiment, choices.model, notices)
        removed |= {path for path in flatten(tree) if path.startswith("model.sft.") and "model.warm_start" in changed}
    if choices.reward:
        terms = _reward(tree["reward"].pop("terms"), choices.reward)
        removed |= {path for path in loaded.given if path.startswith(f"{TERMS}.")}
        changed |= flatten(terms, f"{TERMS}.")
    if choices.primary is not None:
        changed |= _primary(loaded.experiment, choices.primary, notices)
        if not choices.reward and choices.primary != loaded.experiment.evaluation.primary:
            notices.append(
                f"The reward ({', '.join(loaded.experiment.reward.terms)}) is still the recipe's, which was made for "
                f"{loaded.experiment.evaluation.primary}: change reward.terms, or PPO will not learn the goal."
            )
    experiment = _validated(_with_values(_without(tree, removed), changed))
    require_primary(experiment)
    return replace(loaded, experiment=experiment, given=(loaded.given - removed) | frozenset(changed)), notices


def measures_to_choose(evaluation: Sequence[Prompt] | None) -> list[Measure]:
    """The measures that a run can be judged by, on these evaluation prompts; on any where they are not known yet."""
    behaviours = [measure for measure in MEASURES if measure.family not in ("kl", "entropy", "reward")]
    if evaluation is None:
        return behaviours
    has_keywords = any(prompt.keywords for prompt in evaluation)
    return [
        measure
        for measure in behaviours
        if not missing_expectations(measure, evaluation) and (has_keywords or measure.family != "topic")
    ]


def _model(recipe: Experiment, start: str, notices: list[str]) -> dict[str, Any]:
    """The keys that another start model changes."""
    start = _existing_model(start)
    if start == recipe.model.start:
        return {}
    changed: dict[str, Any] = {"model.start": start}
    if recipe.model.warm_start is not None:
        changed["model.warm_start"] = None
        notices.append(
            f"model.warm_start is left out: the recipe's examples were written for {recipe.model.start}. If sft-check "
            "says that the model does not end its answers, name a file of prompts with answers there."
        )
    shape, layers = model_shape(start), recipe.model.train.top_layers
    if shape is not None and layers is not None and layers > shape.layers:
        changed["model.train.top_layers"] = shape.layers
        notices.append(f"model.train.top_layers is {shape.layers} in place of {layers}: the model has no more layers.")
    return changed


def _existing_model(start: str) -> str:
    """A start model as the config should name it.

    Raises:
        UsageError: there is none of this name on this machine, and it is no Hugging Face id either.
    """
    from ppo_cli.models.adapter import holds_only_an_adapter
    from ppo_cli.models.model_source import HUB_ID

    if start == builtin.NAME or (start.startswith(BUILTIN_PREFIX) and start != BUILTIN):
        raise ModelError(f"--model: no model '{start}'.", f"Did you mean {BUILTIN}?")
    if start == BUILTIN:
        return start
    path = Path(start).expanduser()
    checkpoint = start_checkpoint(start, Path("runs"))
    if checkpoint != start:
        return checkpoint
    if path.is_dir():
        if not (path / "config.json").is_file() and not holds_only_an_adapter(path):
            raise ModelError(f"--model: {start} is not a model folder: it has no config.json.", "Check the path.")
        return str(path.absolute())
    if path.is_file():
        raise ModelError(f"--model: {start} is a file, not a model folder.", "Name the folder that holds it.")
    if start.startswith(("/", ".", "~")) or not HUB_ID.fullmatch(start):
        siblings = [each.name for each in path.parent.iterdir() if each.is_dir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f"Did you mean {path.parent / close[0]}?" if close else f"Check the path, or use {BUILTIN}."
        raise ModelError(f"--model: no such folder {start}.", hint)
    return start


def _reward(recipe_terms: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, Any]:
    """The terms that were typed; one of the recipe's keeps what the recipe gives it."""
    terms: dict[str, Any] = {}
    for word in chosen:
        name, sign, weight = (part.strip() for part in word.partition("="))
        if name in terms:
            raise UsageError(f"--reward: {name} is named twice.", "Leave one out.")
        if name not in recipe_terms and name not in TERM_TYPES:
            known = list(dict.fromkeys([*recipe_terms, *TERM_TYPES]))
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
            raise UsageError(f"--reward: no term '{name}'.", hint)
        terms[name] = dict(recipe_terms.get(name, {"weight": 1.0}))
        if sign:
            terms[name]["weight"] = _weight(weight, word)
        model = TERM_TYPES[terms[name].get("type") or name]
        if missing := [key for key, about in keys_in(model).items() if about.required and key not in terms[name]]:
            keys = ", ".join(f"{key}: …" for key in missing)
            raise UsageError(
                f"--reward: {name} needs {' and '.join(missing)}, which only a config can give.",
                f"Leave it out, and write it into the config's reward.terms: {name}: {{{keys}}}",
            )
    return terms


def _weight(text: str, word: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--reward {word}: the weight must be a number.", "Example: --reward ends_turn=0.3") from None


def _primary(recipe: Experiment, name: str, notices: list[str]) -> dict[str, Any]:
    """The keys that another primary measure changes: its unit decides what the smallest effect means."""
    measure = measure_named(name)
    changed: dict[str, Any] = {"evaluation.primary": name, "evaluation.primary_confirmed": True}
    if name != recipe.evaluation.primary:
        effect = measure.equivalence_margin * (100 if measure.unit == "%" else 1)
        unit = " percentage points" if measure.unit == "%" else ""
        unit = " of its logarithm" if measure.statistic == "geometric_mean" else unit
        changed["evaluation.smallest_effect"] = float(f"{effect:g}")
        notices.append(
            f"evaluation.smallest_effect is {effect:g}{unit}, as usual for {name}; set it to the smallest change that "
            "matters to you."
        )
    return changed


def _with_values(tree: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    for path, value in values.items():
        *groups, name = path.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value
    return tree


def _without(tree: dict[str, Any], paths: set[str]) -> dict[str, Any]:
    """A tree without these keys, which then have their defaults."""
    for path in paths:
        *groups, name = path.split(".")
        node = tree
        for group in groups:
            node = node.get(group, {})
        node.pop(name, None)
    return tree


def _validated(tree: dict[str, Any]) -> Experiment:
    """Raises ConfigError: a choice is out of range."""
    try:
        return Experiment.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{'; '.join(map(str, problems_of(error)))}.", "Correct the option.") from None
