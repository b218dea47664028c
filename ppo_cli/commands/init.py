"""`ppo init`: a folder with a commented config, prompts, and the start model fetched.

Not here: splitting a user's own file, phrasing the goal.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ppo_cli
from ppo_cli.errors import UsageError
from ppo_cli.experiment.keys import flatten, generalise, schema_keys, sections
from ppo_cli.experiment.load import Loaded, as_tree, load_experiment
from ppo_cli.records.events import Watcher, nobody
from ppo_cli.records.outcomes import InitOutcome
from ppo_cli.store.files import disk_errors, write_text

CONFIG_NAME = "experiment.yaml"
COMMENT_COLUMN = 46


def recipes() -> dict[str, Path]:
    """The shipped configs by name."""
    return {path.stem: path for path in sorted(templates_folder().glob("*.yaml"))}


def templates_folder() -> Path:
    """Where the shipped configs lie: inside the wheel, or beside the package in a checkout."""
    package = Path(ppo_cli.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def init(
    recipe: str,
    folder: Path,
    *,
    goal: str | None = None,
    force: bool = False,
    fetch_model: bool = True,
    watcher: Watcher = nobody,
) -> InitOutcome:
    """Writes an experiment folder.

    Args:
        recipe: one of `recipes()`.
        folder: made if need be; existing files are never overwritten without `force`.
        goal: what to align to, in place of the recipe's sentence.
        force: overwrite.
        fetch_model: fetch the built-in start model now, so that training can start without a network.
        watcher: told of progress.

    Raises:
        UsageError: no such recipe, an empty goal, or a file exists.
        ModelError: the built-in model cannot be fetched.
    """
    known = recipes()
    if recipe not in known:
        close = difflib.get_close_matches(recipe, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
        raise UsageError(f"no recipe '{recipe}'.", hint)
    if goal is not None and not goal.strip():
        raise UsageError("--goal is empty.", "Say in one plain sentence what to align to, or leave it out.")
    loaded = load_experiment(known[recipe])
    paths = {
        "prompts.train": loaded.experiment.prompts.train,
        "prompts.eval": loaded.experiment.prompts.eval,
        "model.warm_start": loaded.experiment.model.warm_start,
    }
    files = {key: Path(path) for key, path in paths.items() if path}
    targets = [folder / CONFIG_NAME, *(folder / "prompts" / path.name for path in files.values())]
    existing = [path for path in targets if path.exists()]
    if existing and not force:
        raise UsageError(f"{existing[0]} exists already.", "Name another folder, or overwrite with --force.")

    with disk_errors(folder):
        (folder / "prompts").mkdir(parents=True, exist_ok=True)
    rows = {}
    for path in files.values():
        text = path.read_text(encoding="utf-8")
        write_text(folder / "prompts" / path.name, text)
        rows[path.name] = text.count("\n")
    values = {key: f"prompts/{path.name}" for key, path in files.items()}
    values |= {"name": _name_for(folder) or recipe, "goal": goal or loaded.experiment.goal}
    write_text(folder / CONFIG_NAME, commented_yaml(loaded, values))
    load_experiment(folder / CONFIG_NAME)  # what was written must load

    start = loaded.experiment.model.start
    if fetch_model and start.startswith("builtin:"):
        from ppo_cli.models.catalog import resolve

        resolve(start, watcher=watcher)
    return InitOutcome(folder=str(folder), config=str(folder / CONFIG_NAME), prompts=rows, model=start)


def _name_for(folder: Path) -> str:
    """The folder's name, with what may not stand in a run's name made into dashes."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.")[:60]


def commented_yaml(loaded: Loaded, replaced: dict[str, Any]) -> str:
    """A config with every key of the schema: those the recipe gives as they are, the others as comments.

    Args:
        loaded: the recipe.
        replaced: values by key path that take the recipe's place.
    """
    values = {**flatten(as_tree(loaded.experiment)), **replaced}
    given = loaded.given | set(replaced)
    lines = [
        "# Every key of an experiment. A line that begins with # shows the default; remove the # to change it.",
        "",
    ]
    lines += _group("", values, given)
    return "\n".join(lines) + "\n"


def _group(prefix: str, values: dict[str, Any], given: frozenset[str] | set[str]) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    seen: set[str] = set()
    for path, value in values.items():
        if not path.startswith(prefix):
            continue
        name, _, rest = path[len(prefix) :].partition(".")
        if name in seen:
            continue
        seen.add(name)
        if rest:
            inner = f"{prefix}{name}."
            doc = sections().get(generalise(inner.rstrip(".")), "")
            is_given = any(key.startswith(inner) for key in given)
            yield _line(indent, f"{name}:", doc, commented=not is_given)
            yield from _group(inner, values, given)
        else:
            known = schema_keys().get(generalise(path))
            text = f"{name}: {json.dumps(value, ensure_ascii=False)}"
            yield _line(indent, text, known.doc if known else "", commented=path not in given)
    if not prefix.count("."):
        yield ""


def _line(indent: str, text: str, doc: str, *, commented: bool) -> str:
    text = f"{indent}{'# ' if commented else ''}{text}"
    if not doc:
        return text
    return f"{text:<{COMMENT_COLUMN}} # {doc}" if len(text) < COMMENT_COLUMN else f"{indent}# {doc}\n{text}"
