"""Where a run comes from: its parent, checked against what its round lets move.

Not here: the rule itself (`analysis.lineage`), the tree that `ppo runs` draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.freeze import REWARD_CONTENT, Lock, freeze
from ppo_cli.experiment.load import LoadedExperiment
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import variables
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.setup.resolve import ExperimentInputs, prompt_content
from ppo_cli.stats.comparability import joint_variable
from ppo_cli.stats.rounds import changed_keys, keys_not_allowed, rounds_allowing
from ppo_cli.store.runs import find_run


def check_parent(loaded: LoadedExperiment, lock: Lock, output: Path, on_event: EventHandler) -> dict[str, Any]:
    """The fields of run.json that say where a run comes from.

    Args:
        loaded: the config.
        lock: of the run that is about to begin.
        output: folder of run folders, where the parent is looked for.
        on_event: warned when more than one variable moves.

    Raises:
        ConfigError: something differs from the parent that the round holds still.
        UsageError: there is no such parent.
        IntegrityError: the parent was changed after freezing.
    """
    named = loaded.experiment.parent
    if named is None:
        return {"changed_keys": dict(word.split("=", 1) for word in loaded.overrides)}
    parent = find_run(named, output)
    _, frozen = parent.verify()
    changed = changed_keys(frozen, lock)
    number = loaded.experiment.round
    question, may_move = ROUNDS[number]
    if held := keys_not_allowed(changed, number):
        listed = "; ".join(f"{key} {format_value(changed[key][0])} → {format_value(changed[key][1])}" for key in held)
        others = [f"round={other} ({ROUNDS[other][0]})" for other in rounds_allowing(changed)]
        instead = f"set {' or '.join(others)}" if others else "take one round after the other"
        raise ConfigError(
            f"Round {number} ({question}) lets {', '.join(may_move)} differ from the parent {parent.name}, "
            f"and this differs too: {listed}.",
            f"Change it back, {instead}, or train without a parent.",
        )
    treatments = [key for key in changed if key != "seed"]
    moved = variables(treatments, joint_variable(treatments, lock))
    if len(moved) > 1:
        text = (
            f"{len(moved)} variables differ from the parent {parent.name} ({', '.join(moved)}), so no change "
            "can be put down to one of them."
        )
        on_event(Notice(text=text, level="warning"))
    return {"parent": parent.name, "changed_keys": {key: new for key, (_, new) in changed.items()}}


def check_parent_without_model(
    loaded: LoadedExperiment, inputs: ExperimentInputs, output: Path, on_event: EventHandler
) -> dict[str, Any]:
    """The same without any model: the start model is taken to be the parent's where it has the same name.

    A reward that names files or models is taken to be the parent's too; the run itself looks closer.

    Args:
        loaded: the config.
        inputs: what it names.
        output: folder of run folders, where the parent is looked for.
        on_event: warned when more than one variable moves.

    Raises:
        ConfigError: something differs from the parent that the round holds still.
        UsageError: there is no such parent.
        IntegrityError: the parent was changed after freezing.
    """
    model = inputs.experiment.model
    start = Path(model.start).name if Path(model.start).is_dir() else model.start
    experiment = inputs.experiment
    content: dict[str, Mapping[str, Any]] = {"start_model": {"start": start}, **prompt_content(inputs)}
    if loaded.experiment.parent is not None:
        before, frozen = find_run(loaded.experiment.parent, output).verify()
        held = frozen.groups["start_model"].values
        if held.get("start") == start:
            content["start_model"] = {**held, "system_prompt": model.system_prompt, "dtype": model.dtype}
        if REWARD_CONTENT in frozen.groups:
            content[REWARD_CONTENT] = frozen.groups[REWARD_CONTENT].values
            experiment = experiment.model_copy(update={"reward": before.reward})
    return check_parent(loaded, freeze(experiment, content, {}), output, on_event)
