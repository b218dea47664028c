"""A run's parent: find it, and check that only keys which the run's round allows differ from it.

Not here: which keys a round allows (`stats.rounds`), the tree that `ppo runs` draws (`reports.run_tree`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.experiment.freeze import MEASURE_CONTENT, REWARD_CONTENT, Lock, attention_of, freeze
from ppo_cli.experiment.load import LoadedExperiment
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import variables
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.setup.resolve import ExperimentInputs, prompt_content
from ppo_cli.stats.comparability import joint_variable
from ppo_cli.stats.rounds import changed_keys, keys_not_allowed, rounds_allowing
from ppo_cli.store.runs import Run, find_run


def find_parent(loaded: LoadedExperiment, runs_dir: Path) -> Run | None:
    """The run that a config names as its parent, if it names one.

    Raises:
        UsageError: there is no such run.
    """
    name = loaded.experiment.parent
    return None if name is None else find_run(name, runs_dir, exact=True)


def check_parent(loaded: LoadedExperiment, lock: Lock, parent: Run | None, on_event: EventHandler) -> dict[str, Any]:
    """The fields of run.json that name the parent and the keys that differ from it.

    Args:
        loaded: the config.
        lock: of the run that is about to start.
        parent: as `find_parent` gave it.
        on_event: called with a warning when more than one variable differs.

    Raises:
        ConfigError: a key differs from the parent that the round does not allow.
        IntegrityError: the parent was changed after freezing.
    """
    if parent is None:
        return {"changed_keys": dict(word.split("=", 1) for word in loaded.overrides)}
    parent_experiment, parent_lock = parent.verify()
    changed = changed_keys(parent_lock, lock)
    starts = parent_experiment.model.start, loaded.experiment.model.start
    if "model.start" in changed and starts[0] != starts[1]:  # the lock holds digests alone
        changed["model.start"] = starts
    number = loaded.experiment.round
    question, allowed = ROUNDS[number]
    if refused := keys_not_allowed(changed, number):
        listed = "; ".join(
            f"{key} {format_value(changed[key][0])} → {format_value(changed[key][1])}" for key in refused
        )
        others = [f"round={other} ({ROUNDS[other][0]})" for other in rounds_allowing(changed)]
        instead = f"set {' or '.join(others)}" if others else "take one round after the other"
        raise ConfigError(
            f"Round {number} ({question}) lets {', '.join(allowed)} differ from the parent {parent.name}, "
            f"and this differs too: {listed}.",
            f"Change it back, {instead}, or train without a parent.",
        )
    treatments = [key for key in changed if key != "seed"]
    differing = variables(treatments, joint_variable(treatments, lock))
    if len(differing) > 1:
        text = (
            f"{len(differing)} variables differ from the parent {parent.name} ({', '.join(differing)}), so no change "
            "can be attributed to one of them."
        )
        on_event(Notice(text=text, level="warning"))
    return {"parent": parent.name, "changed_keys": {key: new for key, (_, new) in changed.items()}}


def check_parent_without_model(
    loaded: LoadedExperiment, inputs: ExperimentInputs, parent: Run | None, on_event: EventHandler
) -> dict[str, Any]:
    """The same without any model: a start model of the same name or weights is assumed to be the parent's.

    A reward, and measures, that name files or models are assumed to be the parent's too; the run itself checks them.

    Args:
        loaded: the config.
        inputs: what it names.
        parent: as `find_parent` gave it.
        on_event: called with a warning when more than one variable differs.

    Raises:
        ConfigError: a key differs from the parent that the round does not allow.
        IntegrityError: the parent was changed after freezing.
    """
    experiment = inputs.experiment
    model = experiment.model
    content: dict[str, Mapping[str, Any]] = {"start_model": {"weights": model.start}, **prompt_content(inputs)}
    if parent is not None:
        parent_experiment, parent_lock = parent.verify()
        of_parent = parent_lock.groups["start_model"].values
        if model.start == parent_experiment.model.start or _weights_in(Path(model.start)) == of_parent.get("weights"):
            kept = {name: value for name, value in of_parent.items() if name not in ("attn_implementation", "load_in")}
            own = {"system_prompt": model.system_prompt, "dtype": model.dtype, **attention_of(model)}
            content["start_model"] = {**kept, **own, **({"load_in": model.load_in} if model.load_in else {})}
        if REWARD_CONTENT in parent_lock.groups:
            content[REWARD_CONTENT] = parent_lock.groups[REWARD_CONTENT].values
            experiment = experiment.model_copy(update={"reward": parent_experiment.reward})
        if MEASURE_CONTENT in parent_lock.groups:
            content[MEASURE_CONTENT] = parent_lock.groups[MEASURE_CONTENT].values
            measures = {"measures": parent_experiment.evaluation.measures}
            experiment = experiment.model_copy(update={"evaluation": experiment.evaluation.model_copy(update=measures)})
    return check_parent(loaded, freeze(experiment, content, {}), parent, on_event)


def _weights_in(folder: Path) -> dict[str, str]:
    """Digests of the weights in a model folder, as a lock holds them; none of what is no folder."""
    try:
        return {file.name: sha256_file(file) for file in sorted(folder.glob("*.safetensors"))}
    except OSError:
        return {}
