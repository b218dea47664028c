"""JSON of any origin as values that the rest of the program can handle.

Python's reader takes NaN, integers that no float holds and thousands of levels, and fails on some of them with errors
that are no ValueError. Here each is a ValueError.

Not here: files (`store.files`), what the values mean (`records`).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 64
"""Levels of nesting; the deepest record has six."""
_LONG_NUMBER = re.compile(r"\d{300}")
_LARGE_EXPONENT = re.compile(r"\d[eE]\+?\d{3}")
MAX_INTEGER = 1 << 63


def json_value(content: bytes | str) -> Any:  # noqa: ANN401 - any JSON
    """The value that a JSON text holds.

    Raises:
        ValueError: it is no JSON, nested too deep, or holds a number that is not finite or too large.
    """
    text = content.decode() if isinstance(content, bytes) else content
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _require_depth(text)
    parse_int = _integer if _LONG_NUMBER.search(text) else None
    parse_float = _finite if parse_int or _LARGE_EXPONENT.search(text) else None
    return json.loads(text, parse_constant=_refuse, parse_int=parse_int, parse_float=parse_float)


def _require_depth(text: str) -> None:
    """Counts brackets outside of texts."""
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > len(str(MAX_INTEGER)):
        raise ValueError("an integer is too large")
    return int(digits)


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value
