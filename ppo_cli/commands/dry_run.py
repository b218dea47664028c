"""`ppo train --dry-run`: what would run, what is frozen, what differs from the file and from the defaults, the cost.

Not here: doing any of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ppo_cli.commands.ground import Inputs, read_inputs, refuse_missing_trackers
from ppo_cli.commands.lineage import descent_before
from ppo_cli.experiment.keys import flatten, generalise, schema_keys
from ppo_cli.experiment.load import Loaded, as_tree, load_experiment
from ppo_cli.experiment.schema import REQUIRED, ROUND_MOVES
from ppo_cli.models.cost import Work, estimate, measured_gflops, rough_tokens, shape_of
from ppo_cli.records.events import Event, Notice
from ppo_cli.records.outcomes import Cost, DryRunOutcome, KeyLine


def dry_run(loaded: Loaded, *, output: Path | None = None) -> DryRunOutcome:
    """Checks a config, its prompt files and its parent, and says what training would do and cost.

    Args:
        loaded: the config.
        output: folder of run folders, in place of the config's.

    Raises:
        UsageError: the config or a prompt file cannot be used, or the parent does not allow it.
        IntegrityError: the parent was changed after freezing.
    """
    in_file = load_experiment(loaded.source)
    before = flatten(as_tree(in_file.experiment))
    overridden = {word.split("=", 1)[0].strip() for word in loaded.overrides}
    lines = []
    for path, value in flatten(as_tree(loaded.experiment)).items():
        known = schema_keys().get(generalise(path))
        default = known.default if known else None
        is_overridden = any(path == key or path.startswith(f"{key}.") for key in overridden)
        origin: Literal["default", "file", "override"] = (
            "override" if is_overridden else "file" if path in in_file.given else "default"
        )
        old = before.get(path, default) if is_overridden else default
        differs = old != value and old != REQUIRED and origin != "default"
        lines.append(
            KeyLine(
                path=path,
                value=value,
                moves=known.moves if known else "treatment",
                origin=origin,
                instead_of=old if differs else None,
            )
        )
    experiment = loaded.experiment
    inputs = read_inputs(experiment)
    refuse_missing_trackers(experiment)
    told: list[Event] = []
    descends = descent_before(loaded, inputs, output or Path(experiment.output), told.append)
    question, may_move = ROUND_MOVES[experiment.round]
    return DryRunOutcome(
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
        changed=descends["changed"] if "parent" in descends else {},
        notices=tuple(event.text for event in told if isinstance(event, Notice)),
    )


def estimate_cost(inputs: Inputs) -> Cost:
    """What the whole run would take on this machine.

    Raises:
        ConfigError: the device that the config asks for is not there.
    """
    from ppo_cli.models.loading import choose_device, choose_dtype

    experiment = inputs.experiment
    device = choose_device(experiment.device)
    dtype = choose_dtype(experiment.model.dtype, device)
    name = str(dtype).removeprefix("torch.")
    return estimate(
        planned_work(inputs),
        shape_of(experiment.model.start),
        device.type,
        measured_gflops(device.type, name),
        dtype.itemsize,
    )


def planned_work(inputs: Inputs) -> Work:
    """What a config asks to be done, in counts."""
    experiment = inputs.experiment
    ppo, evaluation = experiment.ppo, experiment.evaluation
    used = min(len(inputs.train), ppo.updates * ppo.episodes_per_update)
    whole = len(inputs.evaluation)
    interim = min(evaluation.interim_prompts or whole, whole)
    every = evaluation.every
    sft = sum(rough_tokens(prompt.text) + rough_tokens(prompt.answer or "") for prompt in inputs.sft)
    return Work(
        updates=ppo.updates,
        episodes=ppo.episodes_per_update,
        epochs=ppo.epochs,
        trained_layers=experiment.model.train.layers,
        answer_limit=experiment.rollout.max_new_tokens,
        other_answers=used * experiment.reward.other_samples if experiment.reward.other == "reference" else 0,
        prompt_tokens=sum(rough_tokens(prompt.text) for prompt in inputs.train) / len(inputs.train),
        sft_tokens=experiment.model.sft.epochs * sft,
        whole_evaluations=2,
        interim_evaluations=(ppo.updates - 1) // every if every else 0,
        eval_prompts=whole,
        interim_prompts=interim,
        eval_samples=evaluation.samples_per_prompt,
        eval_limit=evaluation.max_new_tokens,
        checkpoints_kept=experiment.checkpoints.keep + bool(every),
    )
