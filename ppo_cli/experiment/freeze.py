"""The freeze lock: sha256 digests, one per group, over everything that a run's meaning depends on.

A read-only flag in memory is not a freeze: it is lost when a config is merged or written. The lock is a file; it
is written before the first update and recomputed on every later load.

Digests are taken over validated values in one spelling, so `1` and `1.0` in a float key are one value, and over the
token ids that the model sees, so a changed chat template is noticed even when no file of ours changed.

Not here: where the files lie (`store`), how prompts become token ids (`models`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.paths import path_independent
from ppo_cli.experiment.schema import Experiment, Model
from ppo_cli.experiment.schema_base import KeyRole
from ppo_cli.experiment.schema_index import key_of

LOCK_FORMAT = "ppo-freeze/3"
"""How a lock is written and its digests are made; a lock of another format is not read."""

REWARD_CONTENT = "reward_content"
"""Files and models that reward terms name; a run that has none has no such group."""

MEASURES, MEASURE_CONTENT = "measures", "measure_content"
"""A config's own measures, and the files and models that they name; a run that has none has no such groups."""

CONFIG_GROUPS: dict[str, tuple[str, ...]] = {
    "goal": ("goal", "round", "joint_treatment"),
    "generation": (
        "evaluation.samples_per_prompt",
        "evaluation.max_new_tokens",
        "evaluation.temperature",
        "evaluation.seed",
    ),
    "analysis": ("evaluation.primary", "evaluation.smallest_effect"),
    MEASURES: ("evaluation.measures",),
    "rollout": ("rollout",),
    "reward": ("reward",),
    "kl": ("kl",),
    "ppo": ("ppo",),
    "trained_part": ("model.train",),
    "seed": ("seed",),
}
"""Groups that are made of config values alone, by the keys whose values they hold."""

LEFT_OUT_AT = {
    "ppo.baseline_fit": False,
    "ppo.cliprange_reward": None,
    "ppo.dual_clip": None,
    "ppo.critic_warmup_updates": 0,
    "ppo.target_kl_skips_step": False,
    "ppo.optimizer": "adamw",
}
"""Keys that came after runs were frozen: at the value that those runs had, they are left out of the digests."""

TREATMENT_GROUPS = ("reward", "kl", "ppo", "trained_part", "seed")
"""Those of them that an experiment varies."""

CONTENT_GROUPS = (
    "start_model",
    "warm_start",
    "train_set",
    "eval_set",
    "rendered",
    "behaviours",
    REWARD_CONTENT,
    MEASURE_CONTENT,
)
"""Groups that are made of content: what a path or an id in the config stood for."""


@dataclass(frozen=True)
class Group:
    """One digest and what it was taken over."""

    role: KeyRole
    """What a difference in this group means between two runs."""
    digest: str
    """sha256 over `values`."""
    values: Mapping[str, Any]
    """Validated values, or digests and counts of content too long to show."""


@dataclass(frozen=True)
class Lock:
    """A frozen experiment."""

    fingerprint: str
    """sha256 over the digests of all groups."""
    groups: Mapping[str, Group]
    files: Mapping[str, str]
    """sha256 of the bytes of each pinned file, by its path inside the run folder."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The environment variables that values of the config were taken from, by key path; no part of the fingerprint."""


def freeze(
    experiment: Experiment,
    content: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
) -> Lock:
    """Takes every digest.

    Args:
        experiment: as it was loaded.
        content: the values of each of CONTENT_GROUPS that applies.
        files: sha256 of each pinned file.
        environment: the environment variables that values were taken from, by key path.
    """
    groups = _config_groups(experiment)
    for name in CONTENT_GROUPS:
        if name in content:
            role: KeyRole = "treatment" if name == REWARD_CONTENT else "frozen"
            groups[name] = Group(role, sha256_of(content[name]), dict(content[name]))
    return Lock(_fingerprint(groups), groups, dict(files), dict(environment or {}))


def attention_of(model: Model) -> dict[str, str]:
    """What a chosen attention adds to the start model's group; the automatic one adds nothing."""
    return {} if model.attn_implementation == "auto" else {"attn_implementation": model.attn_implementation}


def digest_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Digest of prompt rows: blanks and key order in the file do not matter, every value does."""
    return sha256_of([dict(row) for row in rows])


def digest_token_ids(token_ids: Mapping[str, Sequence[Sequence[int]]]) -> dict[str, Any]:
    """Values of the `rendered` group: one digest per prompt set, over token ids as the model sees them."""
    return {name: sha256_of([list(map(int, ids)) for ids in rows]) for name, rows in token_ids.items()}


def to_yaml(lock: Lock) -> str:
    """The lock as a file that a person can read and diff."""
    document = {
        "format": LOCK_FORMAT,
        "fingerprint": lock.fingerprint,
        "groups": {
            name: {"role": group.role, "digest": group.digest, "values": dict(group.values)}
            for name, group in lock.groups.items()
        },
        "files": dict(lock.files),
        **({"environment": dict(lock.environment)} if lock.environment else {}),
        "files_digest": _files_digest(lock),
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def from_yaml(text: str | bytes, where: str) -> Lock:
    """Reads a lock and checks that it agrees with itself.

    Raises:
        IntegrityError: not a lock, of another format, or edited.
    """
    next_step = "Restore the file, or start a new run."
    try:
        document = yaml.safe_load(text)
        written_as = document.get("format", document.get("schema"))
        if written_as != LOCK_FORMAT:
            raise IntegrityError(
                f"{where} has the format {written_as}, and this version of ppo reads {LOCK_FORMAT} only.",
                "Read the run with the version that made it, or repeat it.",
            )
        groups = {
            name: Group(entry["role"], entry["digest"], dict(entry["values"]))
            for name, entry in document["groups"].items()
        }
        files, environment = (
            {str(name): str(value) for name, value in part.items()}
            for part in (document["files"], document.get("environment", {}))
        )
        lock = Lock(document["fingerprint"], groups, files, environment)
        digests = {name: sha256_of(group.values) for name, group in groups.items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise IntegrityError(f"{where} is damaged.", next_step) from None
    for name, group in groups.items():
        if digests[name] != group.digest:
            raise IntegrityError(f"{where} was edited after freezing: group {name}.", next_step)
    if _fingerprint(groups) != lock.fingerprint:
        raise IntegrityError(f"{where} was edited after freezing: its fingerprint.", next_step)
    if _files_digest(lock) != document.get("files_digest"):
        raise IntegrityError(f"{where} was edited after freezing: its files.", next_step)
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


def verify_config(lock: Lock, experiment: Experiment, where: str) -> None:
    """Compares the config's values with the lock.

    Raises:
        IntegrityError: names the group.
    """
    for name, group in _config_groups(experiment).items():
        if name not in lock.groups or lock.groups[name].digest != group.digest:
            raise IntegrityError(
                f"{where}: config.yaml (group {name}) was changed after freezing.",
                "Restore the file, or start a new run with the new values.",
            )


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
    for folder, group in (("reward", REWARD_CONTENT), ("measure", MEASURE_CONTENT)):
        if path.startswith(f"inputs/{folder}-"):
            return group
    return {
        "inputs/eval.jsonl": "eval_set",
        "inputs/train.jsonl": "train_set",
        "inputs/sft.jsonl": "warm_start",
        "inputs/chat_template.jinja": "start_model",
    }.get(path, "config")


def _config_groups(experiment: Experiment) -> dict[str, Group]:
    values = {path: value for path, value in path_independent(experiment).items() if _changes_a_number(path)}
    values = {path: value for path, value in values.items() if LEFT_OUT_AT.get(path, ...) != value}
    groups: dict[str, Group] = {}
    for name, prefixes in CONFIG_GROUPS.items():
        own = {
            path: value
            for path, value in values.items()
            if any(path == prefix or path.startswith(f"{prefix}.") for prefix in prefixes)
        }
        role: KeyRole = "treatment" if name in TREATMENT_GROUPS else "frozen"
        if own or name != MEASURES:
            groups[name] = Group(role, sha256_of(own), own)
    return groups


def _changes_a_number(path: str) -> bool:
    key = key_of(path)  # None for a group that is null, and for what a user's function takes
    return key is None or key.role != "free"


def _files_digest(lock: Lock) -> str:
    """Digest over the pinned files, the names of environment variables, and the fingerprint.

    The fingerprint itself is that of the experiment: keys that change no number are in the files, not in it.
    """
    environment = {"environment": dict(lock.environment)} if lock.environment else {}
    return sha256_of({"fingerprint": lock.fingerprint, "files": dict(lock.files), **environment})


def _fingerprint(groups: Mapping[str, Group]) -> str:
    return sha256_of({"format": LOCK_FORMAT, **{name: group.digest for name, group in groups.items()}})
