"""`verify_engine`: every check of a PPO trainer, and the certificate.

Not here: the checks (`reward_checks`, `update_checks`, `repeat_checks`), the screen (`reports.screens`).
"""

from __future__ import annotations

import platform
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import ppo_cli
from ppo_cli.conformance import repeat_checks, reward_checks, update_checks
from ppo_cli.conformance.adapter import Engine
from ppo_cli.conformance.check import EngineCheck
from ppo_cli.conformance.own_engine import OwnEngine
from ppo_cli.conformance.trainings import Trainings
from ppo_cli.conformance.user_engine import load_engine
from ppo_cli.records.conformance import ConformanceCheck, ConformanceResult, ConformanceStatus
from ppo_cli.records.events import EventHandler, Phase, Progress, ignore_events

CHECKS: tuple[EngineCheck, ...] = (
    reward_checks.kl_coef_acts,
    update_checks.kl_penalty_per_token,
    reward_checks.reference_frozen,
    update_checks.gae_over_tokens,
    update_checks.whitening_over_tokens,
    reward_checks.eos_gets_credit,
    reward_checks.eos_gets_credit_where_it_pads,
    repeat_checks.padding_is_inert,
    update_checks.statistics_leave_out_padding,
    update_checks.clipping_acts,
    update_checks.dual_clip_acts,
    update_checks.first_ratio_is_one,
    update_checks.accumulation_is_exact,
    update_checks.gradient_norm_is_limited,
    reward_checks.bad_score_is_refused,
    repeat_checks.generation_settings_are_inert,
    repeat_checks.seed_is_exact,
    repeat_checks.seed_acts,
    repeat_checks.observer_is_inert,
    repeat_checks.resume_is_exact,
)
"""In the order of the certificate."""

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "peft", "numpy")


def verify_engine(engine: str | Engine | None = None, *, on_event: EventHandler = ignore_events) -> ConformanceResult:
    """Checks whether a trainer does PPO for language models as the papers describe it.

    Trains tiny models on the CPU, some forty times. An engine that is named is code of yours: it runs with your rights.

    Args:
        engine: MODULE:FACTORY or FILE.py:FACTORY, whose factory returns an adapter; an adapter itself; by default the
            trainer of this project.
        on_event: called with the progress.

    Returns:
        The certificate: one result per check.

    Raises:
        ConfigError: there is no such factory, or it fails.

    Example:
        >>> ppo_cli.verify_engine("my_trainer.py:engine").status
        'pass'
    """
    started = time.perf_counter()
    chosen = OwnEngine() if engine is None else load_engine(engine) if isinstance(engine, str) else engine
    on_event(Phase(name=f"checking {chosen.name} {chosen.version}", total=len(CHECKS), unit="checks"))
    results: list[ConformanceCheck] = []
    with tempfile.TemporaryDirectory(prefix="ppo-verify-") as folder:
        trainings = Trainings(chosen, Path(folder))
        for item in CHECKS:
            results.append(item.run(trainings))
            on_event(Progress(done=len(results)))
    return ConformanceResult(
        engine=chosen.name,
        engine_version=chosen.version,
        status=status_of(results),
        checks=tuple(results),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"ppo-cli": ppo_cli.__version__, "python": platform.python_version(), **_library_versions()},
        seconds=time.perf_counter() - started,
    )


def status_of(checks: list[ConformanceCheck]) -> ConformanceStatus:
    """`fail` if one failed, else `not checked` if one could not be made, else `pass`."""
    statuses = {result.status for result in checks}
    return "fail" if "fail" in statuses else "not checked" if "not checked" in statuses else "pass"


def _library_versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
