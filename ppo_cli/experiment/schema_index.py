"""The schema seen as a flat table of keys: full path, class, range, meaning.

Not here: the schema itself, YAML.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from ppo_cli.experiment import schema
from ppo_cli.experiment.term_kinds import KINDS

ANY_NAME = "*"
"""Stands in a path for a name of the user's choice, as in `reward.terms.*.weight`."""


@dataclass(frozen=True)
class Key:
    """One key of the schema."""

    path: str
    """Dotted path; `*` stands for a name of the user's choice."""
    role: schema.KeyRole
    """What a change of it means between two runs."""
    default: Any
    """Its value when the file does not give one."""
    doc: str
    """What it means, its unit and source."""
    above: float | None
    """Values must be greater than this."""
    at_least: float | None
    """Values must be this or greater."""
    at_most: float | None
    """Values must be this or less."""
    is_path: bool
    """Whether it names a file, relative to the config's folder."""

    def range_error(self, value: object) -> str | None:
        """Says in words why a value is out of range, or None."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if self.above is not None and not value > self.above:
            return f"must be greater than {_number(self.above)}, got {_number(value)}"
        if self.at_least is not None and not value >= self.at_least:
            return f"must be at least {_number(self.at_least)}, got {_number(value)}"
        if self.at_most is not None and not value <= self.at_most:
            return f"must be at most {_number(self.at_most)}, got {_number(value)}"
        if value != value or value in (float("inf"), float("-inf")):
            return f"must be a finite number, got {value}"
        return None


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


@cache
def schema_keys() -> dict[str, Key]:
    """Every key of an experiment by its path, in the order of the schema."""
    in_schema = {key.path: key for key in _walk(schema.Experiment, "")}
    return in_schema | _parameters()


def keys_in(group: type) -> dict[str, Key]:
    """The keys of one group by their names within it."""
    return {key.path: key for key in _walk(group, "")}


def sections() -> dict[str, str]:
    """Every group of keys by its path, with its one-line meaning."""
    return dict(_sections(schema.Experiment, ""))


def wildcard_path(path: str) -> str:
    """Turns `reward.terms.ended.weight` into the schema's `reward.terms.*.weight`."""
    parts = path.split(".")
    if parts[:2] == ["reward", "terms"] and len(parts) > 2:
        parts[2] = ANY_NAME
    return ".".join(parts)


def role_of(path: str) -> schema.KeyRole:
    """The class of a concrete key path; what a user's own reward function is told moves as every reward key does."""
    general = wildcard_path(path)
    if general not in schema_keys() and general.startswith(f"reward.terms.{ANY_NAME}."):
        return "treatment"
    return schema_keys()[general].role


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as {dotted path: value}; an empty mapping or null group counts as a value."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = value
    return flat


def format_value(value: object) -> str:
    """A value as it would be typed in the config."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def closest_key(wrong: str) -> str | None:
    """The known path that a mistyped one most likely meant, with the user's own names kept."""
    found = _nearest_general(wrong)
    if found is None:
        return None
    typed = wrong.split(".")
    parts = found.split(".")
    return ".".join(
        typed[place] if part == ANY_NAME and place < len(typed) else part for place, part in enumerate(parts)
    )


def _nearest_general(wrong: str) -> str | None:
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


def _parameters() -> dict[str, Key]:
    """The parameters of all kinds of reward term, as keys of a term."""
    prefix = f"reward.terms.{ANY_NAME}."
    return {key.path: key for kind in KINDS.values() for key in _walk(kind, prefix)}


def _walk(group: type, prefix: str) -> Iterator[Key]:
    docs = _field_docs(group)
    types = typing.get_type_hints(group)
    for field in dataclasses.fields(group):
        path = f"{prefix}{field.name}"
        inner, is_mapping = _group_within(types[field.name])
        if inner is not None:
            yield from _walk(inner, f"{path}.{ANY_NAME}." if is_mapping else f"{path}.")
        elif field.metadata:
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            yield Key(path=path, default=default, doc=docs[field.name], **field.metadata)


def _sections(group: type, prefix: str) -> Iterator[tuple[str, str]]:
    docs = _field_docs(group)
    types = typing.get_type_hints(group)
    for field in dataclasses.fields(group):
        inner, is_mapping = _group_within(types[field.name])
        if inner is not None:
            path = f"{prefix}{field.name}"
            yield path, docs[field.name]
            yield from _sections(inner, f"{path}.{ANY_NAME}." if is_mapping else f"{path}.")


def _group_within(annotation: Any) -> tuple[type | None, bool]:  # noqa: ANN401 - any annotation
    """The dataclass inside an annotation, and whether it is the value type of a mapping."""
    for inner in (annotation, *typing.get_args(annotation)):
        if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            return inner, typing.get_origin(annotation) is dict
    return None, False


@cache
def _field_docs(group: type) -> dict[str, str]:
    """The docstring under each field of a dataclass."""
    body = ast.parse(inspect.getsource(group)).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{group} is not a class")
    docs: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                docs[field.target.id] = str(below.value.value)
            else:
                raise TypeError(f"{group.__name__}.{field.target.id} has no docstring")
    return docs
