"""YAML and `key=value` overrides to a frozen, checked Experiment, and back to YAML.

The only module that imports OmegaConf. Not here: what a key means (`schema`), what is wrong with a value (`problems`),
the text of a file (`yaml_text`), a file's base (`config_files`), environment variables (`environment`).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from ppo_cli.experiment.config_files import (
    BASE,
    MISSING,
    ConfigFile,
    ConfigFiles,
    merge_files,
    merged,
    read_config_files,
)
from ppo_cli.experiment.cross_checks import contradictions, without_effect
from ppo_cli.experiment.environment import variables_of, with_environment
from ppo_cli.experiment.paths import resolve_path, resolve_paths, term_types_in
from ppo_cli.experiment.problems import Problem, missing, null_as_text, problems_of
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_index import ANY_NAME, TYPES, closest_key, key_of, keys_in, named_group, schema_keys
from ppo_cli.experiment.values import REFERENCE, flatten, to_dict, without_references
from ppo_cli.experiment.yaml_text import MAX_DEPTH, check_yaml, key_lines, not_yaml, one_line, read_text

CORRECT_IT = "Correct it; a config that `ppo init` writes explains every key."


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
    """The key paths that the file, one that it builds on, or an override gives; the rest are defaults."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The environment variables that values were taken from, by key path."""

    def __repr__(self) -> str:
        return f"LoadedExperiment({str(self.source)!r}, {list(self.overrides)})"


def load_experiment(source: Path | str, overrides: Sequence[str] = ()) -> LoadedExperiment:
    """Reads a YAML file and the files that it builds on, applies overrides, and checks every key.

    Relative paths in a file are taken from the file's folder, those in overrides from the current folder.

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
    files = read_config_files(Path(source), _read_file)
    override_tree = _parse_overrides(overrides)
    if BASE in override_tree:
        raise ConfigError("override: base: only a file names the file that it builds on.", f"Write {BASE}: in it.")
    overridden = frozenset(flatten(override_tree))
    experiment = _validated(files, override_tree)
    # What is above may leave a key without effect; each is judged where it was written, by what is there and below.
    _raise_if_any(without_effect(experiment, overridden), files, overridden)
    for count in range(len(files.files), 0, -1):
        part = ConfigFiles(files.files[:count])
        as_written = experiment if part == files and not overridden else _alone(part)
        if as_written is not None:
            own = frozenset(flatten(part.files[-1].tree)) - _at_default(as_written)
            _raise_if_any(without_effect(as_written, own), part)
    variables = variables_of(flatten(merged(merge_files(files.trees), override_tree)))
    return LoadedExperiment(experiment, files.source, tuple(overrides), files.given | overridden, variables)


def load_frozen(source: Path) -> Experiment:
    """Reads the resolved config of a run folder, where every key is written out.

    Raises:
        ConfigError: for anything wrong with the file.
    """
    return _validated(ConfigFiles((_read_file(source),)), {})


def to_yaml(experiment: Experiment) -> str:
    """The experiment as YAML that loads to an equal experiment."""
    return OmegaConf.to_yaml(OmegaConf.create(without_references(to_dict(experiment))))


def _read_file(source: Path) -> ConfigFile:
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
    return ConfigFile(path=source, tree=_plain(config), lines=key_lines(text))


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


def _validated(files: ConfigFiles, override_tree: Mapping[str, Any]) -> Experiment:
    """The experiment that files and overrides describe.

    Raises:
        ConfigError: everything that is wrong with any of them.
    """
    overridden = frozenset(flatten(override_tree))
    problems: list[Problem] = []
    *file_trees, override_tree = [with_environment(tree, problems) for tree in (*files.trees, override_tree)]
    types = term_types_in(*file_trees, override_tree)
    resolved = [
        resolve_paths(tree, types, file.path.parent) for tree, file in zip(file_trees, files.files, strict=True)
    ]
    trees = merge_files(resolved), resolve_paths(override_tree, types, Path.cwd())
    for tree in trees:
        _raise_if_any(_resolvers(tree), files, overridden)
    references = _References(types, files)
    tree = references.replaced_in(*trees)
    problems += references.problems
    given = {**flatten(trees[0]), **flatten(override_tree)}
    problems += [problem for path, value in given.items() if (problem := null_as_text(path, value)) is not None]
    try:
        experiment = Experiment.model_validate(tree)
    except ValidationError as error:
        known_wrong = {problem.path for problem in problems}
        problems += [problem for problem in problems_of(error) if problem.path not in known_wrong]
        _raise_if_any(problems, files, overridden)
        raise
    _raise_if_any(problems or contradictions(experiment), files, overridden)
    return experiment


class _References:
    """Replaces every `${key}` in a config by the value of that key."""

    def __init__(self, types: Mapping[str, str], files: ConfigFiles) -> None:
        """Replaces nothing yet.

        Args:
            types: of the reward terms and measures, by their paths.
            files: by which a relative path starts that a reference is part of.
        """
        self.problems: list[Problem] = []
        """The references that cannot be replaced."""
        self._types, self._files = types, files

    def replaced_in(self, file_tree: Mapping[str, Any], override_tree: Mapping[str, Any]) -> dict[str, Any]:
        """A file's tree with its overrides; left out is what cannot be replaced, and what is still to be given."""
        has_references = _texts(file_tree) or _texts(override_tree)
        defaults = _defaults(self._types) if has_references else {}
        whole = OmegaConf.create(merged(merged(defaults, file_tree), override_tree))
        return cast("dict[str, Any]", self._part(_plain(whole), whole, ""))

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
        return resolve_path(path, plain, self._types, self._files.folder_of(path))


_LEFT_OUT = object()


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
    """The texts of a tree that would have to be computed, as `${oc.decode:1}`."""
    return [problem for path, text in _texts(tree).items() if (problem := _resolver_problem(path, text)) is not None]


def _resolver_problem(path: str, text: str) -> Problem | None:
    try:
        nodes: list[Any] = [grammar_parser.parse(text)]
    except GrammarParseError as error:
        return Problem(path, f"'{text}' is no reference to a key: {one_line(error)}")
    for node in nodes:
        if type(node).__name__ == "InterpolationResolverContext":
            words = (
                f"'{text}' calls a resolver; write the value itself, refer to another key as ${{kl.coef}}, or to an "
                "environment variable as ${oc.env:NAME}"
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
    for path, type_name in types.items():
        models = TYPES[named_group(path) or ""]
        if type_name in models and path.count(".") == 2:  # a name with a dot is refused later
            keys = {key: known for key, known in keys_in(models[type_name]).items() if key != "type"}
            values |= {f"{path}.{key}": known.default for key, known in keys.items() if not known.required}
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


def _alone(files: ConfigFiles) -> Experiment | None:
    """What files describe without anything above them; None where they need it to be valid."""
    try:
        return _validated(files, {})
    except ConfigError:
        return None


def _at_default(experiment: Experiment) -> frozenset[str]:
    """The keys that have their default value; written out, as in a run's config.yaml, they claim no effect."""
    keys = schema_keys()
    values = flatten(to_dict(experiment))
    return frozenset(path for path, value in values.items() if path in keys and keys[path].default == value)


def _raise_if_any(problems: Sequence[Problem], files: ConfigFiles, overridden: frozenset[str] = frozenset()) -> None:
    if not problems:
        return
    places = {problem: _place(problem, files, overridden) for problem in problems}
    if len(problems) == 1:
        end = "" if problems[0].words.endswith("?") else "."
        raise ConfigError(f"{places[problems[0]]}: {problems[0]}{end}", CORRECT_IT)
    where = "override" if set(places.values()) == {"override"} else str(files.source)
    listed = "\n".join(f"  - {f'{places[problem]}: '.removeprefix(f'{where}: ')}{problem}" for problem in problems)
    raise ConfigError(f"{where}: {len(problems)} problems:\n{listed}", CORRECT_IT)


def _place(problem: Problem, files: ConfigFiles, overridden: frozenset[str]) -> str:
    """The override, or the file and the line, that a problem comes from."""
    path = problem.path.partition("[")[0]
    is_typed = any(key == path or key.startswith(f"{path}.") for key in overridden)
    return "override" if is_typed else files.place_of(problem.path)
