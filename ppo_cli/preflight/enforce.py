"""The preflight checks that `ppo train` runs itself, because they need no answer of the model.

A failed check ends the command before a run folder is created, so that nothing is left behind and no other process
waits. With --force the run starts, and run.json and provenance.json record the names of the overridden checks.

Not here: the checks themselves (`prompt_checks`, `tokenizer_checks`, `rewards.audit.run`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.errors import CheckFailedError
from ppo_cli.preflight.audit_reward import audited_reward
from ppo_cli.preflight.prompt_checks import overlap_check
from ppo_cli.preflight.tokenizer_checks import control_token_check, conversation_check, tokenizer_checks
from ppo_cli.records.checks import Check
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.records.program import command
from ppo_cli.rewards.audit.run import audit_without_model
from ppo_cli.setup.resolve import ExperimentInputs, ResolvedExperiment


def enforce_no_overlap(inputs: ExperimentInputs, force: bool, on_event: EventHandler) -> tuple[str, ...]:
    """Requires that no evaluation prompt overlaps the prompts that the policy learns from. Needs no model.

    Returns:
        The names of the failed checks that were overridden.

    Raises:
        CheckFailedError: there is an overlap, and `force` is false.
    """
    if not inputs.overlaps:
        return ()
    first = inputs.overlaps[0]
    message = (
        f"{len(inputs.overlaps)} evaluation prompts overlap what the policy learns from: "
        f"'{first.eval_id}' and '{first.other_id}' ({first.kind})."
    )
    if not force:
        raise CheckFailedError(message, "Take them out of one of the files, or train anyway with --force.")
    on_event(Notice(text=message, level="warning"))
    return (overlap_check(inputs.overlaps).name,)


def enforce_start_checks(resolved: ResolvedExperiment, force: bool, on_event: EventHandler) -> tuple[str, ...]:
    """Requires that tokenizer and chat template are sound, and the reward on exploit and written answers.

    Returns:
        The names of the failed checks that were overridden.

    Raises:
        CheckFailedError: a check fails, and `force` is false.
    """
    inputs = resolved.inputs
    prompts = [*inputs.train, *inputs.evaluation, *inputs.sft]
    checks = [
        *tokenizer_checks(resolved.tokenizer, resolved.model_source.folder),
        control_token_check(resolved.tokenizer, prompts),
        *conversation_check(resolved.tokenizer, prompts),
        *audit_without_model(audited_reward(resolved.inputs)),
    ]
    overridden = enforce_passed(checks, force, on_event)
    for check in checks:
        if check.status == "warn":
            on_event(Notice(text=f"{check.name}: {check.value}. {check.next_step}", level="warning"))
    return overridden


def enforce_passed(checks: Sequence[Check], force: bool, on_event: EventHandler) -> tuple[str, ...]:
    """Ends the command at the first failed check, or warns of each failed one.

    Returns:
        The names of the failed checks.

    Raises:
        CheckFailedError: a check failed, and `force` is false.
    """
    failed = [check for check in checks if check.status == "fail"]
    for check in failed:
        message = f"{check.name}: {check.value.rstrip('.')}, expected {check.threshold}: {check.reason}."
        if not force:
            raise CheckFailedError(
                f"PPO should not start: {message}",
                f"{check.next_step} See all checks with `{command('sft-check', 'CONFIG')}`, or train anyway with "
                "--force.".strip(),
            )
        on_event(Notice(text=f"Overridden with --force: {message}", level="warning"))
    return tuple(check.name for check in failed)
