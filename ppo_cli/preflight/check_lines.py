"""The two shapes that most lines of a gate have.

Not here: what is looked at.
"""

from __future__ import annotations

from ppo_cli.records.checks import Check, CheckStatus


def share_check(
    name: str, value: float, *, warn_below: float, stop_below: float, reason: str, next_step: str, of: str = ""
) -> Check:
    """A share that has to be high."""
    outcome: CheckStatus = "stop" if value < stop_below else "warn" if value < warn_below else "pass"
    return Check(
        name=name,
        status=outcome,
        value=f"{value:.0%}{of}",
        threshold=f"{warn_below:.0%} or more" + (f", stop below {stop_below:.0%}" if stop_below else ""),
        reason=reason,
        next_step="" if outcome == "pass" else next_step,
    )


def condition_check(
    name: str, fine: bool, value: str, threshold: str, reason: str, next_step: str, *, otherwise: CheckStatus = "stop"
) -> Check:
    """Something that holds or does not."""
    return Check(
        name=name,
        status="pass" if fine else otherwise,
        value=value,
        threshold=threshold,
        reason=reason,
        next_step="" if fine else next_step,
    )
