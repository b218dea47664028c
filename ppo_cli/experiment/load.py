"""YAML and `key=value` overrides to a frozen, checked Experiment, and back to YAML.

The only module that imports OmegaConf. Not here: what a key means (`schema`), what is wrong with a value (`problems`),
the text of a file (`yaml_text`), digests (`freeze`).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf, grammar_parser
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    InterpolationToMissingValueError,
    OmegaConfBaseException,
)
from pydantic import ValidationError

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.cross_checks import contradictions, without_effect
from ppo_cli.experiment.paths import resolve_path, resolve_paths, term_types_in
from ppo_cli.experiment.problems import Problem, missing, null_as_text, problems_of
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_index import ANY_NAME, TERMS, closest_key, key_of, keys_in, schema_keys
from ppo_cli.experiment.term_types import TERM_TYPES
from ppo_cli.experiment.values import REFERENCE, flatten, to_dict, without_references
from ppo_cli.experiment.yaml_text import MAX_DEPTH, check_yaml, not_yaml, one_line, read_text

CORRECT_IT = "Correct it; a config that `ppo init` writes explains every key."
MISSING = "???"
"""OmegaConf's mark for a value that is still to be given."""


@dataclass(frozen=True)
class LoadedExperiment:
    """An experiment together with where it came from."""

    experiment: Experiment
    """Validated, with absolute paths."""
    source: Path
    """The YAML file."""
    overrides: tuple[str, ...]
    """What was typed after it, as `key=value`."""
    given: frozenset[str]
    """The key paths that the file or an override gives; the rest are defaults."""

    def __repr__(self) -> str:
        return f"LoadedExperiment({str(self.source)!r}, {list(self.overrides)})"


def load_experiment(source: Path | str, overrides: Sequence[str] = ()) -> LoadedExperiment:
    """Reads one YAML file, applies overrides, and checks every key.

    Relative paths in the file are taken from the file's folder, those in overrides from the current folder.

    Args:
        source: the YAML file.
        overrides: changes to it, each as `key=value`.

    Raises:
        ConfigError: for anything wrong with the file or an override; the message names the key.

    Example:
        >>> loaded = ppo_cli.load_experiment("configs/refusal.yaml", ["kl.coef=0.1"])
        >>> loaded.experiment.kl.coef
        0.1
    """
    source = Path(source)
    file_tree, override_tree = _read_yaml(source), _parse_overrides(overrides)
    in_file, overridden = frozenset(flatten(file_tree)), frozenset(flatten(override_tree))
    experiment = _validated(file_tree, override_tree, source, overridden)
    # An override may leave a key of the file without effect; each is judged where it was written.
    _raise_if_any(without_effect(experiment, overridden), source, overridden)
    as_written = _file_alone(file_tree, source) if overridden else experiment
    if as_written is not None:
        _raise_if_any(without_effect(as_written, in_file - _at_default(as_written)), source)
    return LoadedExperiment(experiment, source, tuple(overrides), in_file | overridden)


def load_frozen(source: Path) -> Experiment:
    """Reads the resolved config of a run folder, where every key is written out.

    Raises:
        ConfigError: for anything wrong with the file.
    """
    return _validated(_read_yaml(source), {}, source)


def to_yaml(experiment: Experiment) -> str:
    """The experiment as YAML that loads to an equal experiment."""
    return OmegaConf.to_yaml(OmegaConf.create(without_references(to_dict(experiment))))


def _read_yaml(source: Path) -> dict[str, Any]:
    text = read_text(source)
    check_yaml(text, str(source))
    try:
        config = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        raise not_yaml(error, text, str(source)) from None
    except OSError:  # what OmegaConf raises for a file that holds one value
        raise ConfigError(f"{source}: holds a single value, not keys and values.", "Start it with `name: …`.") from None
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{source}: holds a list, not keys and values.", "Start it with `name: …`.")
    if not config:
        raise ConfigError(f"{source} is empty.", "Write a config with `ppo init refusal my-exp`.")
    return _plain(config)


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        if "=" not in override or not override.split("=", 1)[0].strip():
            raise ConfigError(f"override '{override}' is not of the form NAME=VALUE.", "Example: kl.coef=0.05")
        if override.partition("=")[0].count(".") > MAX_DEPTH:
            raise ConfigError(f"override '{override[:60]}…': no such key.", "Example: kl.coef=0.05")
    words = [_as_text(override) for override in overrides]
    for override in words:
        value, where = override.partition("=")[2], f"override '{override}'"
        check_yaml(value, where)
        try:
            OmegaConf.from_dotlist([override])
        except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is not readable: {one_line(error)}.", "Quote the value.") from None
        except (LookupError, TypeError, AttributeError):  # brackets in the key
            raise ConfigError(f"{where}: no such key.", "Example: kl.coef=0.05") from None
    try:
        return _plain(OmegaConf.from_dotlist(words))
    except (OmegaConfBaseException, LookupError, TypeError, AttributeError, ValueError):
        raise ConfigError("The overrides contradict each other.", "Give each key, or a group of keys, once.") from None


def _as_text(override: str) -> str:
    """An override of a key that takes a text, quoted where YAML would read a sentence as something else."""
    name, _, value = override.partition("=")
    key = key_of(name.strip())
    if key is None or not key.takes_text or REFERENCE in value:
        return override
    try:
        node = yaml.compose(value, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        node = yaml.MappingNode("", [])
    is_plain = isinstance(node, yaml.ScalarNode) and (node.style is not None or " #" not in value)
    is_list = isinstance(node, yaml.SequenceNode) and node.flow_style
    return override if node is None or is_plain or is_list else f"{name}={json.dumps(value, ensure_ascii=False)}"


def _validated(
    file_tree: Mapping[str, Any],
    override_tree: Mapping[str, Any],
    source: Path,
    overridden: frozenset[str] = frozenset(),
) -> Experiment:
    """The experiment that a file and overrides describe.

    Raises:
        ConfigError: everything that is wrong with either.
    """
    types = term_types_in(file_tree, override_tree)
    trees = resolve_paths(file_tree, types, source.parent), resolve_paths(override_tree, types, Path.cwd())
    for tree in trees:
        _raise_if_any(_resolvers(tree), source, overridden)
    references = _References(types, source.parent)
    tree, problems = references.replaced_in(*trees), references.problems
    given = {**flatten(file_tree), **flatten(override_tree)}
    problems += [problem for path, value in given.items() if (problem := null_as_text(path, value)) is not None]
    try:
        experiment = Experiment.model_validate(tree)
    except ValidationError as error:
        known_wrong = {problem.path for problem in problems}
        problems += [problem for problem in problems_of(error) if problem.path not in known_wrong]
        _raise_if_any(problems, source, overridden)
        raise
    _raise_if_any(problems or contradictions(experiment), source, overridden)
    return experiment


class _References:
    """Replaces every `${key}` in a config by the value of that key."""

    def __init__(self, types: Mapping[str, str], folder: Path) -> None:
        """Replaces nothing yet.

        Args:
            types: of the reward terms, by their names.
            folder: where a relative path starts that a reference is part of.
        """
        self.problems: list[Problem] = []
        """The references that cannot be replaced."""
        self._types, self._folder = types, folder

    def replaced_in(self, file_tree: Mapping[str, Any], override_tree: Mapping[str, Any]) -> dict[str, Any]:
        """A file's tree with its overrides; left out is what cannot be replaced, and what is still to be given."""
        has_references = _texts(file_tree) or _texts(override_tree)
        defaults = _defaults(self._types) if has_references else {}
        merged = OmegaConf.create(_merged(_merged(defaults, file_tree), override_tree))
        return cast("dict[str, Any]", self._part(_plain(merged), merged, ""))

    def _part(self, raw: Any, config: Any, path: str) -> Any:  # noqa: ANN401 - any part of a tree
        if isinstance(raw, dict):
            named = {name: self._value(raw[name], config, name, f"{path}.{name}" if path else name) for name in raw}
            return {name: value for name, value in named.items() if value is not _LEFT_OUT}
        values = [self._value(value, config, index, f"{path}[{index}]") for index, value in enumerate(raw)]
        return [value for value in values if value is not _LEFT_OUT]

    def _value(self, raw: Any, config: Any, name: str | int, path: str) -> Any:  # noqa: ANN401 - any part of a tree
        if isinstance(raw, dict | list):
            return self._part(raw, config[name], path)
        if raw == MISSING:
            if (key := key_of(path)) is not None and not key.required:
                self.problems.append(Problem(path, missing(key)))
            return _LEFT_OUT
        if not (isinstance(raw, str) and REFERENCE in raw):
            return raw
        try:
            value = config[name]
        except OmegaConfBaseException as error:
            self.problems.append(Problem(path, f"'{raw}' {_why_not_resolved(error)}"))
            return _LEFT_OUT
        if isinstance(value, DictConfig):
            self.problems.append(Problem(path, f"'{raw}' refers to a group of keys; name one key inside it"))
            return _LEFT_OUT
        plain = OmegaConf.to_container(value, resolve=True) if isinstance(value, ListConfig) else value
        return resolve_path(path, plain, self._types, self._folder)


_LEFT_OUT = object()


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees as one: groups are merged; any other value above counts, unless it is still to be given."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[name] = _merged(old, value)
        elif value != MISSING or name not in merged:
            merged[name] = value
    return merged


def _texts(tree: Any, path: str = "") -> dict[str, str]:  # noqa: ANN401 - any part of a tree
    """Every text in a tree that refers to another key, by its path."""
    if isinstance(tree, dict):
        inner = [_texts(value, f"{path}.{name}" if path else name) for name, value in tree.items()]
        return {at: text for texts in inner for at, text in texts.items()}
    if isinstance(tree, list):
        inner = [_texts(value, f"{path}[{index}]") for index, value in enumerate(tree)]
        return {at: text for texts in inner for at, text in texts.items()}
    return {path: tree} if isinstance(tree, str) and REFERENCE in tree else {}


def _resolvers(tree: Mapping[str, Any]) -> list[Problem]:
    """The texts of a tree that would have to be computed, as `${oc.env:HOME}`."""
    return [problem for path, text in _texts(tree).items() if (problem := _resolver_problem(path, text)) is not None]


def _resolver_problem(path: str, text: str) -> Problem | None:
    try:
        nodes: list[Any] = [grammar_parser.parse(text)]
    except GrammarParseError as error:
        return Problem(path, f"'{text}' is no reference to a key: {one_line(error)}")
    for node in nodes:
        if type(node).__name__ == "InterpolationResolverContext":
            words = (
                f"'{text}' calls a resolver, whose result, perhaps a secret, would be written into the run; "
                "write the value itself, or refer to another key as ${kl.coef}"
            )
            return Problem(path, words)
        nodes += getattr(node, "children", None) or []
    return None


def _why_not_resolved(error: OmegaConfBaseException) -> str:
    if isinstance(error, InterpolationToMissingValueError):
        return "refers to a key that is not given"
    if isinstance(error, InterpolationKeyError):
        wrong = re.search(r"'(.*)'", one_line(error))
        guess = closest_key(wrong[1]) if wrong else None
        return f"refers to no key of this config{f'; did you mean {guess}?' if guess else ''}"
    if "parent node" in str(error):
        return "refers to the group of keys that it is part of"
    return "refers to itself" if "Recursive" in str(error) else f"cannot be resolved: {one_line(error)}"


def _defaults(types: Mapping[str, str]) -> dict[str, Any]:
    """What a config holds that gives no key but the types of its reward terms; `???` where there is no default."""
    values = {
        path: MISSING if key.required else key.default for path, key in schema_keys().items() if ANY_NAME not in path
    }
    for name, type_name in types.items():
        if type_name in TERM_TYPES and "." not in name:
            keys = {key: known for key, known in keys_in(TERM_TYPES[type_name]).items() if key != "type"}
            values |= {f"{TERMS}.{name}.{key}": known.default for key, known in keys.items() if not known.required}
    return _nested(values)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *groups, name = path.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value
    return tree


def _plain(config: Any) -> dict[str, Any]:  # noqa: ANN401 - OmegaConf's loose types
    """A config as nested plain values, references as they are written, every key a text."""
    return cast("dict[str, Any]", _with_text_keys(OmegaConf.to_container(config)))


def _with_text_keys(tree: Any) -> Any:  # noqa: ANN401 - any part of a tree
    if isinstance(tree, dict):
        return {str(name): _with_text_keys(value) for name, value in tree.items()}
    return [_with_text_keys(value) for value in tree] if isinstance(tree, list) else tree


def _file_alone(file_tree: Mapping[str, Any], source: Path) -> Experiment | None:
    """What the file describes without overrides; None where it needs them to be valid."""
    try:
        return _validated(file_tree, {}, source)
    except ConfigError:
        return None


def _at_default(experiment: Experiment) -> frozenset[str]:
    """The keys that have their default value; written out, as in a run's config.yaml, they claim no effect."""
    keys = schema_keys()
    values = flatten(to_dict(experiment))
    return frozenset(path for path, value in values.items() if path in keys and keys[path].default == value)


def _raise_if_any(problems: Sequence[Problem], source: Path, overridden: frozenset[str] = frozenset()) -> None:
    if not problems:
        return
    paths = [problem.path.partition("[")[0] for problem in problems]
    typed = all(any(key == path or key.startswith(f"{path}.") for key in overridden) for path in paths)
    where = "override" if typed else str(source)
    if len(problems) == 1:
        raise ConfigError(f"{where}: {problems[0]}{'' if problems[0].words.endswith('?') else '.'}", CORRECT_IT)
    listed = "\n".join(f"  - {problem}" for problem in problems)
    raise ConfigError(f"{where}: {len(problems)} problems:\n{listed}", CORRECT_IT)
