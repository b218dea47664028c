"""What every key of the schema is declared with: the base class of a group, a key's role, the kind of path it holds.

    coef: Annotated[float, TREATMENT, Field(ge=0.0)] = 0.15

The role says what a change of the key means when two runs are compared:

- `frozen`     the common conditions of a comparison; runs that differ here answer different questions,
- `treatment`  what an experiment varies, one key at a time,
- `free`       no effect on any number: names, folders, how often to save.

Not here: the keys (`schema`, `term_types`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

LARGEST_SEED = 2**32 - 1
"""The largest seed that every library's generator accepts."""

KeyRole = Literal["frozen", "treatment", "free"]

PathKind = Literal["file", "model", "function"]
"""`file` is a path; `model` is one only where it looks like one or names a folder; `function` is file.py:name."""


@dataclass(frozen=True)
class Role:
    """Marks a key with its role."""

    role: KeyRole


@dataclass(frozen=True)
class PathMarker:
    """Marks a key whose value is a path, relative to the folder of the config."""

    path_kind: PathKind


FROZEN, TREATMENT, FREE = Role("frozen"), Role("treatment"), Role("free")
FILE, MODEL, FUNCTION = PathMarker("file"), PathMarker("model"), PathMarker("function")

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
TextList = Annotated[tuple[str, ...], Field(strict=False)]
"""A YAML list of texts; a tuple, so that an experiment cannot be changed."""


class ConfigGroup(BaseModel):
    """A group of keys: immutable, without unknown keys, and without conversions (`"5"` is no number, `true` no 1)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # validators are built once, when the first experiment is read
    )


def contradiction(key: str, words: str) -> PydanticCustomError:
    """What a validator raises when one key of its group contradicts another.

    Args:
        key: the key of the group that the message is about.
        words: what is wrong with it.
    """
    return PydanticCustomError("contradiction", "{words}", {"key": key, "words": words})
