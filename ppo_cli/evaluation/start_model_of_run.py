"""A run's start model restored exactly: the same files, and the same weights after its warm start.

Not here: loading any start model (`setup.start_model`), the digest of its weights (`engine.start_weights`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppo_cli.evaluation.run_checkpoint import RunCheckpoint
from ppo_cli.records.events import EventHandler
from ppo_cli.setup.freeze_inputs import verify_against_lock
from ppo_cli.setup.own_runs import ReceivedRunOptions, open_run
from ppo_cli.setup.resolve import ResolvedExperiment, read_inputs, resolve_experiment

if TYPE_CHECKING:
    from ppo_cli.setup.start_model import StartModel


def resolved_run(checkpoint: RunCheckpoint, received: ReceivedRunOptions, on_event: EventHandler) -> ResolvedExperiment:
    """The run's experiment, its inputs compared with the lock.

    Args:
        checkpoint: of the run.
        received: what the user says of a run that was made on another machine.
        on_event: called with progress.

    Raises:
        UsageError: the run brings code that must not be run unasked.
        IntegrityError: an input or the start model is not what was frozen.
    """
    records = checkpoint.records
    experiment = open_run(records.run, received, opens_reward=False)
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    verify_against_lock(records.lock, resolved, records.name)
    return resolved


def load_start_model_of_run(
    checkpoint: RunCheckpoint, resolved: ResolvedExperiment, on_event: EventHandler, next_step: str
) -> StartModel:
    """The start model of a run as it was when the run started, weight by weight.

    Args:
        checkpoint: of the run.
        resolved: the run's experiment.
        on_event: called with progress.
        next_step: what a user can do where it cannot be restored.

    Raises:
        IntegrityError: the warm start, trained anew on this machine, has other weights.
    """
    import torch

    from ppo_cli.engine.start_weights import require_same_start_weights
    from ppo_cli.setup.start_model import load_start_model

    provenance, experiment = checkpoint.records.provenance, resolved.experiment
    warm_started = bool(resolved.inputs.sft)
    if experiment.model.dtype == "auto" and provenance.get("dtype") in ("float32", "bfloat16"):
        model = experiment.model.model_copy(update={"dtype": provenance["dtype"]})
        resolved = resolved.with_experiment(experiment.model_copy(update={"model": model}))
    threads = provenance.get("threads")
    if warm_started and isinstance(threads, int) and provenance.get("device") == "cpu":
        torch.set_num_threads(threads)  # it changes the last digits of a warm start that has to be trained anew
    start = load_start_model(resolved, on_event)
    if warm_started:
        require_same_start_weights(start.model, experiment, provenance, next_step)
    return start
