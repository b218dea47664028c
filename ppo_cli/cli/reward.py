"""`ppo reward`: options and one call.

Not here: the audit (`rewards.audit`, `preflight.audit_reward`).
"""

from __future__ import annotations

import typer

from ppo_cli.cli.output import Config, Json, Overrides, has_failed_checks, put, reported, watching
from ppo_cli.errors import GateError


def reward(config: Config, overrides: Overrides = None, as_json: Json = False) -> None:
    """Is the reward sound, what does it lean on, and can it be tricked?"""
    stopped = False
    with reported(as_json):
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.preflight.audit_reward import audit_reward
        from ppo_cli.report.screens.sft_check import reward_screen

        loaded = load_experiment(config, overrides or ())
        with watching(as_json) as on_event:
            result = audit_reward(loaded, on_event=on_event)
        put(as_json, result, lambda: reward_screen(result))
        stopped = has_failed_checks("PPO should not start with this reward", result.checks, as_json)
    if stopped:
        raise typer.Exit(GateError.exit_code)
