"""A reward term that is a Python function of the user's.

It runs as the user's code, apart from the rest of the program (`user_code`): only commands that train, or check a
reward, load it, never one that only reads a run. A file is loaded by itself, without its folder on the path, so that
its digest covers everything that is not installed.

A function cannot be interrupted from outside; one that may hang belongs behind a service (`http_service`).

Not here: what it must return (`scorer`).
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
from ppo_cli.experiment.environment import is_secret_key, read_secret
from ppo_cli.experiment.problems import as_type
from ppo_cli.experiment.term_types import Python
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.scorer import BaselineAnswers, Scorer
from ppo_cli.rewards.user_code import UserCode

Columns = Callable[[Sequence[Prompt], Sequence[Answer], BaselineAnswers], list[Any]]

COLUMNS: Mapping[str, Columns] = {
    "prompts": lambda prompts, _answers, _baseline: [prompt.text for prompt in prompts],
    "messages": lambda prompts, _answers, _baseline: [
        [{"role": turn.role, "content": turn.content} for turn in prompt.chat] for prompt in prompts
    ],
    "answers": lambda _prompts, answers, _baseline: [answer.text for answer in answers],
    "others": lambda _prompts, _answers, baseline: [[answer.text for answer in row] for row in baseline],
    "expect": lambda prompts, _answers, _baseline: [prompt.expect for prompt in prompts],
    "category": lambda prompts, _answers, _baseline: [prompt.category for prompt in prompts],
    "ids": lambda prompts, _answers, _baseline: [prompt.id for prompt in prompts],
    "written": lambda prompts, _answers, _baseline: [prompt.answer for prompt in prompts],
    "ended": lambda _prompts, answers, _baseline: [answer.ended for answer in answers],
    "tokens": lambda _prompts, answers, _baseline: [answer.answer_tokens for answer in answers],
}
"""The lists that a function may name among its arguments: one item per answer."""


def python_function(path: str, term: Python) -> Scorer:
    """Loads a function and checks its parameters against its signature.

    Raises:
        ConfigError: there is no such function, or it cannot be called with the parameters of the config.
    """
    place, _, name = term.function.rpartition(":")
    user_code = UserCode()
    module = _load_module(path, place, user_code)
    function = getattr(module, name, None)
    if not callable(function):
        raise no_such_function(path, place, name, [known for known, value in vars(module).items() if callable(value)])
    columns, arguments = _arguments_of(path, function, term.arguments)

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], baseline: BaselineAnswers) -> Sequence[float]:
        lists = {column: COLUMNS[column](prompts, answers, baseline) for column in columns}
        with user_code.running():
            scores: list[float] = list(function(**lists, **arguments))
        return scores

    return Scorer(score, deterministic=term.deterministic, compares="others" in columns)


def source_of(path: str, function: str) -> Path:
    """The file that holds a function's code.

    Raises:
        ConfigError: there is no such file or module.
    """
    module = function.rpartition(":")[0]
    if module.endswith(".py"):
        file = Path(module)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            spec = None
        file = Path(spec.origin) if spec is not None and spec.origin else Path(module)
    if not file.is_file():
        raise ConfigError(
            f"{path}.function: no file or installed module {module}.", "Write file.py:name, relative to the config."
        )
    return file


def no_such_function(path: str, place: str, name: str, functions: Sequence[str]) -> ConfigError:
    """The error of a name that a file or module does not have."""
    close = difflib.get_close_matches(name, functions, n=1)
    hint = f"Did you mean {close[0]}?" if close else "Check the name after the colon."
    return ConfigError(f"{path}.function: {place} has no function '{name}'.", hint)


def no_such_parameter(path: str, name: str, own: Sequence[str]) -> ConfigError:
    """The error of a key that a function does not take."""
    close = difflib.get_close_matches(name, own, n=1)
    hint = f"Did you mean {path}.{close[0]}?" if close else f"It has {', '.join(own) or 'none'}."
    return ConfigError(f"{path}.{name}: the function has no such parameter.", hint)


def parameter_missing(path: str, name: str) -> ConfigError:
    """The error of a parameter that a function needs."""
    return ConfigError(f"{path}.{name}: missing; the function has no default for it.", "Add it to the term.")


def _load_module(path: str, name_or_file: str, user_code: UserCode) -> ModuleType:
    """Imports an installed module, or a file under a name of its own.

    Raises:
        ConfigError: it is not there, or raises an error while it is imported.
    """
    file = source_of(path, f"{name_or_file}:")
    try:
        with user_code.running():
            return imported_module(name_or_file, file)
    except Exception as error:
        lines = str(error).strip().splitlines()
        message = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise ConfigError(
            f"{path}.function: {name_or_file} cannot be loaded: {message}.",
            "Fix it; the file may import only what is installed.",
        ) from error


def imported_module(name_or_file: str, file: Path) -> ModuleType:
    """Imports user code, inside `UserCode.running`: an installed module, or a file under a name of its own."""
    if not name_or_file.endswith(".py"):
        return importlib.import_module(name_or_file)
    name = f"ppo_reward_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    spec.loader.exec_module(module)
    return module


def _arguments_of(
    path: str, function: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """The lists that a function's signature names, and the values of its own parameters, converted to their types.

    Raises:
        ConfigError: it does not name `answers`, or a parameter is unknown, missing or of another type.
    """
    signature = inspect.signature(function).parameters
    named = {
        name: parameter
        for name, parameter in signature.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    columns = [name for name in named if name in COLUMNS]
    if "answers" not in columns:
        raise ConfigError(
            f"{path}.function: its arguments are ({', '.join(signature)}), and `answers` is not among them.",
            f"It may name {', '.join(COLUMNS)}, and parameters of its own.",
        )
    own = {name: parameter for name, parameter in named.items() if name not in COLUMNS}
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.values())
    for name in given:
        if name not in own and not takes_any:
            raise no_such_parameter(path, name, list(own))
    missing = [name for name, parameter in own.items() if parameter.default is parameter.empty and name not in given]
    if missing:
        raise parameter_missing(path, missing[0])
    hints = _type_hints(function)
    arguments = {}
    for name, written in given.items():
        is_secret = isinstance(written, str) and is_secret_key(name)
        value = read_secret(written, f"{path}.{name}") if is_secret else written
        try:
            arguments[name] = as_type(value, hints[name]) if name in hints else value
        except ValueError as error:
            raise ConfigError(
                f"{path}.{name}: {error}.", "Correct it; the type is that of the function's signature."
            ) from None
    return columns, arguments


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameter types of a function's signature that a config can be checked against."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}
    return {name: hint for name, hint in hints.items() if hint is not Any}
