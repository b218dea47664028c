"""Values of a config that come from environment variables, written `${oc.env:NAME}` or `${oc.env:NAME,default}`.

A value is read when the config is loaded. The lock of a run keeps the name beside it. Where the key is a secret by its
name, the value is not read before it is used: the config and the lock hold the text with the variable's name alone.

Not here: references to other keys (`load`), what looks like a secret (`records.secrets`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import yaml

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.problems import Problem
from ppo_cli.experiment.schema_index import key_of
from ppo_cli.experiment.values import without_references
from ppo_cli.records.secrets import SECRET_VALUE, is_secret_name

VARIABLE = re.compile(r"(?<!\\)\$\{oc\.env:\s*(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*(?:,\s*(?P<default>[^${},]*?)\s*)?\}")
NAME_KEY = "_env"
"""Ends the name of a key whose value is itself the name of a variable, such as `token_env`."""


def is_secret_key(path: str) -> bool:
    """Whether the value of a key is a secret, by the key's name."""
    name = re.sub(r"\[\d+\]", "", path).rpartition(".")[2]
    return is_secret_name(name) or name == "headers"


def variables_of(flat: Mapping[str, Any]) -> dict[str, str]:
    """The variables that values name, by key path; several of one value are separated by commas."""
    named: dict[str, list[str]] = {}
    for path, text in _texts(flat):
        named.setdefault(path, []).extend(match["name"] for match in VARIABLE.finditer(text))
    return {path: ", ".join(names) for path, names in named.items() if names}


def with_environment(tree: Any, problems: list[Problem], path: str = "") -> Any:  # noqa: ANN401 - any part of a tree
    """A tree with the values of variables in place of their names; secrets keep the name, as a text of its own.

    Args:
        tree: as it is read.
        problems: gets what is wrong.
        path: of the tree.
    """
    if isinstance(tree, dict):
        return {
            name: with_environment(value, problems, f"{path}.{name}" if path else name) for name, value in tree.items()
        }
    if isinstance(tree, list):
        return [with_environment(value, problems, f"{path}[{index}]") for index, value in enumerate(tree)]
    if not isinstance(tree, str) or not VARIABLE.search(tree):
        return tree
    if wrong := _problem(path, tree):
        problems.append(wrong)
        return without_references(tree)
    return without_references(tree) if is_secret_key(path) else _value(path, tree)


def read_secret(text: str, path: str) -> str:
    """A secret, at the moment when it is used: the text with the values of its variables.

    Raises:
        ConfigError: a variable is not set.
    """
    missing = _missing(text)
    if missing:
        raise ConfigError(f"{path}: the environment variable {missing} is not set.", f"Set it: export {missing}=…")
    return VARIABLE.sub(lambda match: _looked_up(match) or "", text)


def _value(path: str, text: str) -> Any:  # noqa: ANN401 - of any key
    """The text with its variables' values; a number or a word of YAML where the key does not take a text."""
    key = key_of(path)
    value = VARIABLE.sub(lambda match: without_references(_looked_up(match)), text)
    if VARIABLE.fullmatch(text) is None or (key is not None and key.takes_text):
        return value
    try:
        read = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        return value
    return read if isinstance(read, int | float | None) else value


def _problem(path: str, text: str) -> Problem | None:
    names = ", ".join(match["name"] for match in VARIABLE.finditer(text))
    if path.endswith(NAME_KEY):
        return Problem(path, f"takes the name of the variable, not its value; write {names}")
    if missing := _missing(text):
        return Problem(path, f"the environment variable {missing} is not set")
    holds_secret = any(SECRET_VALUE.search(_looked_up(match) or "") for match in VARIABLE.finditer(text))
    if holds_secret and not is_secret_key(path):
        return Problem(path, f"{names} holds what looks like a secret, which would be written into the run")
    return None


def _missing(text: str) -> str | None:
    return next((match["name"] for match in VARIABLE.finditer(text) if _looked_up(match) is None), None)


def _looked_up(match: re.Match[str]) -> str | None:
    return os.environ.get(match["name"], match["default"])


def _texts(flat: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every text of a flat table of values, those within lists included."""
    return [
        (path, one)
        for path, value in flat.items()
        for one in (value if isinstance(value, list) else [value])
        if isinstance(one, str)
    ]
