"""`ppo train --dry-run`: what would run, what is frozen, what differs from the file and from the defaults, the cost.

Not here: training (`train`), the arithmetic of the cost (`preflight.planned_cost`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.experiment.schema_index import key_of
from ppo_cli.experiment.values import flatten, to_dict
from ppo_cli.preflight.planned_cost import estimate_cost
from ppo_cli.prompts.chat_markup import markup_notices
from ppo_cli.records.events import Event, Notice
from ppo_cli.records.results import ConfigKeyRow, DryRunResult
from ppo_cli.rewards.static_checks import check_terms
from ppo_cli.setup.parent import check_parent_without_model, find_parent
from ppo_cli.setup.resolve import read_inputs, require_trackers


def dry_run(config: str | Path | LoadedExperiment, *, runs_dir: str | Path | None = None) -> DryRunResult:
    """Checks a config, its prompt files and its parent, and returns what training would do and cost.

    Args:
        config: the experiment's YAML file, or an experiment from `load_experiment`.
        runs_dir: folder of run folders, in place of the config's.

    Raises:
        UsageError: the config or a prompt file cannot be used, or the parent does not allow it.
        IntegrityError: the parent was changed after freezing.

    Example:
        >>> dry_run("configs/refusal.yaml").cost.seconds
        1260.0
    """
    loaded = config if isinstance(config, LoadedExperiment) else load_experiment(Path(config))
    in_file = load_experiment(loaded.source) if loaded.overrides else loaded
    file_values = flatten(to_dict(in_file.experiment))
    overridden = {override.split("=", 1)[0].strip() for override in loaded.overrides}
    rows = []
    for path, value in flatten(to_dict(loaded.experiment)).items():
        known = key_of(path)
        default = known.default if known else None
        is_overridden = any(path == key or path.startswith(f"{key}.") for key in overridden)
        origin: Literal["default", "file", "override"] = (
            "override" if is_overridden else "file" if path in in_file.given else "default"
        )
        old = file_values.get(path, default) if is_overridden else default
        differs = old != value and origin != "default"
        rows.append(
            ConfigKeyRow(
                path=path,
                value=value,
                role=known.role if known else "treatment",
                origin=origin,
                replaces=old if differs else None,
            )
        )
    experiment = loaded.experiment
    inputs = read_inputs(experiment, runs_dir)
    check_terms(experiment)
    require_trackers(experiment)
    events: list[Event] = []
    parent = find_parent(loaded, Path(runs_dir or experiment.output))
    ancestry = check_parent_without_model(loaded, inputs, parent, events.append)
    question, may_change = ROUNDS[experiment.round]
    return DryRunResult(
        config=str(loaded.source),
        goal=experiment.goal,
        round=experiment.round,
        question=question,
        may_change=may_change,
        keys=tuple(rows),
        train_prompts=len(inputs.train),
        eval_prompts=len(inputs.evaluation),
        overlaps=len(inputs.overlaps),
        cost=estimate_cost(inputs),
        parent=ancestry.get("parent"),
        changed=ancestry["changed_keys"] if "parent" in ancestry else {},
        notices=(
            *inputs.notices,
            *markup_notices([*inputs.train, *inputs.evaluation, *inputs.sft]),
            *(event.text for event in events if isinstance(event, Notice)),
        ),
    )
