"""What is wrong with a config, in plain words and with the full path of the key.

pydantic finds it; here each of its errors becomes a sentence, with the nearest right name where one was misspelt.

Not here: what is allowed (`schema`, `term_types`, `cross_checks`), reading YAML (`load`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from ppo_cli.experiment.foreign_keys import counterpart
from ppo_cli.experiment.schema_index import (
    MEASURES,
    TERMS,
    TYPES,
    Key,
    closest_key,
    key_of,
    keys_in,
    named_group,
    nullable_groups,
    schema_keys,
    sections,
)
from ppo_cli.experiment.term_types import RewardTerm
from ppo_cli.experiment.values import flatten, format_value, quoted


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a config."""

    path: str
    """Full path of the key."""
    words: str

    def __str__(self) -> str:
        return f"{self.path}: {self.words}"


def problems_of(error: ValidationError) -> list[Problem]:
    """Everything that pydantic found wrong with an experiment, in the order of the schema."""
    problems: list[Problem] = []
    for entry in error.errors(include_url=False):
        problems += _problems(tuple(entry["loc"]), entry["type"], entry["input"], entry.get("ctx", {}))
    return list(dict.fromkeys(problems))


def missing(key: Key) -> str:
    """What to say of a key that has to be given."""
    return f"missing ({key.doc.removesuffix('.')})"


def as_type(value: Any, annotation: Any) -> Any:  # noqa: ANN401 - any value, any annotation
    """A value from YAML as the type that an annotation names, without conversions but that of whole numbers to floats.

    Raises:
        ValueError: what it must be.
    """
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))
        return adapter.validate_json(json.dumps(value))  # from JSON a list is good for every kind of sequence
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(_in_words(first["type"], first["input"], first.get("ctx", {}))) from None
    except (PydanticSchemaGenerationError, PydanticUserError):
        name = getattr(annotation, "__name__", str(annotation))
        raise ValueError(f"must be {name}, which a config cannot give; got {quoted(value)}") from None


def _problems(where: tuple[int | str, ...], kind: str, value: object, context: Mapping[str, Any]) -> list[Problem]:
    """One error of pydantic as problems: one, several where a whole group is missing, none where another says it."""
    path, type_name = _path(where)
    match kind:
        case "missing" if path in sections():
            required = [key for key in schema_keys().values() if key.required and key.path.startswith(f"{path}.")]
            return [Problem(key.path, missing(key)) for key in required]
        case "missing":
            key = keys_in(_types(path)[type_name])[path.rpartition(".")[2]] if type_name else schema_keys()[path]
            return [Problem(path, missing(key))]
        case "extra_forbidden":
            return _unknown_key(path, type_name, value)
        case "too_short" if value:
            return []
        case "contradiction":
            return [Problem(f"{path}.{context['key']}", context["words"])]
        case "union_tag_invalid" if isinstance(value, Mapping):
            return _unknown_type(path, value)
        case "string_pattern_mismatch" if where[-1] == "[key]":
            if path.startswith(f"{MEASURES}."):
                return [Problem(path, "the name of a measure has letters, digits and _ alone")]
            return [Problem(path, r"the name of a term may not have blanks or any of . / \ : = * $")]
    return [Problem(path, f"{_in_words(kind, value, context)}{_instead(path, kind, value)}")]


def null_as_text(path: str, value: object) -> Problem | None:
    """The problem of a key that may be null and has a text that other languages write for it."""
    key = key_of(path)
    if isinstance(value, str) and value.strip().lower() in NULL_WORDS and key is not None and key.nullable:
        return Problem(path, f"'{value}' is a text; write null")
    return None


def _instead(path: str, kind: str, value: object) -> str:
    """What to do instead, where a value shows what was meant."""
    key = key_of(path)
    nullable = (key is not None and key.nullable) or path in nullable_groups()
    if nullable and (value is False or (isinstance(value, str) and value.strip().lower() in NULL_WORDS)):
        return "; write null"
    several = value.split(",") if isinstance(value, str) and kind in ("int_type", "float_type") else value
    if key is not None and isinstance(several, list | tuple) and len(several) > 1 and "list" not in kind:
        if path == "seed":
            return f"; for a run per seed, type --seeds {len(several)}"
        values = ",".join(format_value(one).strip() for one in several[:MAX_VALUES_SHOWN])
        return f"; for a run per value, type --sweep {path}={values}"
    return ""


def _unknown_key(path: str, type_name: str | None, value: object) -> list[Problem]:
    """An unknown key, or every key of an unknown group; one of another program with its name here."""
    if type_name is None and (words := counterpart(path)):
        return [Problem(path, f"no such key; {words}")]
    keys = list(flatten(dict(value), f"{path}.")) if isinstance(value, Mapping) and value else [path]
    problems = []
    for key in keys:
        words = counterpart(key) if type_name is None else None
        hint = f"; {words}" if words else _hint(_closest(key, type_name))
        problems.append(Problem(key, f"no such key{hint}"))
    return problems


def _path(where: Sequence[int | str]) -> tuple[str, str | None]:
    """The key path of a location, as `tracking[0]`; and the type of the reward term that it lies in, if any."""
    parts, type_name = list(where), None
    if ".".join(map(str, parts[:2])) in TYPES and len(parts) > 3:
        type_name = None if parts[3] == "[key]" else str(parts[3])
        del parts[3]
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path, type_name


def _in_words(kind: str, value: object, context: Mapping[str, Any]) -> str:
    """What a value must be; `kind` is a type of pydantic's errors."""
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {format_value(context[name])}, got {quoted(value)}"
    match kind:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            expected = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
            return f"must be one of {', '.join(expected)}, got {quoted(value)}"
        case "string_type" if isinstance(value, int | float | bool):
            return f"must be a text, got {quoted(value)}; put it in quotes"
        case "int_type" | "int_from_float" | "float_type" if isinstance(value, str) and _is_number(value):
            return f"{_MUST_BE[kind]}, got the text {quoted(value)}; leave the quotes out"
    return f"{_MUST_BE.get(kind, 'cannot be used')}, got {quoted(value)}"


NULL_WORDS = frozenset({"none", "nil", "undefined"})
"""What is written for null elsewhere, in small letters."""
MAX_VALUES_SHOWN = 5
"""Values of a list that a suggested --sweep repeats."""
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_MUST_BE = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "tuple_type": "must be a list, as [a, b]",
    "list_type": "must be a list, as [a, b]",
    "too_short": "must have at least one item",
    "dict_type": "must be a group of keys, not a value",
    "model_type": "must be a group of keys, not a value",
    "model_attributes_type": "must be a group of keys, as {weight: 1.0}",
}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _closest(path: str, type_name: str | None) -> str | None:
    """The key that a mistyped one most likely meant: of a reward term, one that its type has."""
    if type_name is None:
        return closest_key(path)
    term, _, name = path.rpartition(".")
    close = difflib.get_close_matches(name, keys_in(_types(path)[type_name]), n=1)
    return f"{term}.{close[0]}" if close else None


def _types(path: str) -> Mapping[str, type[RewardTerm]]:
    """The types of the group that a path goes through: those of reward terms, or of measures."""
    return TYPES[named_group(path) or TERMS]


def _hint(guess: str | None) -> str:
    return f"; did you mean {guess}?" if guess else ""


def _unknown_type(path: str, term: Mapping[str, Any]) -> list[Problem]:
    """A term of a type that there is not, and those of its keys that no type has."""
    given, types = str(term["type"]), _types(path)
    close = difflib.get_close_matches(given, types, n=1, cutoff=0.5)
    named_for, what = given == path.rpartition(".")[2], "term" if types is TYPES[TERMS] else "measure"
    choice = f"{f'give the {what} a `type`, one of' if named_for else 'there are'} {', '.join(types)}"
    hint = f"did you mean {close[0]}?" if close else choice
    first = Problem(path if named_for else f"{path}.type", f"no type of reward is called '{given}'; {hint}")
    every_key = {name for model in types.values() for name in keys_in(model)}
    mistyped = [f"{path}.{name}" for name in term if name not in every_key]
    return [
        first,
        *(Problem(wrong, f"no such key{_hint(guess)}") for wrong in mistyped if (guess := closest_key(wrong))),
    ]
