"""The cheap part of the gate, which `ppo train` runs itself: what needs no answer of the model.

A stop ends the command before a run folder is claimed, so that nothing is left and nobody waits for a leader; with
--force the run goes on, and its run.json and provenance.json keep what was overridden.

Not here: the lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.errors import GateError
from ppo_cli.preflight.prompt_checks import overlap_check
from ppo_cli.preflight.reward_checks import audit_without_a_model
from ppo_cli.preflight.tokenizer_checks import tokenizer_checks
from ppo_cli.records.checks import Check
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.setup.resolve import ExperimentInputs, ResolvedExperiment


def enforce_no_overlap(inputs: ExperimentInputs, force: bool, on_event: EventHandler) -> tuple[str, ...]:
    """Checks that no evaluation prompt overlaps what the policy learns from. Needs no model.

    Returns:
        The names of the stops that were overridden.

    Raises:
        GateError: some do, and the user does not force it.
    """
    if not inputs.overlaps:
        return ()
    first = inputs.overlaps[0]
    message = (
        f"{len(inputs.overlaps)} evaluation prompts overlap what the policy learns from: "
        f"'{first.eval_id}' and '{first.other_id}' ({first.kind})."
    )
    if not force:
        raise GateError(message, "Take them out of one of the files, or train anyway with --force.")
    on_event(Notice(text=message, level="warning"))
    return (overlap_check(inputs.overlaps).name,)


def enforce_start_checks(resolved: ResolvedExperiment, force: bool, on_event: EventHandler) -> tuple[str, ...]:
    """Checks tokenizer and chat template, and the reward on made answers.

    Returns:
        The names of the stops that were overridden.

    Raises:
        GateError: a line says stop, and the user does not force it.
    """
    checks = [
        *tokenizer_checks(resolved.tokenizer, resolved.model_source.folder),
        *audit_without_a_model(resolved.inputs),
    ]
    forced = enforce_passed(checks, force, on_event)
    for check in checks:
        if check.status == "warn":
            on_event(Notice(text=f"{check.name}: {check.value}. {check.next_step}", level="warning"))
    return forced


def enforce_passed(checks: Sequence[Check], force: bool, on_event: EventHandler) -> tuple[str, ...]:
    """Ends with the first stop, or says of each that it was overridden.

    Returns:
        The names of the stops.

    Raises:
        GateError: there is one, and the user does not force it.
    """
    stops = [check for check in checks if check.status == "stop"]
    for check in stops:
        message = f"{check.name}: {check.value.rstrip('.')}, wanted {check.threshold}: {check.reason}."
        if not force:
            raise GateError(
                f"PPO should not start: {message}",
                f"{check.next_step} See all lines with `ppo sft-check`, or train anyway with --force.".strip(),
            )
        on_event(Notice(text=f"Forced although {message}", level="warning"))
    return tuple(check.name for check in stops)
