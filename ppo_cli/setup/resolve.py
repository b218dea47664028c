"""The ground that every command stands on: prompts read and checked, model found, prompts rendered, all digested.

Not here: what a command then does with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.behaviours.label_answers import RULES
from ppo_cli.behaviours.measures import require_measure
from ppo_cli.errors import ConfigError, PromptError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import to_yaml
from ppo_cli.experiment.paths import with_paths
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.jsonl import as_row, read_prompts
from ppo_cli.prompts.leakage import Overlap, overlaps
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.setup.reward_resources import build_reward, pin_revisions, read_text, reward_content, reward_files

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer
    from ppo_cli.models.model_source import ModelSource

INPUTS = {
    "prompts.train": "inputs/train.jsonl",
    "prompts.eval": "inputs/eval.jsonl",
    "model.warm_start": "inputs/sft.jsonl",
}
"""Where the files that a path key names are copied to in a run folder."""

TEMPLATE = "inputs/chat_template.jinja"
CONFIG = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class ExperimentInputs:
    """What a config names, read and checked, without any model."""

    experiment: Experiment
    train: list[Prompt]
    evaluation: list[Prompt]
    sft: list[Prompt]
    """Empty when there is no warm start."""
    reward: CompositeReward
    overlaps: list[Overlap]
    """Evaluation prompts that the policy may have learnt from."""


@dataclass(frozen=True, kw_only=True)
class ResolvedExperiment:
    """Inputs, with the start model's folder and the prompts as it sees them."""

    inputs: ExperimentInputs
    model_source: ModelSource
    tokenizer: ChatTokenizer
    content: Mapping[str, Mapping[str, Any]]
    """The values of the lock's content groups."""

    @property
    def experiment(self) -> Experiment:
        return self.inputs.experiment


def read_inputs(experiment: Experiment) -> ExperimentInputs:
    """Reads the prompt files and checks what needs no model. Fast, imports no torch.

    Raises:
        PromptError: a prompt file cannot be used.
        ConfigError: an unknown term or measure, or fewer prompts than an update needs.
    """
    require_measure(experiment.evaluation.primary)
    reward = build_reward(experiment)
    train = read_prompts(Path(experiment.prompts.train), need_answers=experiment.reward.baseline == "written")
    evaluation = read_prompts(Path(experiment.prompts.eval))
    warm_start = experiment.model.warm_start
    sft = read_prompts(Path(warm_start), need_answers=True) if warm_start else []
    needed = experiment.ppo.episodes_per_update
    if len(train) < needed:
        raise ConfigError(
            f"ppo.episodes_per_update: {needed}, but {experiment.prompts.train} holds only {len(train)} prompts.",
            "Add prompts, or lower it.",
        )
    return ExperimentInputs(
        experiment=experiment,
        train=train,
        evaluation=evaluation,
        sft=sft,
        reward=reward,
        overlaps=overlaps(evaluation, [*train, *sft]),
    )


def require_trackers(experiment: Experiment) -> None:
    """Checks that the trackers are installed, for whoever is about to train.

    Raises:
        UsageError: with the command that installs the one that is missing.
    """
    if experiment.tracking:
        from ppo_cli.engine.tracking import require_installed

        require_installed(experiment.tracking)


def resolve_experiment(inputs: ExperimentInputs, on_event: EventHandler) -> ResolvedExperiment:
    """Finds the start model, renders every prompt and takes the digests of all content.

    Raises:
        ModelError: the model or its tokenizer cannot be used.
        PromptError: a rendered prompt is longer than prompts.max_tokens.
    """
    from ppo_cli.models import loading, model_source

    model = inputs.experiment.model
    source = model_source.resolve(
        model.start, model.revision, trust_remote_code=model.trust_remote_code, on_event=on_event
    )
    pinned_model = model.model_copy(update={"revision": source.revision})
    pinned = inputs.experiment.model_copy(update={"model": pinned_model})
    tokenizer = loading.load_tokenizer(
        source.folder, system_prompt=model.system_prompt, trust_remote_code=model.trust_remote_code
    )
    rendered = {
        "train": tokenize_prompts(tokenizer, inputs.train, Path(pinned.prompts.train), pinned.prompts.max_tokens),
        "eval": tokenize_prompts(tokenizer, inputs.evaluation, Path(pinned.prompts.eval), pinned.prompts.max_tokens),
    }
    _require_positions(source.folder, rendered, inputs)
    content: dict[str, dict[str, Any]] = {
        "start_model": {
            "start": model.start if model.start.startswith("builtin:") or source.revision else source.folder.name,
            "revision": source.revision,
            "system_prompt": model.system_prompt,
            "dtype": model.dtype,
            **_short(loading.model_digests(source.folder, tokenizer)),
        },
        "rendered": freeze.digest_token_ids(rendered),
        "behaviours": dict(RULES),
        **prompt_content(inputs),
    }
    return ResolvedExperiment(
        inputs=replace(inputs, experiment=pinned), model_source=source, tokenizer=tokenizer, content=content
    )


def prompt_content(inputs: ExperimentInputs) -> dict[str, dict[str, Any]]:
    """The values of the lock's groups of prompt rows."""
    content = {"train_set": _rows(inputs.train), "eval_set": _rows(inputs.evaluation)}
    if inputs.sft:
        content["warm_start"] = {**_rows(inputs.sft), **inputs.experiment.model.sft.model_dump()}
    return content


def tokenize_prompts(tokenizer: ChatTokenizer, prompts: Sequence[Prompt], path: Path, limit: int) -> list[list[int]]:
    """Token ids of every prompt, none longer than the limit.

    Raises:
        PromptError: names the prompt that is too long.
    """
    rendered = []
    for prompt in prompts:
        ids = tokenizer.render(prompt.text)
        if len(ids) > limit:
            raise PromptError(
                f"{path}: prompt '{prompt.id}' is {len(ids)} tokens long, over prompts.max_tokens = {limit}.",
                "Shorten it, or raise the limit.",
            )
        rendered.append(ids)
    return rendered


def _require_positions(folder: Path, rendered: Mapping[str, Sequence[Sequence[int]]], inputs: ExperimentInputs) -> None:
    """Checks that the model has a place for every token of a prompt and its answer.

    Raises:
        PromptError: names the prompt that is too long for it.
    """
    reach = _max_positions(folder)
    asked = {
        "train": (inputs.train, inputs.experiment.rollout.max_new_tokens, "rollout"),
        "eval": (inputs.evaluation, inputs.experiment.evaluation.max_new_tokens, "evaluation"),
    }
    for name, (prompts, answer, section) in asked.items():
        for prompt, ids in zip(prompts, rendered[name], strict=True):
            if reach is not None and len(ids) + answer > reach:
                raise PromptError(
                    f"{name} prompt '{prompt.id}' is {len(ids)} tokens long and its answer up to {answer}, "
                    f"but the model reads at most {reach}.",
                    f"Shorten it, or lower {section}.max_new_tokens.",
                )


def _max_positions(folder: Path) -> int | None:
    """The longest text that a model was made for, in tokens, where its config says so."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stated = config.get("text_config", config)
        return int(stated.get("max_position_embeddings") or stated["n_positions"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def freeze_inputs(resolved: ResolvedExperiment) -> tuple[Experiment, Lock, dict[str, str]]:
    """What goes into a run folder: the config, the lock, and the text of every pinned file by its path."""
    experiment = pin_revisions(resolved.experiment)
    paths = {"prompts.train": experiment.prompts.train, "prompts.eval": experiment.prompts.eval}
    if experiment.model.warm_start:
        paths["model.warm_start"] = experiment.model.warm_start
    of_reward = reward_files(experiment)
    copies = {key: INPUTS[key] for key in paths} | {key: copy for key, (copy, _) in of_reward.items()}
    inside = with_paths(experiment, copies)
    texts = {INPUTS[key]: Path(path).read_text(encoding="utf-8-sig") for key, path in paths.items()}
    texts |= {copy: read_text(key, file) for key, (copy, file) in of_reward.items()}
    texts[TEMPLATE] = str(resolved.tokenizer.tokenizer.chat_template)
    texts[CONFIG] = to_yaml(inside)
    files = {name: _sha256(text) for name, text in texts.items()}
    return inside, freeze.freeze(inside, {**resolved.content, **_of_reward(experiment)}, files), texts


def verify_reward(lock: Lock, resolved: ResolvedExperiment, where: str) -> None:
    """Compares the files and models that reward terms name with a lock.

    Raises:
        IntegrityError: names those that are not what was frozen.
    """
    content = _of_reward(resolved.experiment)
    if content or freeze.REWARD_CONTENT in lock.groups:
        freeze.verify_content(lock, freeze.REWARD_CONTENT, content.get(freeze.REWARD_CONTENT, {}), where)


def verify_against_lock(lock: Lock, resolved: ResolvedExperiment, where: str) -> None:
    """Compares model, tokenizer, template and rendered prompts with a lock.

    Raises:
        IntegrityError: names the group that is not what was frozen.
    """
    for name in ("start_model", "warm_start", "train_set", "eval_set", "rendered"):
        if name in lock.groups or name in resolved.content:
            freeze.verify_content(lock, name, resolved.content.get(name, {}), where)


def _of_reward(experiment: Experiment) -> dict[str, Mapping[str, Any]]:
    content = reward_content(experiment)
    return {freeze.REWARD_CONTENT: content} if content else {}


def _rows(prompts: Sequence[Prompt]) -> dict[str, Any]:
    return {"rows": len(prompts), "rows_sha256": freeze.digest_rows([as_row(prompt) for prompt in prompts])}


def _short(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {**identity, "chat_template": f"sha256:{sha256_of(identity['chat_template'])}"}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
