"""What a run changed against its parent, and whether its round allows those keys to change.

A pure function of two freeze locks. `comparability` asks whether results may be compared; this asks whether the change
from one run to the next is one that the round allows.

Not here: finding the parent (`setup.parent`), the tree of runs (`reports.run_tree`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.freeze import CONFIG_GROUPS, MEASURE_CONTENT, REWARD_CONTENT, Lock
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.stats.comparability import differences, group_differences, group_values

SETS = {"train_set": "prompts.train", "eval_set": "prompts.eval", "warm_start": "model.warm_start"}
"""Content groups of prompt rows, with the config key that names the file."""

SETTINGS_OF_MODEL = ("system_prompt", "dtype")
"""Values of the start model that are keys of the config; the others are its content."""

DECLARING_KEYS = ("round", "joint_treatment")
"""The keys that declare what changes; they may always change themselves."""


def changed_keys(parent: Lock, child: Lock) -> dict[str, tuple[Any, Any]]:
    """Every key that differs, {key: (value of the parent, value of the child)}; prompt rows by count and digest."""
    changed: dict[str, tuple[Any, Any]] = {}
    for group in (*CONFIG_GROUPS, REWARD_CONTENT, MEASURE_CONTENT):
        changed |= group_differences(parent, child, group)
    for group, key in SETS.items():
        old, new = _rows(group_values(parent, group)), _rows(group_values(child, group))
        if old != new:
            changed[key] = (old, new)
    changed |= _model(group_values(parent, "start_model"), group_values(child, "start_model"))
    changed |= {
        f"model.sft.{name}": pair
        for name, pair in differences(group_values(parent, "warm_start"), group_values(child, "warm_start")).items()
        if not name.startswith("rows") and "model.warm_start" not in changed
    }
    return {key: pair for key, pair in changed.items() if key not in DECLARING_KEYS}


def keys_not_allowed(changed: Iterable[str], number: int) -> list[str]:
    """The keys that this round does not allow to change."""
    _, allowed = ROUNDS[number]
    return [key for key in changed if not any(key == free or key.startswith(f"{free}.") for free in allowed)]


def rounds_allowing(changed: Iterable[str]) -> list[int]:
    """The rounds that allow all of these keys to change."""
    keys = list(changed)
    return [number for number in ROUNDS if not keys_not_allowed(keys, number)]


def _model(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys of the start model that differ; of its content, the digests."""
    differing = differences(old, new)
    settings = {f"model.{name}": differing[name] for name in SETTINGS_OF_MODEL if name in differing}
    if set(differing) <= set(SETTINGS_OF_MODEL):
        return settings
    return {**settings, "model.start": (_short(old), _short(new))}


def _short(model: Mapping[str, Any]) -> str:
    return sha256_of({key: value for key, value in model.items() if key not in SETTINGS_OF_MODEL})[:8]


def _rows(values: Mapping[str, Any]) -> str | None:
    return f"{values['rows']} rows {values['rows_sha256'][:6]}" if values else None
