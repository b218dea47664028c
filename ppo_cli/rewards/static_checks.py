"""What can be said of a reward and of measures without running, loading or fetching anything, as `--dry-run` does.

A function's signature is read from its source; a folder of a model must be there and hold a classifier.

Not here: opening terms, where the same is checked again on the objects themselves (`registry`).
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from ppo_cli.errors import ConfigError, reason_of
from ppo_cli.experiment.paths import named_terms
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.term_types import Classifier, Judge, Preference, Python, RewardTerm
from ppo_cli.rewards.python_function import COLUMNS, no_such_function, no_such_parameter, parameter_missing, source_of


def check_terms(experiment: Experiment) -> None:
    """Checks every reward term and every measure as far as that is possible without running anything.

    Raises:
        ConfigError: a file, a function, a parameter of it, or a folder of a model is not there.
    """
    for path, term in named_terms(experiment).items():
        _check(path, term)


def _check(path: str, term: RewardTerm) -> None:
    match term:
        case Python():
            _check_function(path, term)
        case Classifier():
            _check_folder(f"{path}.model", term.model, classifier=True)
        case Judge(endpoint=None) if not term.model.startswith("builtin:"):
            _check_folder(f"{path}.model", term.model, classifier=False)
        case Preference() if term.base is not None:
            _check_folder(f"{path}.base", term.base, classifier=False)


def _check_function(path: str, term: Python) -> None:
    place, _, name = term.function.rpartition(":")
    if not place.endswith(".py"):
        return  # looking for an installed module imports the packages that it lies in
    file = source_of(path, term.function)
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except OSError as error:
        raise ConfigError(f"{path}.function: {file} cannot be read: {reason_of(error)}.", "Check the path.") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ConfigError(f"{path}.function: {place} cannot be loaded: SyntaxError: {lines[0]}.", "Fix it.") from None
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list}
    if name in functions:
        _check_parameters(path, functions[name].args, term.arguments)
    elif name not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | _imported_names(tree):
        raise no_such_function(path, place, name, list(functions))


def _check_parameters(path: str, arguments: ast.arguments, given: dict[str, Any]) -> None:
    """Checks names of parameters alone; types are those of objects that only running the file makes."""
    positional = [*arguments.posonlyargs, *arguments.args]
    named = [argument.arg for argument in (*positional, *arguments.kwonlyargs)]
    with_default = {argument.arg for argument in positional[len(positional) - len(arguments.defaults) :]}
    keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    with_default |= {argument.arg for argument, default in keyword if default is not None}
    own = [argument for argument in named if argument not in COLUMNS]
    if arguments.kwarg is None and (unknown := [name for name in given if name not in own]):
        raise no_such_parameter(path, unknown[0], own)
    if missing := [name for name in own if name not in with_default and name not in given]:
        raise parameter_missing(path, missing[0])


def _imported_names(tree: ast.Module) -> set[str]:
    """Names that imports, classes and decorated functions give, and `*` as every name."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    aliases = [alias for node in nodes for alias in node.names]
    made = [
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    ]
    return {alias.asname or alias.name.partition(".")[0] for alias in aliases} | set(made)


def _check_folder(path: str, model: str, *, classifier: bool) -> None:
    """Checks a model that can only be a folder; a Hugging Face id has at most one slash."""
    folder = Path(model)
    is_id = not model.startswith(("/", ".", "~")) and model.count("/") <= 1
    if not folder.is_dir():
        if is_id:
            return
        raise ConfigError(f"{path}: {model}: no such folder.", "Give a folder, or a Hugging Face id.")
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise ConfigError(f"{path}: {model} is no model folder: it has no config.json.", "Give another folder.")
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        architectures = [str(name) for name in config.get("architectures") or []]
    except (OSError, ValueError, RecursionError, AttributeError, TypeError):
        raise ConfigError(f"{path}: {config_file} is damaged.", "Save the model again, or give another.") from None
    if classifier and architectures and not any("SequenceClassification" in name for name in architectures):
        raise ConfigError(
            f"{path}: {model} is not a sequence classifier but a {architectures[0]}.",
            "Use a reward model, or train one with type: preference.",
        )
