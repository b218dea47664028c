"""A short repr for records with many fields, so that a notebook shows one line.

Not here: the records, the screens (`reports`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

Record = TypeVar("Record")

MAX_TEXT_CHARACTERS = 60
MAX_ITEMS = 3
"""Items of a tuple of texts or whole numbers that is shown in full."""


def short_repr(*names: str) -> Callable[[type[Record]], type[Record]]:
    """Gives a class a repr of these attributes only: long texts cut, collections as their number of items."""

    def decorate(cls: type[Record]) -> type[Record]:
        def __repr__(self: Record) -> str:  # noqa: N807 - becomes the method
            shown = ", ".join(f"{name}={_short(getattr(self, name))}" for name in names)
            return f"{cls.__name__}({shown})"

        cls.__repr__ = __repr__  # type: ignore[assignment,method-assign]
        return cls

    return decorate


def _short(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_TEXT_CHARACTERS else f"…{value[1 - MAX_TEXT_CHARACTERS :]}")
    if isinstance(value, Collection):
        is_short = isinstance(value, tuple) and len(value) <= MAX_ITEMS and all(isinstance(i, int | str) for i in value)
        return repr(value) if is_short else f"<{len(value)}>"
    return repr(value)
