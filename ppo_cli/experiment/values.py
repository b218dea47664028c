"""How the values of a config are written: as nested plain values, as a flat table of key paths, and one by one.

Not here: what a value means (`schema`), YAML (`load`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppo_cli.records.secrets import masked

if TYPE_CHECKING:
    from ppo_cli.experiment.schema import Experiment

REFERENCE = "${"
"""Begins a reference to another key, as `${kl.coef}`."""
LONGEST_QUOTED = 60
"""Characters of a text that a message repeats."""


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """The experiment as nested plain values, every key present, in the order of the schema.

    A reward term leaves out `type` where that is its name, and `normalise: false`: they would say nothing, and each
    would count as one more difference wherever a term is added. So does a measure, and it has no weight; a config
    without measures leaves them out.
    """
    tree = experiment.model_dump(mode="json")
    measures = tree["evaluation"]["measures"]
    for name, term in (*tree["reward"]["terms"].items(), *measures.items()):
        if term["type"] == name:
            del term["type"]
        if not term["normalise"]:
            del term["normalise"]
    for measure in measures.values():
        del measure["weight"]
    if not measures:
        del tree["evaluation"]["measures"]
    return tree


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
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
    """A value as it would be typed in the config, with … for what looks like a secret."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    try:
        return masked(str(value))
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of more than 4,300 digits"


def without_references(tree: Any) -> Any:  # noqa: ANN401 - any part of a tree
    """The same values as they must be written so that no text of them is read as a reference to another key."""
    if isinstance(tree, dict):
        return {name: without_references(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [without_references(value) for value in tree]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", tree) if isinstance(tree, str) else tree


def quoted(value: object) -> str:
    """A value as a message repeats it: a text in quotes, and nothing long in full."""
    words = format_value(value)
    words = f"{words[:LONGEST_QUOTED]}…" if len(words) > LONGEST_QUOTED else words
    return f"'{words}'" if isinstance(value, str) else words
