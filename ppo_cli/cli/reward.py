"""`ppo reward`: its options and one call.

Not here: the audit (`rewards.audit`, `preflight.audit_reward`).
"""

from __future__ import annotations

from ppo_cli.cli.output import (
    Config,
    Json,
    Overrides,
    error_boundary,
    exit_on_failed_checks,
    progress_view,
    show_result,
)

EXAMPLES = (("CONFIG",), ("CONFIG", "--json"))


def reward(config: Config, overrides: Overrides = None, as_json: Json = False) -> None:
    """Audit the reward alone: biases, exploits, speed.

    Scores answers of the start model. Exits with code 5 where a check fails.
    """
    with error_boundary(as_json):
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.preflight.audit_reward import audit_reward
        from ppo_cli.reports.screens.reward import reward_screen

        loaded = load_experiment(config, overrides or ())
        with progress_view(as_json) as on_event:
            result = audit_reward(loaded, on_event=on_event)
        show_result(as_json, result, lambda: reward_screen(result))
        exit_on_failed_checks(result.checks, as_json)
