"""What a run changed against its parent, and whether its round lets that move.

A pure function of two locks, as `comparability` is; that one asks whether results may be held side by side, this one
whether the step from one run to the next was the one that was announced.

Not here: finding the parent, the family tree on the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ppo_cli.experiment.freeze import CONFIG_GROUPS, REWARD_CONTENT, Lock
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.stats.comparability import differences, group_values

SETS = {"train_set": "prompts.train", "eval_set": "prompts.eval", "warm_start": "model.warm_start"}
"""Content groups of prompt rows, by the key that names the file."""

ANNOUNCES = ("round", "joint_treatment")
"""The keys that say what moves, so they may always move themselves."""


def changed_keys(parent: Lock, child: Lock) -> dict[str, tuple[Any, Any]]:
    """Every key that differs, {key: (value of the parent, value of the child)}; rows of prompts by count and digest."""
    found: dict[str, tuple[Any, Any]] = {}
    for group in (*CONFIG_GROUPS, REWARD_CONTENT):
        found |= differences(group_values(parent, group), group_values(child, group))
    for group, key in SETS.items():
        old, new = _rows(group_values(parent, group)), _rows(group_values(child, group))
        if old != new:
            found[key] = (old, new)
    found |= _model(group_values(parent, "start_model"), group_values(child, "start_model"))
    found |= {
        f"model.sft.{name}": pair
        for name, pair in differences(group_values(parent, "warm_start"), group_values(child, "warm_start")).items()
        if not name.startswith("rows") and "model.warm_start" not in found
    }
    return {key: pair for key, pair in found.items() if key not in ANNOUNCES}


def keys_not_allowed(changed: Iterable[str], number: int) -> list[str]:
    """The keys that this round holds still."""
    _, may_move = ROUNDS[number]
    return [key for key in changed if not any(key == free or key.startswith(f"{free}.") for free in may_move)]


def rounds_allowing(changed: Iterable[str]) -> list[int]:
    """The rounds that let all of these move."""
    keys = list(changed)
    return [number for number in ROUNDS if not keys_not_allowed(keys, number)]


def _model(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys of the start model; whatever else of it differs is another model under the same name."""
    found = differences(old, new)
    settings = {f"model.{name}": found[name] for name in ("system_prompt", "dtype") if name in found}
    content = set(found) - {"system_prompt", "dtype"}
    if not content:
        return settings
    names = [_short(values) for values in (old, new)]
    return {**settings, "model.start": (names[0], names[1])}


def _short(model: Mapping[str, Any]) -> str:
    return f"{model.get('start')} {str(model.get('revision') or model.get('weights'))[:8]}"


def _rows(values: Mapping[str, Any]) -> str | None:
    return f"{values['rows']} rows {values['rows_sha256'][:6]}" if values else None
