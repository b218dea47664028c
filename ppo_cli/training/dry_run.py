"""`ppo train --dry-run`: what would run, what is frozen, what differs from the file and from the defaults, the cost.

Not here: doing any of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.experiment.schema_index import key_of
from ppo_cli.experiment.values import flatten, to_dict
from ppo_cli.preflight.planned_cost import estimate_cost
from ppo_cli.records.events import Event, Notice
from ppo_cli.records.results import ConfigKeyRow, DryRunResult
from ppo_cli.setup.parent import check_parent_without_model
from ppo_cli.setup.resolve import read_inputs, require_trackers


def dry_run(loaded: LoadedExperiment, *, output: Path | None = None) -> DryRunResult:
    """Checks a config, its prompt files and its parent, and says what training would do and cost.

    Args:
        loaded: the config.
        output: folder of run folders, in place of the config's.

    Raises:
        UsageError: the config or a prompt file cannot be used, or the parent does not allow it.
        IntegrityError: the parent was changed after freezing.
    """
    in_file = load_experiment(loaded.source)
    before = flatten(to_dict(in_file.experiment))
    overridden = {word.split("=", 1)[0].strip() for word in loaded.overrides}
    lines = []
    for path, value in flatten(to_dict(loaded.experiment)).items():
        known = key_of(path)
        default = known.default if known else None
        is_overridden = any(path == key or path.startswith(f"{key}.") for key in overridden)
        origin: Literal["default", "file", "override"] = (
            "override" if is_overridden else "file" if path in in_file.given else "default"
        )
        old = before.get(path, default) if is_overridden else default
        differs = old != value and origin != "default"
        lines.append(
            ConfigKeyRow(
                path=path,
                value=value,
                role=known.role if known else "treatment",
                origin=origin,
                replaces=old if differs else None,
            )
        )
    experiment = loaded.experiment
    inputs = read_inputs(experiment)
    require_trackers(experiment)
    told: list[Event] = []
    descends = check_parent_without_model(loaded, inputs, output or Path(experiment.output), told.append)
    question, may_move = ROUNDS[experiment.round]
    return DryRunResult(
        config=str(loaded.source),
        goal=experiment.goal,
        round=experiment.round,
        question=question,
        may_move=may_move,
        keys=tuple(lines),
        train_prompts=len(inputs.train),
        eval_prompts=len(inputs.evaluation),
        overlaps=len(inputs.overlaps),
        cost=estimate_cost(inputs),
        parent=descends.get("parent"),
        changed=descends["changed_keys"] if "parent" in descends else {},
        notices=tuple(event.text for event in told if isinstance(event, Notice)),
    )
