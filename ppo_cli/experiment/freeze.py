"""The freeze lock: sha256 digests, one a group, over everything that a run's meaning depends on.

A read-only flag in memory is not a freeze: it is lost when a config is merged or written. The lock is a file; it
is written before the first update and recomputed on every later load.

Digests are taken over typed values in one spelling, so `1` and `1.0` in a float key are one value, and over the
token ids that the model sees, so a changed chat template is noticed even when no file of ours changed.

A run outlives the version that froze it: a key that came later, and that the run leaves at its default, is no change.

Not here: where the files lie (`store`), how prompts become token ids (`models`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.load import to_dict
from ppo_cli.experiment.schema import REQUIRED, Experiment, KeyRole
from ppo_cli.experiment.schema_index import flatten, role_of, schema_keys, wildcard_path

LOCK_FORMAT = "ppo-freeze/1"
"""Version of how digests are made; a lock of another version is not compared digest by digest."""

REWARD_CONTENT = "reward_content"
"""Files and models that reward terms name; a run that has none has no such group."""

CONFIG_GROUPS: dict[str, tuple[str, ...]] = {
    "goal": ("goal", "round", "variable"),
    "generation": (
        "evaluation.samples_per_prompt",
        "evaluation.max_new_tokens",
        "evaluation.temperature",
        "evaluation.seed",
    ),
    "analysis": ("evaluation.primary", "evaluation.smallest_effect"),
    "rollout": ("rollout",),
    "reward": ("reward",),
    "kl": ("kl",),
    "ppo": ("ppo",),
    "trained_part": ("model.train",),
    "seed": ("seed",),
}
"""Groups that are made of config values alone, by the keys whose values they hold."""

CONTENT_GROUPS = ("start_model", "warm_start", "train_set", "eval_set", "rendered", "behaviours", REWARD_CONTENT)
"""Groups that are made of content: what a path or an id in the config stood for."""


@dataclass(frozen=True)
class Group:
    """One digest and what it was taken over."""

    role: KeyRole
    """What a difference in this group means between two runs."""
    digest: str
    """sha256 over `values`."""
    values: Mapping[str, Any]
    """Typed values, or digests and counts of content too long to show."""


@dataclass(frozen=True)
class Lock:
    """A frozen experiment."""

    fingerprint: str
    """sha256 over the digests of all groups."""
    groups: Mapping[str, Group]
    files: Mapping[str, str]
    """sha256 of the bytes of each pinned file, by its path inside the run folder."""


def freeze(experiment: Experiment, content: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]) -> Lock:
    """Takes every digest.

    Args:
        experiment: typed and checked.
        content: the values of each of CONTENT_GROUPS that applies.
        files: sha256 of each pinned file.
    """
    groups = {**_config_groups(experiment)}
    for name in CONTENT_GROUPS:
        if name in content:
            role: KeyRole = "treatment" if name == REWARD_CONTENT else "frozen"
            groups[name] = Group(role, sha256_of(content[name]), dict(content[name]))
    return Lock(_fingerprint(groups), groups, dict(files))


def digest_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Digest of prompt rows: blanks and key order in the file do not matter, every value does."""
    return sha256_of([dict(row) for row in rows])


def digest_token_ids(token_ids: Mapping[str, Sequence[Sequence[int]]]) -> dict[str, Any]:
    """Values of the `rendered` group: one digest a prompt set, over token ids as the model sees them."""
    return {name: sha256_of([list(map(int, ids)) for ids in rows]) for name, rows in token_ids.items()}


def as_yaml(lock: Lock) -> str:
    """The lock as a file that a person can read and diff."""
    document = {
        "schema": LOCK_FORMAT,
        "fingerprint": lock.fingerprint,
        "groups": {
            name: {"role": group.role, "digest": group.digest, "values": dict(group.values)}
            for name, group in lock.groups.items()
        },
        "files": dict(lock.files),
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def from_yaml(text: str, where: str) -> Lock:
    """Reads a lock and checks that it agrees with itself.

    Raises:
        IntegrityError: not a lock, of another version, or edited.
    """
    next_step = "Restore the file, or start a new run."
    try:
        document = yaml.safe_load(text)
        if document["schema"] != LOCK_FORMAT:
            raise IntegrityError(f"{where} was frozen by {document['schema']}, not {LOCK_FORMAT}.", "Repeat the run.")
        groups = {
            name: Group(entry["role"], entry["digest"], entry["values"]) for name, entry in document["groups"].items()
        }
        lock = Lock(document["fingerprint"], groups, document["files"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise IntegrityError(f"{where} is damaged.", next_step) from None
    for name, group in groups.items():
        if sha256_of(dict(group.values)) != group.digest:
            raise IntegrityError(f"{where} was edited after freezing: group {name}.", next_step)
    if _fingerprint(groups) != lock.fingerprint:
        raise IntegrityError(f"{where} was edited after freezing: its fingerprint.", next_step)
    return lock


def verify_files(lock: Lock, actual: Mapping[str, str | None], where: str) -> None:
    """Compares the bytes of the pinned files with the lock.

    Args:
        lock: what was frozen.
        actual: sha256 of each file now, None where it is missing.
        where: the run, for the message.

    Raises:
        IntegrityError: names the group, the file and what to do.
    """
    for path, frozen in lock.files.items():
        if actual.get(path) != frozen:
            what = "is missing" if actual.get(path) is None else "was changed"
            raise IntegrityError(
                f"{where}: {path} (group {group_of_file(path)}) {what} after freezing.",
                "Restore the file, or start a new run from the changed one.",
            )


def verify_config(lock: Lock, experiment: Experiment, where: str) -> Lock:
    """Compares the config's typed values with the lock.

    Returns:
        The lock with every key of today. A run that an older version froze holds the later ones at their default.

    Raises:
        IntegrityError: names the group.
    """
    today = _config_groups(experiment)
    for name, group in today.items():
        frozen = lock.groups[name].values if name in lock.groups else {}
        known = {path: value for path, value in group.values.items() if not _came_later(path, value, frozen)}
        if sha256_of(known) != sha256_of(dict(frozen)):
            raise IntegrityError(
                f"{where}: config.yaml (group {name}) was changed after freezing.",
                "Restore the file, or start a new run with the new values.",
            )
    return replace(lock, groups={**lock.groups, **today})


def verify_content(lock: Lock, name: str, values: Mapping[str, Any], where: str) -> None:
    """Compares one content group, taken anew, with the lock.

    Raises:
        IntegrityError: names the group and the values that differ.
    """
    frozen = lock.groups.get(name)
    if frozen is None or frozen.digest != sha256_of(dict(values)):
        old = dict(frozen.values) if frozen else {}
        differing = sorted(key for key in {*old, *values} if old.get(key) != values.get(key))
        raise IntegrityError(
            f"{where}: group {name} is not what was frozen ({', '.join(differing)} differ).",
            "Use the package versions and files in the run's provenance.json, or start a new run.",
        )


def group_of_file(path: str) -> str:
    """The group that a pinned file belongs to."""
    if path.startswith("inputs/reward-"):
        return REWARD_CONTENT
    return {
        "inputs/eval.jsonl": "eval_set",
        "inputs/train.jsonl": "train_set",
        "inputs/sft.jsonl": "warm_start",
        "inputs/chat_template.jinja": "start_model",
    }.get(path, "config")


def _config_groups(experiment: Experiment) -> dict[str, Group]:
    values = flatten(to_dict(experiment))
    groups: dict[str, Group] = {}
    for name, prefixes in CONFIG_GROUPS.items():
        held = {
            path: path_independent(path, value)
            for path, value in values.items()
            if any(path == prefix or path.startswith(f"{prefix}.") for prefix in prefixes) and _role(path) != "free"
        }
        role: KeyRole = "treatment" if name in ("reward", "kl", "ppo", "trained_part", "seed") else "frozen"
        groups[name] = Group(role, sha256_of(held), held)
    return groups


def path_independent(path: str, value: Any) -> Any:  # noqa: ANN401 - of any key
    """A value; of a file that a reward term names its last part alone, for where it lies is no part of a run."""
    if not (path.startswith("reward.terms.") and isinstance(value, str)):
        return value
    parameter = path.rsplit(".", 1)[-1]
    named = parameter in ("function", "pairs") or (parameter in ("model", "base") and value.startswith("/"))
    return value.rsplit("/", 1)[-1] if named else value


def _came_later(path: str, value: object, frozen: Mapping[str, Any]) -> bool:
    """Whether a lock lacks a key because its version had none, and the run left it at its default."""
    if path in frozen:
        return False
    known = schema_keys().get(wildcard_path(path))
    if wildcard_path(path) != path:  # of a name of the user's choice; a new name is a change
        named = ".".join(path.split(".")[:3])
        return known is not None and value == known.default and any(held.startswith(f"{named}.") for held in frozen)
    return bool(value == (known.default if known else _untouched().get(path, REQUIRED)))


@cache
def _untouched() -> Mapping[str, Any]:
    """What a config holds that gives no key: groups that are null too."""
    return flatten(to_dict(Experiment()))


def _role(path: str) -> KeyRole:
    try:
        return role_of(path)
    except KeyError:
        return "treatment"


def _fingerprint(groups: Mapping[str, Group]) -> str:
    return sha256_of({"schema": LOCK_FORMAT, **{name: group.digest for name, group in groups.items()}})
