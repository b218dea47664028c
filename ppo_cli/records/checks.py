"""Findings before and after a run: preflight checks, alarms, advice, and reward exploits.

Not here: how any of them is computed (`preflight`, `alarms`, `rewards.audit`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A known failure of PPO that a run's records show signs of."""

    name: str
    """The alarm's slug, such as `reward_hacking`."""
    title: str
    """What screens call it, such as "Possible reward hacking"."""
    evidence: tuple[str, ...]
    """What the records show, in numbers of this run."""
    why: str
    """Why it matters."""
    next_step: str
    """What to change next."""
    rate: str = ""
    """How often it was raised in runs known to be healthy, and in sabotaged ones."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The one step to try next."""

    key: str
    """A config key; or a step that changes none: `--seeds`, `eval` (more prompts), `report` (read the answers),
    `rehearse` (read what the reward prefers)."""
    value: str
    """As it would be typed; empty for a step without one."""
    reason: str
    command: str
    """Ready to paste."""


CheckStatus = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a preflight check."""

    name: str
    status: CheckStatus
    value: str
    """What was measured, with its unit."""
    threshold: str
    reason: str
    """Why it matters."""
    next_step: str = ""
    """What to do about it; empty where nothing need be done."""
    group: str = ""
    """The subject; lines of one group are shown together."""

    @classmethod
    def from_share(
        cls, name: str, share: float, *, warn_below: float, fail_below: float, reason: str, next_step: str, of: str = ""
    ) -> Self:
        """A share that has to be high.

        Args:
            name: of the check.
            share: 0 to 1.
            warn_below: shares under this warn.
            fail_below: shares under this fail; 0 never fails.
            reason: why it matters.
            next_step: what to do about it.
            of: follows the share, such as " of 64 answers".
        """
        status: CheckStatus = "fail" if share < fail_below else "warn" if share < warn_below else "pass"
        return cls(
            name=name,
            status=status,
            value=f"{share:.0%}{of}",
            threshold=f"{warn_below:.0%} or more" + (f", fail below {fail_below:.0%}" if fail_below else ""),
            reason=reason,
            next_step="" if status == "pass" else next_step,
        )

    @classmethod
    def from_condition(
        cls,
        name: str,
        holds: bool,
        *,
        value: str,
        threshold: str,
        reason: str,
        next_step: str,
        otherwise: CheckStatus = "fail",
    ) -> Self:
        """A condition that holds or does not.

        Args:
            name: of the check.
            holds: whether it passes.
            value: what was measured.
            threshold: what is wanted.
            reason: why it matters.
            next_step: what to do about it.
            otherwise: the status where it does not hold.
        """
        return cls(
            name=name,
            status="pass" if holds else otherwise,
            value=value,
            threshold=threshold,
            reason=reason,
            next_step="" if holds else next_step,
        )


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """A mean difference over prompts, with its 95 % interval."""

    mean: float
    low_95: float
    high_95: float
    prompts: int


@dataclass(frozen=True, kw_only=True)
class RewardExploit:
    """A way of answering that ignores the prompt, and the reward that it gets."""

    name: str
    example: str
    constant: bool
    """Whether it gives the same answer to every prompt."""
    reward: float
    """Mean over the prompts."""
    gain_over_start: MeanDifference
    """Reward less that of the start model's own answers to the same prompts."""
    gain_over_written: MeanDifference | None
    """Reward less that of the written answers, where there are any."""
    wins: Literal["yes", "temporary", "no"]
    """`temporary`: it beats the start model, and written answers beat it."""


def worst(checks: Iterable[Check]) -> CheckStatus:
    """The worst status of these checks; `pass` without any."""
    statuses = {check.status for check in checks}
    return "fail" if "fail" in statuses else "warn" if "warn" in statuses else "pass"
