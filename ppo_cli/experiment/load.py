"""YAML and `key=value` overrides to a frozen, checked Experiment, and back.

The only module that imports OmegaConf. Not here: what a key means (`schema`), digests (`freeze`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ppo_cli.errors import ConfigError, reason_of
from ppo_cli.experiment import term_parameters
from ppo_cli.experiment.cross_checks import contradictions, without_effect
from ppo_cli.experiment.schema import REQUIRED, Experiment
from ppo_cli.experiment.schema_index import ANY_NAME, closest_key, flatten, schema_keys, sections, wildcard_path

CORRECT_IT = "Correct it; a config that `ppo init` writes explains every key."
PARAMETER_DEPTH = 3
"""Dots in the path of a term's parameter, as in `reward.terms.NAME.most`."""


@dataclass(frozen=True)
class LoadedExperiment:
    """An experiment together with where it came from."""

    experiment: Experiment
    """Typed, checked, with absolute paths."""
    source: Path
    """The YAML file."""
    overrides: tuple[str, ...]
    """What was typed after it, as `key=value`."""
    given: frozenset[str]
    """The key paths that the file or an override gives; the rest are defaults."""


def load_experiment(source: Path, overrides: Sequence[str] = ()) -> LoadedExperiment:
    """Reads one YAML file, applies overrides, and checks every key.

    Relative paths in the file are taken from the file's folder, those in overrides from the current folder.

    Raises:
        ConfigError: for anything wrong with the file or an override; the message names the key.
    """
    file_tree = _anchored(_read_yaml(source), source.parent)
    override_tree = _anchored(_parse_overrides(overrides), Path.cwd())
    kinds = term_parameters.types_in(file_tree, override_tree)
    term_parameters.resolve_paths(file_tree, kinds, source.parent)
    term_parameters.resolve_paths(override_tree, kinds, Path.cwd())
    _raise_if_any(_unknown_keys(file_tree), source)
    _raise_if_any(_unknown_keys(override_tree), None)

    in_file, overridden = frozenset(flatten(file_tree)), frozenset(flatten(override_tree))
    experiment = _typed(file_tree, override_tree, source, overridden)
    problems = _value_problems(experiment)
    _raise_if_any(problems, None if _typed_here(problems, overridden) else source)
    # An override may leave a key of the file without effect; each is judged where it was written.
    _raise_if_any(without_effect(experiment, overridden), None)
    as_written = _typed(file_tree, {}, source) if overridden else experiment
    _raise_if_any(without_effect(as_written, in_file - _at_default(as_written)), source)
    return LoadedExperiment(experiment, source, tuple(overrides), in_file | overridden)


def load_frozen(source: Path) -> Experiment:
    """Reads the resolved config of a run folder, where every key is written out.

    Raises:
        ConfigError: for anything wrong with the file.
    """
    tree = _anchored(_read_yaml(source), source.parent)
    term_parameters.resolve_paths(tree, term_parameters.types_in(tree), source.parent)
    _raise_if_any(_unknown_keys(tree), source)
    experiment = _typed(tree, {}, source)
    _raise_if_any(_value_problems(experiment), source)
    return experiment


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """The experiment as nested plain values, every key present, in the order of the schema."""
    tree = cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.structured(experiment)))
    terms = tree["reward"]["terms"]
    tree["reward"]["terms"] = {name: term_parameters.flatten_term(name, term) for name, term in terms.items()}
    return tree


def as_yaml(experiment: Experiment) -> str:
    """The experiment as YAML that loads to an equal experiment."""
    return OmegaConf.to_yaml(OmegaConf.create(to_dict(experiment)))


def with_paths(experiment: Experiment, inputs: Mapping[str, str]) -> Experiment:
    """The same experiment with its path keys replaced, {key path: new path}."""
    prompts = replace(
        experiment.prompts,
        train=inputs.get("prompts.train", experiment.prompts.train),
        eval=inputs.get("prompts.eval", experiment.prompts.eval),
    )
    model = replace(experiment.model, warm_start=inputs.get("model.warm_start", experiment.model.warm_start))
    terms = dict(experiment.reward.terms)
    for path in inputs:
        if path.startswith("reward.terms."):
            name, parameter = path.removeprefix("reward.terms.").rsplit(".", 1)
            terms[name] = term_parameters.with_file(terms[name], parameter, inputs[path])
    reward = replace(experiment.reward, terms=terms)
    return replace(experiment, prompts=prompts, model=model, reward=reward)


def _read_yaml(source: Path) -> dict[str, Any]:
    if source.is_dir():
        raise ConfigError(f"{source} is a directory, not a config file.", "Name a .yaml file inside it.")
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{source}: no such file.", "Check the path, or write a config with `ppo init refusal my-exp`."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: not UTF-8 text at byte {error.start}.", "Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {reason_of(error)}.", "Check the path and who owns it.") from None
    try:
        config = OmegaConf.load(io.StringIO(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not readable as YAML: {_one_line(error)}.", "Mend that line.") from None
    except OSError:  # OmegaConf's word for a file that holds one value
        raise ConfigError(f"{source}: holds a single value, not keys and values.", "Start it with `name: …`.") from None
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{source}: holds a list, not keys and values.", "Start it with `name: …`.")
    if not config:
        raise ConfigError(f"{source} is empty.", "Write a config with `ppo init refusal my-exp`.")
    tree = OmegaConf.to_container(config)
    return cast("dict[str, Any]", tree)


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        if "=" not in override or not override.split("=", 1)[0].strip():
            raise ConfigError(f"override '{override}' is not of the form key=value.", "Example: kl.coef=0.05")
        try:
            OmegaConf.from_dotlist([override])
        except (yaml.YAMLError, OmegaConfBaseException) as error:
            raise ConfigError(
                f"override '{override}' is not readable: {_one_line(error)}.", "Quote the value."
            ) from None
    return cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.from_dotlist(list(overrides))))


def _unknown_keys(tree: dict[str, Any]) -> list[str]:
    known, groups = schema_keys(), sections()
    problems = []
    for path, value in flatten(tree).items():
        general = wildcard_path(str(path))
        if "${" in str(value):
            problems.append(f"{path}: interpolation (${{…}}) is not supported; write the value itself")
            continue
        if general in known or (general in groups and (value is None or value == {})):
            continue
        if general.startswith(f"reward.terms.{ANY_NAME}.") and general.count(".") == PARAMETER_DEPTH:
            continue  # whether its kind has it, `parameters` says
        if general in groups or general == f"reward.terms.{ANY_NAME}":
            problems.append(f"{path}: is a group of keys, not a value ({value!r})")
            continue
        guess = closest_key(str(path))
        hint = f"; did you mean {guess}?" if guess else ""
        problems.append(f"{path}: no such key{hint}")
    return problems


def _typed(
    file_tree: dict[str, Any], override_tree: dict[str, Any], source: Path, overridden: frozenset[str] = frozenset()
) -> Experiment:
    try:
        trees = term_parameters.nest(file_tree), term_parameters.nest(override_tree)
        merged = OmegaConf.merge(OmegaConf.structured(Experiment), *trees)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            docs = schema_keys()
            listed = "; ".join(f"{path} ({docs[path].doc})" for path in missing)
            raise ConfigError(f"{source}: missing {listed}", "Add it to the file.")
        experiment = cast(Experiment, OmegaConf.to_object(merged))
        to_dict(experiment)  # sees a list within a list, which merging lets pass
        return _with_typed_terms(experiment, source, overridden)
    except OmegaConfBaseException as error:
        path = error.full_key or ""
        where = "override" if path in overridden else str(source)
        raise ConfigError(f"{where}: {path}: {_plain_reason(error)}.", CORRECT_IT) from None


def _with_typed_terms(experiment: Experiment, source: Path, overridden: frozenset[str]) -> Experiment:
    found = {name: term_parameters.validate(name, term) for name, term in experiment.reward.terms.items()}
    problems = [problem for _, several in found.values() for problem in several]
    _raise_if_any(problems, None if _typed_here(problems, overridden) else source)
    terms = {name: term for name, (term, _) in found.items()}
    return replace(experiment, reward=replace(experiment.reward, terms=terms))


def _typed_here(problems: Sequence[str], overridden: frozenset[str]) -> bool:
    """Whether all problems lie in what was typed after the file."""
    paths = [problem.partition(":")[0] for problem in problems]
    return all(any(typed == path or typed.startswith(f"{path}.") for typed in overridden) for path in paths)


def _at_default(experiment: Experiment) -> frozenset[str]:
    """The keys that have their default value; written out, as in a run's config.yaml, they claim no effect."""
    keys = schema_keys()
    values = flatten(to_dict(experiment))
    return frozenset(path for path, value in values.items() if path in keys and keys[path].default == value)


def _value_problems(experiment: Experiment) -> list[str]:
    keys = schema_keys()
    problems = []
    for path, value in flatten(to_dict(experiment)).items():
        known = keys.get(wildcard_path(path))
        reason = known.range_error(value) if known else None
        if reason:
            problems.append(f"{path}: {reason}")
    return problems or contradictions(experiment)


def _raise_if_any(problems: list[str], source: Path | None) -> None:
    if not problems:
        return
    where = f"{source}: " if source else "override: "
    if len(problems) == 1:
        raise ConfigError(f"{where}{problems[0]}{'' if problems[0].endswith('?') else '.'}", CORRECT_IT)
    listed = "\n".join(f"  - {problem}" for problem in problems)
    raise ConfigError(f"{where}{len(problems)} problems:\n{listed}", CORRECT_IT)


def _anchored(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Makes the paths in a tree absolute, taking relative ones from `folder`."""
    for path, known in schema_keys().items():
        if known.is_path or path == "model.start":
            *groups, leaf = path.split(".")
            node: Any = tree
            for group in groups:
                node = node.get(group) if isinstance(node, dict) else None
            value = node.get(leaf) if isinstance(node, dict) else None
            if isinstance(node, dict) and isinstance(value, str) and value != REQUIRED:
                full = (folder / Path(value).expanduser()).absolute()
                if known.is_path or value.startswith((".", "/", "~")) or full.is_dir():
                    node[leaf] = str(full)
    return tree


def _plain_reason(error: OmegaConfBaseException) -> str:
    first = _one_line(error)
    swaps = {
        "could not be converted to Integer": "is not a whole number",
        "could not be converted to Float": "is not a number",
        "is not a valid bool": "is not true or false",
        "Invalid value assigned: AnyNode is not a ListConfig, TupleConfig, list, or tuple": "must be a list, as [a, b]",
        "field 'tracking' is not Optional": "null is not allowed here; write []",
        "field 'variable' is not Optional": "null is not allowed here; write []",
        "Incompatible value 'None' for field of type": "null is not allowed here; expected",
    }
    for omegaconf_words, ours in swaps.items():
        first = first.replace(omegaconf_words, ours)
    return first.removesuffix(".")


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return lines[0] if lines else type(error).__name__
