"""The Python interface: the functions behind the `ppo` commands, for notebooks and scripts.

They take `str` or `Path` for paths, return records, and raise the errors of `ppo_cli.errors`. Each is imported when it
is first used, so that `import ppo_cli` and `ppo --help` import neither torch nor numpy.

    >>> import ppo_cli
    >>> result = ppo_cli.train("configs/refusal.yaml")
    >>> ppo_cli.report(result.run)

Not here: the functions themselves; `_HOMES` names the module of each.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppo_cli.chat.open_chat import open_chat
    from ppo_cli.conformance.verify import verify_engine
    from ppo_cli.evaluation.compare import compare
    from ppo_cli.evaluation.evaluate import evaluate
    from ppo_cli.evaluation.label import label
    from ppo_cli.evaluation.measure_list import list_measures
    from ppo_cli.evaluation.report import report
    from ppo_cli.evaluation.view import view
    from ppo_cli.experiment.load import load_experiment
    from ppo_cli.exports.export import export
    from ppo_cli.preflight.audit_reward import audit_reward
    from ppo_cli.preflight.describe_prompts import describe_prompts
    from ppo_cli.preflight.doctor.run import doctor
    from ppo_cli.preflight.rehearse import rehearse
    from ppo_cli.preflight.sft_check import sft_check
    from ppo_cli.setup.init import init
    from ppo_cli.store.runs import find_run, list_runs
    from ppo_cli.training.dry_run import dry_run
    from ppo_cli.training.sweep import sweep
    from ppo_cli.training.train import resume, train

__version__ = "0.1.0"

__all__ = [
    "audit_reward",
    "compare",
    "describe_prompts",
    "doctor",
    "dry_run",
    "evaluate",
    "export",
    "find_run",
    "init",
    "label",
    "list_measures",
    "list_runs",
    "load_experiment",
    "open_chat",
    "rehearse",
    "report",
    "resume",
    "sft_check",
    "sweep",
    "train",
    "verify_engine",
    "view",
]

_HOMES = {
    "audit_reward": "ppo_cli.preflight.audit_reward",
    "compare": "ppo_cli.evaluation.compare",
    "describe_prompts": "ppo_cli.preflight.describe_prompts",
    "doctor": "ppo_cli.preflight.doctor.run",
    "dry_run": "ppo_cli.training.dry_run",
    "evaluate": "ppo_cli.evaluation.evaluate",
    "export": "ppo_cli.exports.export",
    "find_run": "ppo_cli.store.runs",
    "init": "ppo_cli.setup.init",
    "label": "ppo_cli.evaluation.label",
    "list_measures": "ppo_cli.evaluation.measure_list",
    "list_runs": "ppo_cli.store.runs",
    "load_experiment": "ppo_cli.experiment.load",
    "open_chat": "ppo_cli.chat.open_chat",
    "rehearse": "ppo_cli.preflight.rehearse",
    "report": "ppo_cli.evaluation.report",
    "resume": "ppo_cli.training.train",
    "sft_check": "ppo_cli.preflight.sft_check",
    "sweep": "ppo_cli.training.sweep",
    "train": "ppo_cli.training.train",
    "verify_engine": "ppo_cli.conformance.verify",
    "view": "ppo_cli.evaluation.view",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ppo_cli' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
