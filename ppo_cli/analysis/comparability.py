"""Whether two frozen experiments may be compared, and what differs between them.

A pure function of two locks: which differences forbid a comparison, which are the treatment, which are only
circumstances that might have moved the result.

Not here: the comparison itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppo_cli.experiment.freeze import Lock

MUST_AGREE = {
    "eval_set": "the evaluation sets differ",
    "rendered": "the prompts differ as the models see them (template, tokenizer or system prompt)",
    "generation": "the evaluations sample differently",
}
"""Groups without which there is no common measure, and what to say when they differ."""

CONTENT = {"train_set": "prompts.train", "start_model": "model.start", "warm_start": "model.warm_start"}
"""Content groups whose difference is a treatment, named by the key that chose the content."""

RESCORED = ("behaviours",)
"""Groups whose difference does not matter: both runs are scored anew by the present rules."""

NOTED = ("goal", "analysis")
"""Groups that change no number of a run; A's is used, and a difference is shown."""


@dataclass(frozen=True, kw_only=True)
class Comparability:
    """What was found about two locks."""

    refused: tuple[str, ...]
    """Reasons why no comparison is possible."""
    agrees: tuple[str, ...]
    """What was checked and is the same."""
    treatments: Mapping[str, tuple[Any, Any]]
    """Key to (value in A, value in B) of everything that was varied, the seed apart."""
    seeds: tuple[Any, Any]
    confounders: Mapping[str, tuple[str, str]]
    """Circumstances that differ: versions, machine, type of weights, the goal's wording."""
    same_run: bool

    @property
    def is_confounded(self) -> bool:
        """Whether more than one variable was changed."""
        return len(self.treatments) > 1


def comparability(
    a: Lock, b: Lock, circumstances_a: Mapping[str, str], circumstances_b: Mapping[str, str], *, same_run: bool
) -> Comparability:
    """Holds two locks side by side.

    Args:
        a: the lock of run A.
        b: the lock of run B.
        circumstances_a: versions and machine of run A.
        circumstances_b: the same of run B.
        same_run: whether both are one run.
    """
    refused, agrees = [], []
    for group, reason in MUST_AGREE.items():
        if group == "rendered":
            same = _rendered_eval(a) == _rendered_eval(b)
        else:
            same = _digest(a, group) == _digest(b, group)
        if same:
            agrees.append(group)
        else:
            refused.append(f"{reason}{_which(a, b, group)}")
    treatments: dict[str, tuple[Any, Any]] = {}
    noted: dict[str, tuple[str, str]] = {}
    seeds = (_values(a, "seed").get("seed"), _values(b, "seed").get("seed"))
    for group in sorted({*a.groups, *b.groups} - set(MUST_AGREE) - set(RESCORED)):
        if _digest(a, group) == _digest(b, group) or group == "seed":
            continue
        if group in NOTED:
            noted |= {key: (str(x), str(y)) for key, (x, y) in _differing(_values(a, group), _values(b, group)).items()}
        elif group in CONTENT:
            treatments[CONTENT[group]] = (_digest(a, group)[:8], _digest(b, group)[:8])
        else:
            treatments |= _differing(_values(a, group), _values(b, group))
    confounders = {
        name: (circumstances_a[name], circumstances_b.get(name, ""))
        for name in circumstances_a
        if circumstances_a[name] != circumstances_b.get(name, "")
    }
    return Comparability(
        refused=tuple(refused),
        agrees=tuple(agrees),
        treatments=treatments,
        seeds=seeds,
        confounders={**noted, **confounders},
        same_run=same_run,
    )


def _which(a: Lock, b: Lock, group: str) -> str:
    """The keys that differ, where the group is made of config values."""
    if group != "generation":
        return ""
    parts = [f"{key} {old} and {new}" for key, (old, new) in _differing(_values(a, group), _values(b, group)).items()]
    return f" ({', '.join(parts)})"


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def _rendered_eval(lock: Lock) -> Any:  # noqa: ANN401
    return _values(lock, "rendered").get("eval")


def _values(lock: Lock, group: str) -> Mapping[str, Any]:
    return lock.groups[group].values if group in lock.groups else {}


def _digest(lock: Lock, group: str) -> str:
    return lock.groups[group].digest if group in lock.groups else ""
