"""The parameters of reward terms: from the place beside the weight into typed values, checked, and back.

Not here: the kinds (`term_kinds`), what a term scores (`rewards`).
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ppo_cli.experiment.schema import REQUIRED, Term
from ppo_cli.experiment.schema_index import keys_in
from ppo_cli.experiment.term_kinds import KINDS

OF_EVERY_TERM = tuple(field.name for field in dataclasses.fields(Term) if field.name != "parameters")
"""The keys that a term has whatever its kind."""


PYTHON_FILE = ".py:"
"""Parts a file from the function in it."""


def nest(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A config's tree with the parameters of each term put together under `parameters`."""
    reward = tree.get("reward")
    terms = reward.get("terms") if isinstance(reward, dict) else None
    if not isinstance(terms, dict):
        return dict(tree)
    moved = {name: _gathered_term(term) if isinstance(term, dict) else term for name, term in terms.items()}
    return {**tree, "reward": {**reward, "terms": moved}}  # type: ignore[dict-item]  # terms is inside reward


def flatten_term(name: str, term: Mapping[str, Any]) -> dict[str, Any]:
    """A term as it stands in a file: parameters beside the weight, and what every older term is left out."""
    spread_out = {"weight": term["weight"]}
    if term["kind"] not in (None, name):
        spread_out["kind"] = term["kind"]
    if term["normalise"]:
        spread_out["normalise"] = True
    return {**spread_out, **term["parameters"]}


def type_of(name: str, term: Term) -> str:
    """The kind of a term, its own name where none is given."""
    return term.kind or name


def validate(name: str, term: Term) -> tuple[Term, list[str]]:
    """A term with typed parameters, defaults filled in, and what is wrong with it, each as `path: what is wrong`."""
    kind, path = type_of(name, term), f"reward.terms.{name}"
    if kind not in KINDS:
        mistyped = [problem for problem in _no_such_keys(path, term, ()) if "did you mean" in problem]
        return term, [*_no_such_kind(path, kind, given=term.kind is not None), *mistyped]
    known = keys_in(KINDS[kind])
    types_of = typing.get_type_hints(KINDS[kind])
    if getattr(KINDS[kind], "takes_more", False):
        typed = {name: value for name, value in term.parameters.items() if name not in known}
        problems = [f"{path}.{name}: must be a plain value or a list" for name in typed if not _is_plain(typed[name])]
    else:
        typed, problems = {}, _no_such_keys(path, term, tuple(known))
    for parameter, about in known.items():
        value = term.parameters.get(parameter, about.default)
        if value == REQUIRED:
            problems.append(f"{path}.{parameter}: missing ({about.doc})")
            continue
        try:
            typed[parameter] = as_type(value, types_of[parameter])
        except ValueError as error:
            problems.append(f"{path}.{parameter}: {error}")
            continue
        if reason := about.range_error(typed[parameter]):
            problems.append(f"{path}.{parameter}: {reason}")
    problems = problems or _contradictions(path, kind, typed)
    return (term if problems else dataclasses.replace(term, parameters=typed)), problems


def resolve_paths(tree: Mapping[str, Any], kinds: Mapping[str, str], folder: Path) -> None:
    """Makes the paths among the parameters in a config's tree absolute, in place.

    Args:
        tree: as it is read.
        kinds: of its terms, by their names.
        folder: where relative paths start.
    """
    for name, term in _terms_in(tree).items():
        for parameter, value in term.items() if isinstance(term, dict) else ():
            if (
                isinstance(value, str)
                and value != REQUIRED
                and _is_path(kinds.get(name, name), parameter, value, folder)
            ):
                term[parameter] = str((folder / Path(value).expanduser()).absolute())


def types_in(*trees: Mapping[str, Any]) -> dict[str, str]:
    """The kind of every term that trees name, a later tree before an earlier one."""
    kinds: dict[str, str] = {}
    for tree in trees:
        for name, term in _terms_in(tree).items():
            given = term.get("kind") if isinstance(term, dict) else None
            kinds[name] = str(given) if given else kinds.get(name, str(name))
    return kinds


def files_of(name: str, term: Term) -> dict[str, Path]:
    """The files that a term's parameters name, by key path; a run keeps copies of them."""
    path = f"reward.terms.{name}"
    match type_of(name, term):
        case "preference":
            return {f"{path}.pairs": Path(term.parameters["pairs"])}
        case "python" if PYTHON_FILE in term.parameters["function"]:
            return {f"{path}.function": Path(term.parameters["function"].rpartition(":")[0])}
    return {}


def with_file(term: Term, parameter: str, file: str) -> Term:
    """The same term with another file in place of the one that a parameter names."""
    old = term.parameters[parameter]
    new = f"{file}:{old.rpartition(':')[2]}" if parameter == "function" else file
    return dataclasses.replace(term, parameters={**term.parameters, parameter: new})


def _terms_in(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    reward = tree.get("reward")
    terms = reward.get("terms") if isinstance(reward, dict) else None
    return terms if isinstance(terms, dict) else {}


def _is_path(kind: str, parameter: str, value: str, folder: Path) -> bool:
    match kind, parameter:
        case "preference", "pairs":
            return True
        case "python", "function":
            return PYTHON_FILE in value
        case ("classifier", "model") | ("preference", "base"):
            return value.startswith((".", "/", "~")) or (folder / value).is_dir()
    return False


def as_type(value: Any, annotation: Any) -> Any:  # noqa: ANN401 - any value, any annotation
    """A value from YAML as the type that an annotation names.

    Raises:
        ValueError: what it must be.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return as_type(value, next(one for one in inner if one is not type(None)))
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"must be one of {', '.join(map(str, inner))}, got {_short(value)}")
        return value
    if origin is list:
        if not isinstance(value, list) or not value:
            raise ValueError(f"must be a list, as [a, b], got {_short(value)}")
        return [as_type(one, inner[0]) for one in value]
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is annotation:
        return value
    raise ValueError(f"must be {_IN_WORDS.get(annotation, str(annotation))}, got {_short(value)}")


_IN_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _gathered_term(term: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in term.items() if key in OF_EVERY_TERM}
    rest = {key: value for key, value in term.items() if key not in OF_EVERY_TERM}
    return {**own, "parameters": rest} if rest else own


def _no_such_kind(path: str, kind: str, *, given: bool) -> list[str]:
    close = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(KINDS)}"
    return [f"{path}.kind: no kind '{kind}'; {hint}" if given else f"{path}: no term '{kind}'; {hint}"]


def _no_such_keys(path: str, term: Term, known: tuple[str, ...]) -> list[str]:
    problems = []
    for wrong in term.parameters:
        if wrong not in known:
            close = difflib.get_close_matches(str(wrong), [*OF_EVERY_TERM, *known], n=1)
            problems.append(f"{path}.{wrong}: no such key{f'; did you mean {path}.{close[0]}?' if close else ''}")
    return problems


def _contradictions(path: str, kind: str, values: Mapping[str, Any]) -> list[str]:
    """What is wrong between parameters whose single values are in range."""
    match kind:
        case "python" if not all(values["function"].rpartition(":")[::2]):
            return [f"{path}.function: must be file.py:name or module:name, got '{values['function']}'"]
        case "http" if (fault := _url_fault(values["url"])) is not None:
            return [f"{path}.url: {fault}"]
        case "length_band" if values["least"] > values["most"]:
            return [f"{path}.least: {values['least']} must not be greater than most = {values['most']}"]
        case "required_phrases" | "forbidden_phrases" if not all(phrase.strip() for phrase in values["phrases"]):
            return [f"{path}.phrases: an empty phrase stands in every answer; remove it"]
        case "format" if values["form"] == "regex":
            return _pattern_problems(f"{path}.pattern", values["pattern"])
        case "format" if values["pattern"] is not None:
            return [f"{path}.pattern: has no effect unless form is regex; remove it"]
    return []


def _pattern_problems(path: str, pattern: str | None) -> list[str]:
    if pattern is None:
        return [f"{path}: missing; form: regex needs one"]
    try:
        re.compile(pattern)
    except re.error as error:
        return [f"{path}: is no regular expression: {error}"]
    return []


def _url_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        return f"must begin with http:// or https:// and name a host, got {_short(url)}"
    if parts.username or parts.password:
        return "holds a password, which would be written into the run; name a variable with token_env"
    return None


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str | int | float | bool) for one in value)
    return value is None or isinstance(value, str | int | float | bool)


def _short(value: object) -> str:
    text = str(value)
    return f"'{text[:60]}…'" if len(text) > 60 else f"'{text}'"
