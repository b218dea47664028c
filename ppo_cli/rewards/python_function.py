"""A term that is a function of the user's own.

It is the user's code and runs as such: only a command that trains or judges a reward opens it, never one that reads a
run. A file is loaded by itself, without its folder on the path, so that its digest covers all that is not installed.

A function cannot be stopped from outside while it computes; one that may hang belongs into a service (`http_service`).

Not here: what it must return (`contract`).
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.problems import as_type
from ppo_cli.experiment.term_types import Python
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.scorer import BaselineAnswers, Scorer

Columns = Callable[[Sequence[Prompt], Sequence[Answer], BaselineAnswers], list[Any]]

COLUMNS: Mapping[str, Columns] = {
    "prompts": lambda prompts, _answers, _others: [prompt.text for prompt in prompts],
    "answers": lambda _prompts, answers, _others: [answer.text for answer in answers],
    "others": lambda _prompts, _answers, others: [[other.text for other in several] for several in others],
    "expect": lambda prompts, _answers, _others: [prompt.expect for prompt in prompts],
    "category": lambda prompts, _answers, _others: [prompt.category for prompt in prompts],
    "ids": lambda prompts, _answers, _others: [prompt.id for prompt in prompts],
    "written": lambda prompts, _answers, _others: [prompt.answer for prompt in prompts],
    "ended": lambda _prompts, answers, _others: [answer.ended for answer in answers],
    "tokens": lambda _prompts, answers, _others: [answer.token_count for answer in answers],
}
"""What a function gets by naming it among its arguments: a list each, one item an answer."""


def python_function(path: str, term: Python) -> Scorer:
    """Loads a function and checks its parameters against its signature.

    Raises:
        ConfigError: there is no such function, or it cannot be called with what the config gives.
    """
    place, _, name = term.function.rpartition(":")
    module = _module_of(path, place)
    function = getattr(module, name, None)
    if not callable(function):
        close = difflib.get_close_matches(
            name, [known for known, value in vars(module).items() if callable(value)], n=1
        )
        hint = f"Did you mean {close[0]}?" if close else "Check the name after the colon."
        raise ConfigError(f"{path}.function: {place} has no function '{name}'.", hint)
    columns, told = _call_of(path, function, term.arguments)

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], others: BaselineAnswers) -> Sequence[float]:
        lists = {column: COLUMNS[column](prompts, answers, others) for column in columns}
        found: Sequence[float] = function(**lists, **told)
        return found

    return Scorer(score, deterministic=term.deterministic, compares="others" in columns)


def source_of(path: str, function: str) -> Path:
    """The file that holds a function's code.

    Raises:
        ConfigError: there is none.
    """
    place = function.rpartition(":")[0]
    if place.endswith(".py"):
        file = Path(place)
    else:
        try:
            spec = importlib.util.find_spec(place)
        except (ImportError, ValueError):
            spec = None
        file = Path(spec.origin) if spec is not None and spec.origin else Path(place)
    if not file.is_file():
        raise ConfigError(
            f"{path}.function: no file or installed module {place}.", "Write file.py:name, relative to the config."
        )
    return file


def _module_of(path: str, place: str) -> ModuleType:
    file = source_of(path, f"{place}:")
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        name = f"ppo_reward_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:12]}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError("is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look a class's module up there
        spec.loader.exec_module(module)
    except Exception as error:
        said = str(error).strip().splitlines()
        raise ConfigError(
            f"{path}.function: {place} cannot be loaded: {type(error).__name__}: {said[0] if said else 'no word'}.",
            "Mend it; the file must stand alone beside what is installed.",
        ) from error
    return module


def _call_of(path: str, function: Callable[..., Any], given: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The columns that a function asks for, and the parameters it is told, typed as it says.

    Raises:
        ConfigError: it does not ask for the answers, or a parameter is unknown, missing or of another type.
    """
    signature = inspect.signature(function).parameters
    named = {
        name: about for name, about in signature.items() if about.kind not in (about.VAR_POSITIONAL, about.VAR_KEYWORD)
    }
    columns = [name for name in named if name in COLUMNS]
    if "answers" not in columns:
        raise ConfigError(
            f"{path}.function: its arguments are ({', '.join(signature)}), and `answers` is not among them.",
            f"It may name {', '.join(COLUMNS)}, and parameters of its own.",
        )
    own = {name: about for name, about in named.items() if name not in COLUMNS}
    takes_any = any(about.kind is about.VAR_KEYWORD for about in signature.values())
    for name in given:
        if name not in own and not takes_any:
            close = difflib.get_close_matches(name, own, n=1)
            raise ConfigError(
                f"{path}.{name}: the function takes no such parameter.",
                f"Did you mean {path}.{close[0]}?" if close else f"It takes {', '.join(own) or 'none'}.",
            )
    missing = [name for name, about in own.items() if about.default is about.empty and name not in given]
    if missing:
        raise ConfigError(f"{path}.{missing[0]}: missing; the function has no default for it.", "Add it to the term.")
    hints = _hints(function)
    told = {}
    for name, value in given.items():
        try:
            told[name] = as_type(value, hints[name]) if name in hints else value
        except ValueError as error:
            raise ConfigError(f"{path}.{name}: {error}.", "The function's signature says so.") from None
    return columns, told


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types that a function's signature names and that a config can be checked against."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}
    return {name: hint for name, hint in hints.items() if hint is not Any}
