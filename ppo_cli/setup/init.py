"""`ppo init`: a folder with a commented config, prompts, and the start model fetched.

Not here: splitting a user's own file (`own_prompts`), phrasing the goal (`goal`).
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ppo_cli
from ppo_cli.errors import PromptError, UsageError
from ppo_cli.experiment.cross_checks import MIN_MINIBATCH_EPISODES
from ppo_cli.experiment.json_schema import schema_text
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema_index import key_of, sections, wildcard_path
from ppo_cli.experiment.values import flatten, to_dict, without_references
from ppo_cli.models.cost_estimate import rough_tokens
from ppo_cli.prompts.jsonl import as_row, read_prompts
from ppo_cli.prompts.sources import HUB
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.results import InitResult
from ppo_cli.setup.goal_wording import hints
from ppo_cli.setup.user_dataset import power_notices, split_user_dataset
from ppo_cli.store.files import disk_errors, write_text

CONFIG_NAME = "experiment.yaml"
SCHEMA_NAME = "experiment.schema.json"
"""Beside the config, so that an editor finds it without a network; the config's first line names it."""
PROMPTS = "prompts"
COMMENT_COLUMN = 46
EVAL_SHARE = 0.4
"""Of a user's own prompts: an evaluation says little with few, and training comes back to each several times."""


@dataclass(frozen=True, kw_only=True)
class PromptSource:
    """Where a user's own prompts come from."""

    source: str
    """A CSV or JSONL file, or hf:NAME[:SPLIT], where NAME may be a folder."""
    share: float = EVAL_SHARE
    """Of the prompts that should go to evaluation."""


def recipes() -> dict[str, Path]:
    """The shipped configs by name; what lies in folders below, traps for example, is no recipe."""
    return {path.stem: path for path in sorted(templates_folder().glob("*.yaml"))}


def templates_folder() -> Path:
    """Where the shipped configs lie: inside the wheel, or beside the package in a checkout."""
    package = Path(ppo_cli.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def load_recipe(name: str) -> LoadedExperiment:
    """A shipped config.

    Raises:
        UsageError: there is none of this name.
    """
    known = recipes()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
        raise UsageError(f"no recipe '{name}'.", hint)
    return load_experiment(known[name])


def prompt_source(file: Path | None, dataset: str | None, share: float | None) -> PromptSource | None:
    """Where the prompts come from, as typed.

    Raises:
        UsageError: two places, a share of nothing, or one that leaves a side empty.
    """
    if file is not None and dataset is not None:
        raise UsageError("--from-csv and --from-dataset name two sources.", "Leave one out.")
    if share is not None and not 0 < share < 1:
        raise UsageError(f"--eval-share {share:g}: must lie between 0 and 1.", "Example: --eval-share 0.4")
    if file is None and dataset is None:
        if share is not None:
            raise UsageError(
                "--eval-share has no effect on a recipe's own prompts.", "Add --from-csv, or leave it out."
            )
        return None
    source = str(file) if file is not None else f"{HUB}{str(dataset).removeprefix(HUB)}"
    return PromptSource(source=source, share=EVAL_SHARE if share is None else share)


def init(
    recipe: str,
    folder: Path,
    *,
    goal: str | None = None,
    own: PromptSource | None = None,
    force: bool = False,
    fetch_model: bool = True,
    on_event: EventHandler = ignore_events,
) -> InitResult:
    """Writes an experiment folder.

    Args:
        recipe: one of `recipes()`.
        folder: made if need be; existing files are never overwritten without `force`.
        goal: what to align to, in place of the recipe's sentence.
        own: prompts to train and evaluate on, in place of the recipe's.
        force: overwrite.
        fetch_model: fetch the built-in start model now, so that training can start without a network.
        on_event: told of progress.

    Raises:
        UsageError: no such recipe, an empty goal, or a file exists.
        PromptError: the user's own prompts cannot be used.
        ModelError: the built-in model cannot be fetched.
    """
    loaded = load_recipe(recipe)
    if goal is not None and not goal.strip():
        raise UsageError("--goal is empty.", "Say in one plain sentence what to align to, or leave it out.")
    refuse_existing(loaded, folder, force)
    texts = {key: path.read_text(encoding="utf-8") for key, path in _files(loaded).items()}
    values: dict[str, Any] = {key: f"{PROMPTS}/{name}" for key, name in _names(loaded).items()}
    values |= {"name": _name_for(folder) or recipe, "goal": goal or loaded.experiment.goal}
    notices, counts = hints(values["goal"]), None
    if own is not None:
        learnt = read_prompts(_files(loaded)["model.warm_start"]) if "model.warm_start" in texts else []
        written = loaded.experiment.reward.baseline == "written"
        found = split_user_dataset(own.source, own.share, learnt=learnt, need_answers=written)
        texts |= {"prompts.train": as_lines(found.train), "prompts.eval": as_lines(found.evaluation)}
        fitting, said = _adapted(loaded, found.train)
        values |= fitting
        notices += [*found.notices, *said, *power_notices(found.evaluation, loaded.experiment.evaluation)]
        counts = found.counts
    with disk_errors(folder):
        (folder / PROMPTS).mkdir(parents=True, exist_ok=True)
    for key, text in texts.items():
        write_text(folder / values[key], text)
    write_text(folder / SCHEMA_NAME, schema_text())
    write_text(folder / CONFIG_NAME, commented_yaml(loaded, values))
    load_experiment(folder / CONFIG_NAME)  # what was written must load

    start = loaded.experiment.model.start
    if fetch_model and start.startswith("builtin:"):
        from ppo_cli.models.model_source import resolve

        resolve(start, on_event=on_event)
    return InitResult(
        folder=str(folder),
        config=str(folder / CONFIG_NAME),
        goal=values["goal"],
        prompts={Path(values[key]).name: text.count("\n") for key, text in texts.items()},
        model=start,
        split=counts,
        notices=tuple(notices),
    )


def refuse_existing(loaded: LoadedExperiment, folder: Path, force: bool) -> None:
    """Sees that nothing of the user's would be overwritten.

    Raises:
        UsageError: a file exists and the user does not force it.
    """
    targets = [
        folder / CONFIG_NAME,
        folder / SCHEMA_NAME,
        *(folder / PROMPTS / name for name in _names(loaded).values()),
    ]
    existing = [path for path in targets if path.exists()]
    if existing and not force:
        raise UsageError(f"{existing[0]} exists already.", "Name another folder, or overwrite with --force.")


def as_lines(prompts: Sequence[Prompt]) -> str:
    """A prompt file."""
    return "".join(json.dumps(as_row(prompt), ensure_ascii=False) + "\n" for prompt in prompts)


def _files(loaded: LoadedExperiment) -> dict[str, Path]:
    """Every file that a recipe names, by its key."""
    return {
        path: Path(value)
        for path, value in flatten(to_dict(loaded.experiment)).items()
        if value and (key := key_of(path)) is not None and key.is_file
    }


def _names(loaded: LoadedExperiment) -> dict[str, str]:
    """What each file is called beside the new config; two files of one name get that of their key before it."""
    files = _files(loaded)
    names = [path.name for path in files.values()]
    return {
        key: path.name if names.count(path.name) == 1 else f"{key.rpartition('.')[2]}-{path.name}"
        for key, path in files.items()
    }


def _adapted(loaded: LoadedExperiment, train: Sequence[Prompt]) -> tuple[dict[str, Any], list[str]]:
    """Settings that have to give way where there are few prompts or long ones."""
    ppo, limit = loaded.experiment.ppo, loaded.experiment.prompts.max_tokens
    values: dict[str, Any] = {}
    said = []
    if len(train) < ppo.episodes_per_update:
        size = len(train) // ppo.minibatches * ppo.minibatches
        least = MIN_MINIBATCH_EPISODES * ppo.minibatches
        if size < least:
            raise PromptError(
                f"{len(train)} training prompts are left, and an update takes {least} or more.", "Add prompts."
            )
        values["ppo.episodes_per_update"] = size
        said.append(
            f"ppo.episodes_per_update is {size} in place of {ppo.episodes_per_update}: there are no more prompts."
        )
    longest = max(rough_tokens(prompt.text) for prompt in train)
    if longest > limit:
        values["prompts.max_tokens"] = 2 ** math.ceil(math.log2(1.2 * longest))
        said.append(f"prompts.max_tokens is {values['prompts.max_tokens']} in place of {limit}: some prompts are long.")
    return values, said


def _name_for(folder: Path) -> str:
    """The folder's name, with what may not stand in a run's name made into dashes."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.")[:60]


def commented_yaml(loaded: LoadedExperiment, replaced: dict[str, Any]) -> str:
    """A config with every key of the schema: those the recipe gives as they are, the others as comments.

    Args:
        loaded: the recipe.
        replaced: values by key path that take the recipe's place.
    """
    values = {**flatten(to_dict(loaded.experiment)), **replaced}
    given = loaded.given | set(replaced)
    lines = [
        f"# yaml-language-server: $schema={SCHEMA_NAME}",
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
            doc = sections().get(wildcard_path(inner.rstrip(".")), "")
            is_given = any(key.startswith(inner) for key in given)
            yield _line(indent, f"{name}:", doc, commented=not is_given)
            yield from _group(inner, values, given)
        else:
            key = key_of(path)
            text = f"{name}: {json.dumps(without_references(value), ensure_ascii=False)}"
            yield _line(indent, text, key.doc if key else "", commented=path not in given)
    if not prefix.count("."):
        yield ""


def _line(indent: str, text: str, doc: str, *, commented: bool) -> str:
    text = f"{indent}{'# ' if commented else ''}{text}"
    if not doc:
        return text
    return f"{text:<{COMMENT_COLUMN}} # {doc}" if len(text) < COMMENT_COLUMN else f"{indent}# {doc}\n{text}"
