"""The reference pages that are made from the code: `make reference` writes docs/reference/.

Config keys come from the schema, options from the command line, metrics from their record, alarms from their modules.

Not here: measures of behaviour (`ppo_cli.behaviours.glossary`), the site (`conf.py`).
"""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from ppo_cli.alarms import ALARMS
from ppo_cli.alarms.rates import rate_sentence
from ppo_cli.cli import COMMANDS, app
from ppo_cli.experiment.measure_types import MEASURE_TYPES, NOT_OF_A_MEASURE, OwnMeasure
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_base import ConfigGroup
from ppo_cli.experiment.schema_index import ANY_NAME, MEASURES, TERMS, schema_keys, sections
from ppo_cli.experiment.term_types import TERM_TYPES, RewardTerm
from ppo_cli.records import training

FOLDER = Path(__file__).parents[1] / "reference"
MADE = "Made from the code by `make reference`; change it there."
NUMBERS = {str: "text", int: "integer", float: "number", bool: "true or false"}


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "config-keys.md": config_keys(),
        "command-options.md": command_options(),
        "metric-keys.md": metric_keys(),
        "alarm-thresholds.md": alarm_thresholds(),
    }


def config_keys() -> str:
    """Every key of a config with its type, range, default, role and meaning, a table per section."""
    of_group = dict(_groups(Experiment, ""))
    blocks = [
        "# Config keys",
        f"{MADE} [Config](../config.md) says how a config is written, and what a role means when runs are compared.",
        "## Top level",
        _key_table("", _own_keys(Experiment)),
    ]
    for path, meaning in sections().items():
        blocks += [f"## `{path}`", meaning]
        if path == TERMS:
            blocks += _term_tables()
        elif path == MEASURES:
            blocks += _measure_tables()
        else:
            blocks.append(_key_table(f"{path}.", _own_keys(of_group[path])))
    return _page(blocks)


def command_options() -> str:
    """Every command with its arguments and options, in the words of its `--help`."""
    group = typer.main.get_command(app)
    blocks = [
        "# Command options",
        f"{MADE} `ppo COMMAND --help` prints the same. [Commands](../commands.md) says more, and lists the exit codes.",
    ]
    for name in COMMANDS:
        command = group.commands[name]  # type: ignore[attr-defined]
        summary, _, rest = (command.callback.__doc__ or "").partition("\n")
        blocks += [f"## `ppo {name}`", summary, *_paragraphs(rest)]
        rows = [_option_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
        blocks += [_table(("argument or option", "meaning"), rows)] if rows else []
        examples = "\n".join(shlex.join(("ppo", name, *words)) for words in COMMANDS[name][1])
        blocks.append(f"```\n{examples}\n```")
    return _page(blocks)


def metric_keys() -> str:
    """Every key of a row of metrics.jsonl."""
    rows = [(f"`{name}`", meaning) for name, meaning in _attributes(training, "UpdateMetrics").items()]
    blocks = [
        "# Metric keys",
        f"{MADE} One row of `metrics.jsonl` per update. [Metrics](../metrics.md) says what each should look like.",
        _table(("key", "meaning"), rows),
    ]
    return _page(blocks)


def alarm_thresholds() -> str:
    """Every alarm with what raises it and its thresholds, each with its reason."""
    blocks = [
        "# Alarms and their thresholds",
        f"{MADE} [Alarms](../alarms.md) says what to do about each, and how they were counted.",
    ]
    for name in ALARMS:
        module = importlib.import_module(f"ppo_cli.alarms.{name}")
        first, *rest = _paragraphs(module.__doc__ or "")
        about = re.sub(r' \("[^"]*"[^)]*\)', "", first.split(": ", 1)[1])
        blocks += [f"## {module.TITLE} (`{name}`)", f"{about[0].upper()}{about[1:]}"]
        blocks += [text for text in rest if not text.startswith("Not here")]
        blocks.append(f"It was {rate_sentence(name)}.")
        rows = [
            (f"`{constant}`", _value(getattr(module, constant)), meaning)
            for constant, meaning in _attributes(module, None).items()
            if constant.isupper() and isinstance(getattr(module, constant), int | float | dict)
        ]
        blocks += [_table(("threshold", "value", "reason"), rows)] if rows else []
    return _page(blocks)


def _groups(group: type[ConfigGroup], prefix: str) -> Iterator[tuple[str, type[ConfigGroup]]]:
    for name, field in group.model_fields.items():
        inner = _group_within(field.annotation)
        if inner is not None:
            yield f"{prefix}{name}", inner
            yield from _groups(inner, f"{prefix}{name}.")


def _own_keys(group: type[ConfigGroup]) -> list[str]:
    """The names of a group's keys, without those of the groups within it."""
    named = {path.rpartition(".")[2] for path in (TERMS, MEASURES)}
    return [
        name
        for name, field in group.model_fields.items()
        if _group_within(field.annotation) is None and not (name in named and group is not Experiment)
    ]


def _group_within(annotation: Any) -> type[ConfigGroup] | None:
    for one in (annotation, *typing.get_args(annotation)):
        if isinstance(one, type) and issubclass(one, ConfigGroup):
            return one
    return None


def _term_tables() -> Iterator[str]:
    """What every reward term has, then a table per type that has parameters."""
    prefix = f"{TERMS}.{ANY_NAME}."
    common = list(RewardTerm.model_fields)
    yield "Every term has:"
    yield _key_table(prefix, common)
    for name, model in TERM_TYPES.items():
        own = [parameter for parameter in model.model_fields if parameter not in common]
        yield f"### type `{name}`"
        yield " ".join((model.__doc__ or "").split())
        if own:
            yield _key_table(prefix, own, model)


def _measure_tables() -> Iterator[str]:
    """What every own measure has, then a table per type that is no type of reward."""
    prefix = f"{MEASURES}.{ANY_NAME}."
    common = [name for name in OwnMeasure.model_fields if name not in NOT_OF_A_MEASURE]
    yield "Parameters are those of the [reward term](#rewardterms) of the same type, and:"
    yield _key_table(prefix, common)
    for name, model in MEASURE_TYPES.items():
        if name not in TERM_TYPES:
            yield f"### type `{name}`"
            yield " ".join((model.__doc__ or "").split())
            own = [one for one in model.model_fields if one not in OwnMeasure.model_fields]
            yield _key_table(prefix, own, model)


def _key_table(prefix: str, names: Iterable[str], model: type[ConfigGroup] | None = None) -> str:
    rows = []
    for name in names:
        key = schema_keys()[f"{prefix}{name}"]
        field = model.model_fields[name] if model else None
        default = field.get_default(call_default_factory=True) if field else key.default
        required = field.is_required() if field else key.required
        doc = (field.description if field else None) or key.doc
        shown = "required" if required else _value(default)
        rows.append((f"`{name}`", doc, _type_of(f"{prefix}{name}", field), shown, key.role))
    return _table(("key", "meaning", "type", "default", "role"), rows)


def _type_of(path: str, field: Any) -> str:
    """The type of a key and its range, in words."""
    key = schema_keys()[path]
    annotation = field.annotation if field else _annotation(path)
    words = _type_words(annotation)
    bounds = (("above", key.gt), ("from", key.ge), ("to", key.le))
    limits = [f"{word} {int(bound) if bound == int(bound) else bound}" for word, bound in bounds if bound is not None]
    return f"{words}, {' '.join(limits)}" if limits else words


def _annotation(path: str) -> Any:
    if ANY_NAME in path:
        model = RewardTerm if path.startswith(TERMS) else OwnMeasure
        return model.model_fields[path.rpartition(".")[2]].annotation
    group: type[ConfigGroup] = Experiment
    *parents, leaf = path.split(".")
    for parent in parents:
        inner = _group_within(group.model_fields[parent].annotation)
        assert inner is not None  # noqa: S101 - the schema's own path
        group = inner
    return group.model_fields[leaf].annotation


def _type_words(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" if value else '""' for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if one is type(None) else _type_words(one) for one in arguments)
    if origin is typing.Annotated:
        return _type_words(arguments[0])
    if origin in (tuple, list):
        return f"list of {_type_words(arguments[0])}"
    if origin is dict:
        return "names with values"
    return NUMBERS.get(annotation, "value")


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if value == ():
        return "[]"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(one)}" for name, one in value.items()) or "none"
    return str(value) if value != "" else '""'


def _option_row(parameter: Any) -> tuple[str, str]:
    """The name of an argument or option as typed, and its help."""
    help_text = " ".join((getattr(parameter, "help", None) or "").split())
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`", help_text
    names = [*parameter.opts, *parameter.secondary_opts]
    value = f" {parameter.metavar}" if parameter.metavar else ""
    return ", ".join(f"`{name}{value}`" for name in names), help_text


def _attributes(module: types.ModuleType, of_class: str | None) -> dict[str, str]:
    """Names that a module or a class of it sets, with the docstring below each; "" where there is none."""
    body = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body
    if of_class is not None:
        (body,) = (node.body for node in body if isinstance(node, ast.ClassDef) and node.name == of_class)
    found: dict[str, str] = {}
    last = None
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last is not None:
            found[last] = " ".join(str(node.value.value).split())
        last = None
        if isinstance(node, ast.AnnAssign | ast.Assign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name):
                last = target.id
                found[last] = ""
    return found


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _page(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
