"""`ppo init`: write an experiment folder with a commented config and prompt files, and fetch the start model.

Not here: splitting a user's own prompts (`user_dataset`), phrasing the goal (`goal_wording`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_cli.errors import PromptError, UsageError
from ppo_cli.experiment.cross_checks import MIN_MINIBATCH_EPISODES
from ppo_cli.experiment.json_schema import schema_text
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema_index import key_of, sections, wildcard_path
from ppo_cli.experiment.values import flatten, to_dict, without_references
from ppo_cli.models.cost_estimate import guess_token_count
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.prompts.prompt_files import read_prompt_file
from ppo_cli.prompts.sources import HUB
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.results import InitResult
from ppo_cli.setup.goal_wording import hints
from ppo_cli.setup.recipe_choices import RecipeChoices, chosen_experiment
from ppo_cli.setup.recipes import load_recipe, unconfirmed_goal
from ppo_cli.setup.user_dataset import notices_before_error, power_notices, split_user_dataset
from ppo_cli.store.files import disk_errors, write_text

CONFIG_NAME = "experiment.yaml"
SCHEMA_NAME = "experiment.schema.json"
"""Beside the config, so that an editor finds it without a network; the config's first line names it."""
PROMPTS = "prompts"
COMMENT_COLUMN = 46
EVAL_SHARE = 0.4
"""Share of a user's own prompts for evaluation: few of them show little, and training uses each several times."""


@dataclass(frozen=True, kw_only=True)
class PromptSource:
    """Where a user's own prompts come from."""

    source: str
    """A CSV or JSONL file, or hf:NAME[:SPLIT], where NAME may be a folder."""
    share: float = EVAL_SHARE
    """Share of the prompts that should go to evaluation."""


@dataclass(frozen=True, kw_only=True)
class InitChoices(RecipeChoices):
    """What a user puts in place of a recipe's parts."""

    prompts: PromptSource | None = None


def prompt_source(file: Path | None, dataset: str | None, share: float | None) -> PromptSource | None:
    """Where the prompts come from, by the options as typed; None for the recipe's own.

    Raises:
        UsageError: two sources, a share without a source, or a share that leaves a side empty.
    """
    if file is not None and dataset is not None:
        raise UsageError("--from-file and --from-dataset name two sources.", "Leave one out.")
    if share is not None and not 0 < share < 1:
        raise UsageError(f"--eval-share {share:g}: must lie between 0 and 1.", "Example: --eval-share 0.4")
    if file is None and dataset is None:
        if share is not None:
            raise UsageError(
                "--eval-share has no effect on a recipe's own prompts.", "Add --from-file, or leave it out."
            )
        return None
    source = str(file) if file is not None else f"{HUB}{str(dataset).removeprefix(HUB)}"
    return PromptSource(source=source, share=EVAL_SHARE if share is None else share)


def init(
    recipe: str,
    folder: str | Path,
    *,
    goal: str | None = None,
    choices: InitChoices | None = None,
    force: bool = False,
    fetch_model: bool = True,
    on_event: EventHandler = ignore_events,
) -> InitResult:
    """Writes an experiment folder.

    Args:
        recipe: one of `recipes()`.
        folder: created if missing; existing files are never overwritten without `force`.
        goal: what the model should learn, in place of the recipe's sentence.
        choices: prompts, start model, reward and primary measure, in place of the recipe's.
        force: overwrite.
        fetch_model: fetch the built-in start model now, so that training can start without a network.
        on_event: called with progress.

    Raises:
        UsageError: no such recipe, an empty goal, a model, term or measure that there is not, or a file exists.
        PromptError: the user's own prompts cannot be used.
        ModelError: the built-in model cannot be fetched.

    Example:
        >>> result = init("refusal", "my-exp")
        >>> result.config
        'my-exp/experiment.yaml'
    """
    folder, choices = Path(folder), choices or InitChoices()
    loaded, notices = chosen_experiment(load_recipe(recipe), choices)
    prompts = choices.prompts
    if goal is not None and not goal.strip():
        raise UsageError("--goal is empty.", "Say in one plain sentence what the model should learn, or leave it out.")
    refuse_existing(loaded, folder, force)
    files = _files(loaded)
    texts = {key: path.read_text(encoding="utf-8") for key, path in files.items()}
    values: dict[str, Any] = {key: f"{PROMPTS}/{name}" for key, name in _names(loaded).items()}
    values |= {"name": _name_for(folder) or recipe, "goal": goal or loaded.experiment.goal}
    notices, counts = [*notices, *hints(values["goal"])], None
    if prompts is not None:
        sft_file = files.get("model.warm_start")
        sft = read_prompt_file(sft_file).prompts if sft_file else []
        written = loaded.experiment.reward.baseline == "written"
        dataset = split_user_dataset(prompts.source, prompts.share, sft=sft, need_answers=written, on_event=on_event)
        texts |= {"prompts.train": as_lines(dataset.train), "prompts.eval": as_lines(dataset.evaluation)}
        with notices_before_error(dataset.notices, on_event):
            adapted, adaptations = _adapted_settings(loaded, dataset.train)
        values |= adapted
        notices += [*dataset.notices, *adaptations]
        notices += power_notices(dataset.evaluation, loaded.experiment.evaluation)
        counts = dataset.counts
    with disk_errors(folder):
        (folder / PROMPTS).mkdir(parents=True, exist_ok=True)
    for key, text in texts.items():
        write_text(folder / values[key], text)
    write_text(folder / SCHEMA_NAME, schema_text())
    write_text(folder / CONFIG_NAME, commented_yaml(loaded, values))
    written_experiment = load_experiment(folder / CONFIG_NAME).experiment  # raises if the written config does not load
    eval_text = read_prompt_file(folder / values["prompts.eval"]).text
    if (unmeasured := unconfirmed_goal(written_experiment, eval_text)) is not None:
        notices[:0] = [f"{unmeasured.sentence}.", unmeasured.next_step]

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
        primary=loaded.experiment.evaluation.primary,
        reward={name: term.weight for name, term in loaded.experiment.reward.terms.items()},
        split=counts,
        notices=tuple(notices),
    )


def refuse_existing(loaded: LoadedExperiment, folder: Path, force: bool) -> None:
    """Checks that no existing file would be overwritten.

    Raises:
        UsageError: a file exists and `force` is not set.
    """
    prompt_files = [folder / PROMPTS / name for name in _names(loaded).values()]
    targets = [folder / CONFIG_NAME, folder / SCHEMA_NAME, *prompt_files]
    existing = [path for path in targets if path.exists()]
    if existing and not force:
        raise UsageError(f"{existing[0]} exists already.", "Name another folder, or overwrite with --force.")


def as_lines(prompts: Sequence[Prompt]) -> str:
    """The text of a prompt file."""
    return "".join(json.dumps(as_row(prompt), ensure_ascii=False) + "\n" for prompt in prompts)


def _files(loaded: LoadedExperiment) -> dict[str, Path]:
    """Every file that a recipe names, by its key."""
    return {
        path: Path(value)
        for path, value in flatten(to_dict(loaded.experiment)).items()
        if value and (key := key_of(path)) is not None and key.is_file
    }


def _names(loaded: LoadedExperiment) -> dict[str, str]:
    """The file names in the new folder; where two files have one name, their keys come before it."""
    files = _files(loaded)
    names = [path.name for path in files.values()]
    return {
        key: path.name if names.count(path.name) == 1 else f"{key.rpartition('.')[2]}-{path.name}"
        for key, path in files.items()
    }


def _adapted_settings(loaded: LoadedExperiment, train: Sequence[Prompt]) -> tuple[dict[str, Any], list[str]]:
    """Settings that few or long prompts need, by key path, and one sentence per change."""
    ppo, limit = loaded.experiment.ppo, loaded.experiment.prompts.max_tokens
    values: dict[str, Any] = {}
    sentences = []
    if len(train) < ppo.prompts_per_update:
        multiple = math.lcm(ppo.minibatches, ppo.answers_per_prompt)
        size = len(train) * ppo.answers_per_prompt // multiple * multiple
        min_size = MIN_MINIBATCH_EPISODES * ppo.minibatches
        if size < min_size:
            raise PromptError(
                f"{len(train)} training prompts are left, and an update needs {min_size} or more.", "Add prompts."
            )
        values["ppo.episodes_per_update"] = size
        sentences.append(
            f"ppo.episodes_per_update is {size} in place of {ppo.episodes_per_update}: there are no more prompts."
        )
    longest = max(guess_token_count(prompt.text) for prompt in train)
    if longest > limit:
        values["prompts.max_tokens"] = 2 ** math.ceil(math.log2(1.2 * longest))
        sentences.append(
            f"prompts.max_tokens is {values['prompts.max_tokens']} in place of {limit}: some prompts are long."
        )
    return values, sentences


def _name_for(folder: Path) -> str:
    """The folder's name, with dashes for characters that a run's name may not have."""
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
