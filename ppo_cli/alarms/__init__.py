"""Alarms: checks of a run's own records for the usual ways in which PPO goes wrong, one module per alarm.

An alarm is a hint, not proof; no alarm is no guarantee. Each module has a NAME, a TITLE, its thresholds with their
reasons, and `check`, a pure function from `RunHistory` to an `Alarm` or None.

Not here: reading the records and saving what was raised (`evaluation.run_alarms`), how an alarm is shown
(`reports.alarms`), what to try next (`advice`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ppo_cli.alarms import (
    eval_contamination,
    judges_disagree,
    narrow_data,
    no_learning,
    policy_drift,
    reward_hacking,
    too_many_changes,
    unstable_updates,
)
from ppo_cli.alarms.rates import rate_sentence
from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.records.checks import Alarm

ALARMS: Mapping[str, Callable[[RunHistory], Alarm | None]] = {
    module.NAME: module.check
    for module in (
        eval_contamination,
        no_learning,
        unstable_updates,
        policy_drift,
        reward_hacking,
        judges_disagree,
        narrow_data,
        too_many_changes,
    )
}
"""Name to check, most fundamental first: alarms that invalidate the evaluation precede the rest."""


def check_all(history: RunHistory) -> tuple[Alarm, ...]:
    """All alarms that the records raise, in the order of `ALARMS`, each with its own rate."""
    raised = (alarm for check in ALARMS.values() if (alarm := check(history)) is not None)
    return tuple(replace(alarm, rate=rate_sentence(alarm.name)) for alarm in raised)
