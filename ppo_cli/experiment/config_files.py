"""A config file and the files that it builds on: `base: refusal.yaml` takes every value of that file that is not given.

The file named is relative to the file that names it, and so are the paths in each. Groups of keys are merged. A reward
term of another `type` replaces the one below it, and `null` in the place of a term takes it out.

Not here: reading YAML (`load`), the text of a file (`yaml_text`), what a key means (`schema`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.schema_index import TYPES
from ppo_cli.experiment.values import flatten, quoted

BASE = "base"
"""The key that names the file below; it is no part of an experiment, which holds the merged values."""
MISSING = "???"
"""OmegaConf's mark for a value that is still to be given."""


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """One file as it is written."""

    path: Path
    tree: Mapping[str, Any]
    """Without `base`."""
    lines: Mapping[str, int]
    """The line of each key, by its path."""


@dataclass(frozen=True)
class ConfigFiles:
    """A config file after those that it builds on."""

    files: tuple[ConfigFile, ...]

    @property
    def source(self) -> Path:
        """The file that was named on the command line."""
        return self.files[-1].path

    @property
    def trees(self) -> list[Mapping[str, Any]]:
        """What each file gives, the lowest first."""
        return [file.tree for file in self.files]

    @property
    def given(self) -> frozenset[str]:
        """The key paths that any of the files gives."""
        return frozenset(path for file in self.files for path in flatten(file.tree))

    def folder_of(self, path: str) -> Path:
        """Where a relative path starts that is the value of this key."""
        found = self._place(path)
        return (found[0] if found else self.source).parent

    def place_of(self, path: str) -> str:
        """File and line of a key, or of the group that it is missing from."""
        while path:
            if found := self._place(path):
                return f"{found[0]}: line {found[1]}"
            path = path.rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]
        return str(self.source)

    def _place(self, path: str) -> tuple[Path, int] | None:
        return next(((file.path, file.lines[path]) for file in reversed(self.files) if path in file.lines), None)


def read_config_files(source: Path, read: Callable[[Path], ConfigFile]) -> ConfigFiles:
    """Reads a config file and all that it builds on.

    Args:
        source: the file.
        read: reads one file, `base` included.

    Raises:
        ConfigError: a file cannot be read, or builds on itself.
    """
    files: list[ConfigFile] = []
    below: Path | None = source
    while below is not None:
        file = read(below)
        base = file.tree.get(BASE)
        files.append(
            ConfigFile(
                path=file.path,
                tree={name: value for name, value in file.tree.items() if name != BASE},
                lines=file.lines,
            )
        )
        below = _base_file(base, file, files) if base is not None else None
    return ConfigFiles(tuple(reversed(files)))


def _base_file(base: object, file: ConfigFile, files: Sequence[ConfigFile]) -> Path:
    where = f"{file.path}: line {file.lines[BASE]}: base"
    if not isinstance(base, str) or not base.strip():
        raise ConfigError(f"{where}: must be one config file, got {quoted(base)}.", "Example: base: refusal.yaml")
    path = file.path.parent / Path(base).expanduser()
    if path.is_dir() or not path.exists():
        what = "is a directory" if path.is_dir() else "no such file"
        raise ConfigError(f"{where}: {what}: {path}.", "Name a config, relative to the file that names it.")
    if any(path.samefile(known.path) for known in files):
        chain = " → ".join(str(known.path) for known in files)
        raise ConfigError(f"{where}: the files build on each other in a circle: {chain} → {path}.", "Break the circle.")
    return path


def merge_files(trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The trees of several files as one, the lowest first."""
    return reduce(_on_base, trees[1:], dict(trees[0]))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees as one: groups are merged; any other value above counts, unless it is still to be given."""
    result = dict(below)
    for name, value in above.items():
        old = result.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            result[name] = merged(old, value)
        elif value != MISSING or name not in result:
            result[name] = value
    return result


def _on_base(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A file's tree on that of its base: terms that it takes out, or gives another type, are not those of the base."""
    for group in TYPES:
        section, names = group.split(".")
        old, new = _named(below, section, names), _named(above, section, names)
        dropped = {name for name in old if name in new and _replaces(new[name], old[name], name)}
        if dropped:
            kept = {name: term for name, term in old.items() if name not in dropped}
            wanted = {name: term for name, term in new.items() if term is not None or name not in dropped}
            below = {**below, section: {**below[section], names: kept}}
            above = {**above, section: {**above[section], names: wanted}}
    return merged(below, above)


def _named(tree: Mapping[str, Any], section: str, names: str) -> Mapping[str, Any]:
    group = tree[section].get(names) if isinstance(tree.get(section), dict) else None
    return group if isinstance(group, dict) else {}


def _replaces(new: object, old: object, name: str) -> bool:
    """Whether a term takes out the one of this name below it, or is of another type."""
    if new is None:
        return True
    if not isinstance(old, dict) or not isinstance(new, dict) or new.get("type") is None:
        return False
    return bool(new["type"] != (old.get("type") or name))
