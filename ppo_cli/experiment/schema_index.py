"""The schema as a flat table of keys: full path, role, range, meaning.

Not here: the schema itself, YAML.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo

from ppo_cli.experiment.measure_types import MEASURE_TYPES, NOT_OF_A_MEASURE, OwnMeasure
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_base import ConfigGroup, KeyRole, PathKind, PathMarker, Role
from ppo_cli.experiment.term_types import TERM_TYPES, RewardTerm

ANY_NAME = "*"
"""Stands in a path for a name of the user's choice, as in `reward.terms.*.weight`."""

TERMS = "reward.terms"
MEASURES = "evaluation.measures"
TYPES: Mapping[str, Mapping[str, type[RewardTerm]]] = {TERMS: TERM_TYPES, MEASURES: MEASURE_TYPES}
"""The types of what a config gives names to, by the path of the group that holds the names."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of the schema."""

    path: str
    """Dotted path; `*` stands for a name of the user's choice."""
    role: KeyRole
    """What a change of it means between two runs."""
    required: bool
    """Whether it has no default."""
    default: Any
    """Its value when the file does not give one; None where it must."""
    doc: str
    """What it means, its unit and source."""
    gt: float | None
    """Values must be greater than this."""
    ge: float | None
    """Values must be this or greater."""
    le: float | None
    """Values must be this or less."""
    path_kind: PathKind | None
    """How it names a file or folder, relative to the config's folder; None for any other value."""
    takes_text: bool
    """Whether its value is one text."""
    nullable: bool
    """Whether its value may be null."""

    @property
    def is_file(self) -> bool:
        """Whether its value is the path of a file."""
        return self.path_kind == "file"

    def allows(self, value: float) -> bool:
        """Whether a number is in its range."""
        above = self.gt is None or value > self.gt
        return above and (self.ge is None or value >= self.ge) and (self.le is None or value <= self.le)


@cache
def schema_keys() -> dict[str, Key]:
    """Every key of an experiment by its path, in the order of the schema."""
    return {key.path: key for key in _walk(Experiment, "")}


def key_of(path: str) -> Key | None:
    """The key that a concrete path names, or None for a group, for what a user's function takes, and for no key."""
    return schema_keys().get(wildcard_path(path))


@cache
def keys_in(group: type[ConfigGroup]) -> dict[str, Key]:
    """The keys of one group by their names within it."""
    return {key.path: key for key in _walk(group, "")}


@cache
def sections() -> dict[str, str]:
    """Every group of keys by its path, with its one-line meaning."""
    return dict(_sections(Experiment, ""))


@cache
def nullable_groups() -> frozenset[str]:
    """The groups of keys that may be null, by their paths."""
    return frozenset(
        path for path, field in _group_fields(Experiment, "") if type(None) in typing.get_args(field.annotation)
    )


def wildcard_path(path: str) -> str:
    """Turns `reward.terms.ends_turn.weight` into the schema's `reward.terms.*.weight`."""
    parts = path.split(".")
    if named_group(path) is not None:
        parts[2] = ANY_NAME
    return ".".join(parts)


def named_group(path: str) -> str | None:
    """The path of the group whose names are of the user's choice and one of which a path goes through, if any does."""
    return next((group for group in TYPES if path.startswith(f"{group}.")), None)


def role_of(path: str) -> KeyRole:
    """The role of a concrete key path; what a user's own function takes has that of the reward or of the measures.

    Raises:
        KeyError: there is no such key.
    """
    general = wildcard_path(path)
    if general not in schema_keys() and (group := named_group(general)) is not None:
        return "treatment" if group == TERMS else "frozen"
    return schema_keys()[general].role


def closest_key(wrong: str) -> str | None:
    """The known path that a mistyped one most likely meant, with the user's own names kept."""
    general = _closest_wildcard_path(wrong)
    if general is None:
        return None
    names = wrong.split(".")
    parts = general.split(".")
    return ".".join(
        names[index] if part == ANY_NAME and index < len(names) else part for index, part in enumerate(parts)
    )


def _closest_wildcard_path(wrong: str) -> str | None:
    known = [*schema_keys(), *sections()]
    by_leaf: dict[str, list[str]] = {}
    for path in known:
        by_leaf.setdefault(path.rsplit(".", 1)[-1], []).append(path)
    parent, _, leaf = wrong.rpartition(".")
    siblings = [path for path in known if path.rpartition(".")[0] == wildcard_path(parent)]
    for candidates in (siblings, known):
        close = difflib.get_close_matches(wildcard_path(wrong), candidates, n=1, cutoff=0.75)
        if close:
            return close[0]
    close = difflib.get_close_matches(leaf, list(by_leaf), n=1, cutoff=0.75)
    return by_leaf[close[0]][0] if close else None


def _walk(group: type[ConfigGroup], prefix: str) -> Iterator[Key]:
    for name, field in group.model_fields.items():
        path = f"{prefix}{name}"
        if path in TYPES:
            yield from _walk_types(path)
        elif (inner := _group_within(field)) is not None:
            yield from _walk(inner, f"{path}.")
        else:
            yield _key(path, field)


def _walk_types(group: str) -> Iterator[Key]:
    """What every term or measure has, then the parameters of all types."""
    met: set[str] = set()
    is_reward, prefix = group == TERMS, f"{group}.{ANY_NAME}."
    models: list[type[RewardTerm]] = [RewardTerm if is_reward else OwnMeasure, *TYPES[group].values()]
    for model in models:
        for key in _walk(model, prefix):
            if key.path not in met and (is_reward or key.path.removeprefix(prefix) not in NOT_OF_A_MEASURE):
                met.add(key.path)
                yield key if is_reward else replace(key, role="frozen")


def _key(path: str, field: FieldInfo) -> Key:
    roles = [mark.role for mark in field.metadata if isinstance(mark, Role)]
    if len(roles) != 1:
        raise TypeError(f"{path} needs one role")
    kinds = [mark.path_kind for mark in field.metadata if isinstance(mark, PathMarker)]
    default = field.get_default(call_default_factory=True)
    return Key(
        path=path,
        role=roles[0],
        required=field.is_required(),
        default=None if field.is_required() else list(default) if isinstance(default, tuple) else default,
        doc=field.description or "",
        gt=_bound(field, annotated_types.Gt, "gt"),
        ge=_bound(field, annotated_types.Ge, "ge"),
        le=_bound(field, annotated_types.Le, "le"),
        path_kind=kinds[0] if kinds else None,
        takes_text=field.annotation in (str, str | None),
        nullable=type(None) in typing.get_args(field.annotation),
    )


def _bound(field: FieldInfo, mark: type, name: str) -> float | None:
    bounds = [getattr(one, name) for one in field.metadata if isinstance(one, mark)]
    return bounds[0] if bounds else None


def _sections(group: type[ConfigGroup], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in group.model_fields.items():
        path = f"{prefix}{name}"
        inner = _group_within(field)
        if inner is not None or path in TYPES:
            yield path, field.description or ""
        if inner is not None:
            yield from _sections(inner, f"{path}.")


def _group_fields(group: type[ConfigGroup], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in group.model_fields.items():
        inner = _group_within(field)
        if inner is not None:
            yield f"{prefix}{name}", field
            yield from _group_fields(inner, f"{prefix}{name}.")


def _group_within(field: FieldInfo) -> type[ConfigGroup] | None:
    """The group that a field holds, null allowed or not."""
    for inner in (field.annotation, *typing.get_args(field.annotation)):
        if inspect.isclass(inner) and issubclass(inner, ConfigGroup):
            return inner
    return None
