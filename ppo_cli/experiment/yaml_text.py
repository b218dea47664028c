"""The text of a config before its values are read: a file that can be read, and YAML that means what it shows.

YAML of 1998 reads `1:30` as 90 and `010` as 8, and ends a sentence at a colon. Each is an error here that says what to
write. So is a text that is nested so deep, or repeats itself so often, that reading it would never end.

Not here: keys and values (`load`, `schema`).
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import yaml

from ppo_cli.errors import ConfigError, reason_of

MAX_DEPTH = 20
"""Levels of nesting; the schema has five."""
MAX_VALUES = 100_000
"""Values of a config, those that an alias repeats included."""
MAX_BYTES = 1 << 24
_SEXAGESIMAL = re.compile(r"[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?")
_OCTAL = re.compile(r"[-+]?0\d[\d_]*")
_KEY_AND_TEXT = re.compile(r"(?P<key>\s*(?:- +)?[\w.-]+:)[ \t]+(?P<text>\S.*?)\s*")
QUOTE_IT = "Put the text in quotes"


def read_text(source: Path) -> str:
    """The text of a config file.

    Raises:
        ConfigError: it cannot be read.
    """
    if source.is_dir():
        raise ConfigError(f"{source} is a directory, not a config file.", "Name a .yaml file inside it.")
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{source} is a pipe or a device, not a file.", "Write the config to a file.")
        if status.st_size > MAX_BYTES:
            raise ConfigError(f"{source} is no config: it has {status.st_size:,} bytes.", "Check the path.")
        return source.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{source}: no such file.", "Check the path, or write a config with `ppo init refusal my-exp`."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: not UTF-8 text at byte {error.start}.", "Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {reason_of(error)}.", "Check the path and who owns it.") from None
    except ValueError:  # a path with a null character
        raise ConfigError("The path of the config cannot be used.", "Check the path.") from None


def check_yaml(text: str, where: str) -> None:
    """Checks that YAML can be read, and that it holds nothing that YAML reads as something else than it shows.

    Args:
        text: the YAML.
        where: the file, or the override, for messages.

    Raises:
        ConfigError: names the line and what to write.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise not_yaml(error, text, where) from None
    except RecursionError:
        raise _too_deep(where) from None
    if node is None:
        return
    _require_size(node, where)
    for scalar in _scalars(node):
        _require_literal(scalar, where)


def key_lines(text: str) -> dict[str, int]:
    """The line of each key of a text that `check_yaml` accepts, by its path; of an item of a list as `tracking[0]`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return dict(_key_lines(root, "")) if root is not None else {}


def _key_lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            yield inner, key.start_mark.line + 1
            yield from _key_lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{path}[{index}]", item.start_mark.line + 1
            yield from _key_lines(item, f"{path}[{index}]")


def not_yaml(error: Exception, text: str, where: str) -> ConfigError:
    """The error for a text that is no YAML; a line with one key and a text is shown as it has to be written."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return ConfigError(f"{where}: not readable as YAML: {one_line(error)}.", "Correct that line.")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    problem = str(getattr(error, "problem", None) or one_line(error))
    if line[: len(line) - len(line.lstrip())].count("\t"):
        return ConfigError(f"{where}: line {mark.line + 1}: begins with a tab.", "Indent it with blanks.")
    if "'\\t'" in problem:
        return ConfigError(f"{where}: line {mark.line + 1}: holds a tab outside a text.", "Write a blank in its place.")
    match = _KEY_AND_TEXT.fullmatch(line)
    words = problem
    if "mapping values are not allowed" in problem:
        words = "a colon followed by a blank begins a new key"
    elif "cannot start any token" in problem:
        words = "a text cannot begin with this character"
    next_step = "Correct that line."
    if match is not None and not problem.startswith("found duplicate key"):
        written = match["text"]
        inner = written[1:-1] if len(written) > 1 and written[0] == written[-1] and written[0] in "'\"" else written
        next_step = f"{QUOTE_IT}: {match['key'].strip()} {json.dumps(inner, ensure_ascii=False)}"
    return ConfigError(f"{where}: not readable as YAML: line {mark.line + 1}: {words}.", next_step)


def one_line(error: Exception) -> str:
    """The first line of an error, with the number of the line that it is about."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].removesuffix(".") if lines else type(error).__name__


def _require_size(root: yaml.Node, where: str) -> None:
    """Counts values and depth as they are after every alias is replaced by what it stands for."""
    sizes: dict[int, int] = {}
    depths: dict[int, int] = {}
    open_nodes: set[int] = set()

    def measure(node: yaml.Node, level: int) -> None:
        if id(node) in open_nodes:
            raise ConfigError(f"{where}: line {node.start_mark.line + 1}: refers to itself.", "Remove the alias.")
        if level > MAX_DEPTH:
            raise _too_deep(where)
        if id(node) in sizes:
            if level + depths[id(node)] > MAX_DEPTH:
                raise _too_deep(where)
            return
        open_nodes.add(id(node))
        children = list(_children(node))
        for child in children:
            measure(child, level + 1)
        open_nodes.discard(id(node))
        sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
        depths[id(node)] = 1 + max((depths[id(child)] for child in children), default=0)

    measure(root, 1)
    if sizes[id(root)] > MAX_VALUES:
        raise ConfigError(f"{where}: its aliases repeat more than {MAX_VALUES:,} values.", "Remove the aliases.")


def _require_literal(node: yaml.ScalarNode, where: str) -> None:
    value, line = node.value, node.start_mark.line + 1
    if "\0" in value:
        raise ConfigError(f"{where}: line {line}: holds a null character.", "Remove it.")
    tag = node.tag.rpartition(":")[2]
    if node.style is None and tag in ("int", "float"):
        if _SEXAGESIMAL.fullmatch(value):
            read = sum(float(part) * 60**power for power, part in enumerate(reversed(value.lstrip("+-").split(":"))))
            raise ConfigError(
                f"{where}: line {line}: YAML reads {value} as {read:g}, a number of base 60.",
                f'Write the number itself, or the text as "{value}".',
            )
        if tag == "int" and _OCTAL.fullmatch(value):
            raise ConfigError(
                f"{where}: line {line}: YAML reads {value} as {int(value.replace('_', ''), 8)}, a number of base 8.",
                f'Write {value.lstrip("+-0_") or 0}, or the text as "{value}".',
            )
    if tag in ("int", "float") and len(value) > MAX_DIGITS:
        raise ConfigError(f"{where}: line {line}: a number of more than {MAX_DIGITS:,} digits.", "Correct it.")


MAX_DIGITS = 1000
"""Digits of a number; a float has at most 309 before its point."""


def _too_deep(where: str) -> ConfigError:
    return ConfigError(f"{where}: nested more than {MAX_DEPTH} levels deep.", "Write it as `ppo init` does.")


def _scalars(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    nodes, met = [root], set()
    while nodes:
        node = nodes.pop()
        if id(node) in met:
            continue
        met.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        nodes += _children(node)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value
