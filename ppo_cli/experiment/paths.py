"""The keys that name files and folders: made absolute, listed, replaced by a run's own copies.

Not here: which keys these are (`schema`, `term_types`), reading the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_base import PathKind
from ppo_cli.experiment.schema_index import MEASURES, TERMS, TYPES, keys_in, named_group, schema_keys
from ppo_cli.experiment.term_types import RewardTerm
from ppo_cli.experiment.values import REFERENCE, flatten, to_dict

PYTHON_FILE = ".py:"
"""Separates a file from the function in it."""

NO_FILE = re.compile(r"hf:|[a-z][a-z0-9+]{1,9}://")
"""Beginnings of a dataset's name and of an address; a config takes files, which are frozen with a run."""

NOT_YET_A_PATH = (REFERENCE, "???")
"""Marks of a value that another key, or the user, has to fill in first."""


def resolve_paths(tree: Mapping[str, Any], types: Mapping[str, str], folder: Path, prefix: str = "") -> dict[str, Any]:
    """A config's tree with its relative paths made absolute; what does not have the schema's shape stays as it is.

    Args:
        tree: as it is read.
        types: of its reward terms and measures, by their paths.
        folder: where relative paths start.
        prefix: key path of the tree.
    """
    return {
        name: resolve_paths(value, types, folder, f"{prefix}{name}.")
        if isinstance(value, dict)
        else resolve_path(f"{prefix}{name}", value, types, folder)
        for name, value in tree.items()
    }


def resolve_path(path: str, value: Any, types: Mapping[str, str], folder: Path) -> Any:  # noqa: ANN401 - of any key
    """The value of one key, made absolute if it is a relative path."""
    kind = _path_kind(path, types)
    if kind is None or not isinstance(value, str) or any(mark in value for mark in NOT_YET_A_PATH):
        return value
    if not _is_path(kind, value, folder):
        return value
    try:
        return str((folder / Path(value).expanduser()).absolute())
    except RuntimeError:  # ~name of a user that this machine does not have
        return str((folder / value).absolute())


def term_types_in(*trees: Mapping[str, Any]) -> dict[str, str]:
    """The type of every reward term and measure that trees name, by its path; a later tree before an earlier one."""
    types: dict[str, str] = {}
    for tree in trees:
        for group in TYPES:
            section, name_of_group = group.split(".")
            outer = tree.get(section)
            terms = outer.get(name_of_group) if isinstance(outer, dict) else None
            for name, term in terms.items() if isinstance(terms, dict) else ():
                given, path = term.get("type") if isinstance(term, dict) else None, f"{group}.{name}"
                types[path] = str(given or types.get(path, name))
    return types


def term_files(path: str, term: RewardTerm) -> dict[str, Path]:
    """The files that the reward term or measure at a key path names, by key path; a run keeps copies of them."""
    files: dict[str, Path] = {}
    for parameter, key in keys_in(type(term)).items():
        value = getattr(term, parameter)
        if key.path_kind == "file":
            files[f"{path}.{parameter}"] = Path(value)
        elif key.path_kind == "function" and PYTHON_FILE in value:
            files[f"{path}.{parameter}"] = Path(value.rpartition(":")[0])
    return files


def with_paths(experiment: Experiment, paths: Mapping[str, str]) -> Experiment:
    """The same experiment with other files in place of those that some keys name, {key path: new path}."""
    tree = experiment.model_dump()
    for path, file in paths.items():
        *groups, name = path.split(".")
        node = tree
        for group in groups:
            node = node[group]
        is_function = _path_kind(path, term_types_in(tree)) == "function"
        node[name] = f"{file}:{node[name].rpartition(':')[2]}" if is_function else file
    return Experiment.model_validate(tree)


def path_independent(experiment: Experiment) -> dict[str, Any]:
    """Every value by its key path; of a file or folder that a reward term or measure names, its last part alone.

    Where such a file lies is no part of a run.
    """
    types = {path: term.type for path, term in named_terms(experiment).items()}
    return {path: _last_part(path, value, types) for path, value in flatten(to_dict(experiment)).items()}


def named_terms(experiment: Experiment) -> dict[str, RewardTerm]:
    """The reward terms and the measures of a config, by key path."""
    groups = (TERMS, experiment.reward.terms), (MEASURES, experiment.evaluation.measures)
    return {f"{group}.{name}": term for group, terms in groups for name, term in terms.items()}


def _last_part(path: str, value: Any, types: Mapping[str, str]) -> Any:  # noqa: ANN401 - of any key
    kind = _path_kind(path, types) if named_group(path) is not None else None
    if kind is None or value is None or (kind == "model" and not value.startswith("/")):
        return value
    return value.rsplit("/", 1)[-1]


def _path_kind(path: str, types: Mapping[str, str]) -> PathKind | None:
    group = named_group(path)
    if group is not None and path.count(".") == group.count(".") + 2:
        named, _, parameter = path.rpartition(".")
        model = TYPES[group].get(types.get(named, named.rpartition(".")[2]))
        key = keys_in(model).get(parameter) if model else None
    else:
        key = schema_keys().get(path)
    return key.path_kind if key else None


def _is_path(kind: PathKind, value: str, folder: Path) -> bool:
    match kind:
        case "file":
            return not NO_FILE.match(value)
        case "function":
            return PYTHON_FILE in value
        case "model":
            return value.startswith((".", "/", "~")) or _is_folder(folder / value)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the name is too long
        return False
