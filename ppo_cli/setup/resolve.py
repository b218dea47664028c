"""Resolve an experiment: read and check its prompts, find the start model, tokenize the prompts, hash all of it.

Every file is read once and every prompt tokenized once per command; whoever needs rows, texts or token ids takes them
from here.

Not here: the run folder's copies and freeze lock (`freeze_inputs`), loading the model (`start_model`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.behaviours.label_answers import RULES
from ppo_cli.behaviours.measures import require_primary
from ppo_cli.errors import ConfigError, PromptError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.open_model import OpenModel
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.prompts.leakage import Overlap, overlaps
from ppo_cli.prompts.prompt_files import read_prompt_file, require_different
from ppo_cli.records.answers import Prompt
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.rewards.own_measures import OwnMeasures
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.scorer import InstructModel
from ppo_cli.setup.reward_resources import build_measures, build_reward, needs_no_resources
from ppo_cli.setup.tokenized_prompts import TokenizedPrompts
from ppo_cli.store.checkpoint_names import start_checkpoint

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer
    from ppo_cli.models.model_source import ModelSource


@dataclass(frozen=True, kw_only=True)
class ExperimentInputs:
    """What a config names, read and checked, without any model."""

    experiment: Experiment
    train: list[Prompt]
    evaluation: list[Prompt]
    sft: list[Prompt]
    """Empty when there is no warm start."""
    file_texts: Mapping[str, str]
    """The text of each prompt file as it was read, by the config key that names the file."""
    reward: CompositeReward
    measures: OwnMeasures
    """Those that the config names."""
    overlaps: list[Overlap]
    """Evaluation prompts that the policy may have learnt from."""
    notices: tuple[str, ...] = ()
    """What was guessed, put together or left out of the prompt files, and which checkpoint is the start model."""

    @property
    def prompts_by_key(self) -> dict[str, list[Prompt]]:
        """The prompts by the config key that names their file."""
        return {"prompts.train": self.train, "prompts.eval": self.evaluation, "model.warm_start": self.sft}


@dataclass(frozen=True, kw_only=True)
class ResolvedExperiment:
    """An experiment with its inputs, the start model's folder, and the token ids of its prompts."""

    inputs: ExperimentInputs
    model_source: ModelSource
    tokenizer: ChatTokenizer
    model_digests: dict[str, Any]
    """Of the start model's weights, config.json and tokenizer files, with its chat template."""
    started_from: Mapping[str, Any] | None
    """Run, update and digest of the checkpoint that is the start model; None of another model."""
    train: TokenizedPrompts
    evaluation: TokenizedPrompts
    content: Mapping[str, Mapping[str, Any]]
    """The values of the lock's content groups."""

    @property
    def experiment(self) -> Experiment:
        """The settings, with the start model's revision pinned."""
        return self.inputs.experiment

    def with_experiment(self, experiment: Experiment) -> ResolvedExperiment:
        """The same inputs under settings that name the same files, model and prompts."""
        return replace(self, inputs=replace(self.inputs, experiment=experiment))


def read_inputs(experiment: Experiment, runs_dir: str | Path | None = None) -> ExperimentInputs:
    """Reads the prompt files, finds a start model that names a run, and checks what needs no model.

    Fast, imports no torch.

    Args:
        experiment: as loaded.
        runs_dir: folder of run folders, in place of the config's.

    Raises:
        PromptError: a prompt file cannot be used.
        ConfigError: an unknown reward term or measure.
        UsageError: the start model names a checkpoint that a run does not have.
    """
    start = start_checkpoint(experiment.model.start, Path(runs_dir or experiment.output))
    notices = [f"model.start: {experiment.model.start} is {start}."] if start != experiment.model.start else []
    experiment = with_start(experiment, start)
    require_primary(experiment)
    if experiment.evaluation.primary == "reward.absolute" and not needs_no_resources(experiment.reward):
        raise ConfigError(
            "evaluation.primary: reward.absolute is not known where a term runs code, a pattern, a model or a service, "
            "or is normalised.",
            "Name that term under evaluation.measures too, and take own.NAME.",
        )
    reward = build_reward(experiment)
    train = read_prompt_file(Path(experiment.prompts.train), need_answers=experiment.reward.baseline == "written")
    reward.context.prompts = train.prompts
    evaluation = read_prompt_file(Path(experiment.prompts.eval))
    require_different(evaluation.prompts, experiment.prompts.eval)
    files = {experiment.prompts.train: train, experiment.prompts.eval: evaluation}
    texts = {"prompts.train": train.text, "prompts.eval": evaluation.text}
    needed = experiment.ppo.prompts_per_update
    if len(train.prompts) < needed:
        notices.append(
            f"ppo.episodes_per_update: an update answers {needed} prompts and {experiment.prompts.train} holds "
            f"{len(train.prompts)}, so it takes prompts more than once."
        )
    sft: list[Prompt] = []
    if experiment.model.warm_start:
        examples = read_prompt_file(Path(experiment.model.warm_start), need_answers=True)
        sft, texts["model.warm_start"] = examples.prompts, examples.text
        files[experiment.model.warm_start] = examples
    return ExperimentInputs(
        experiment=experiment,
        train=train.prompts,
        evaluation=evaluation.prompts,
        sft=sft,
        file_texts=texts,
        reward=reward,
        measures=build_measures(experiment),
        overlaps=overlaps(evaluation.prompts, [*train.prompts, *sft]),
        notices=(*notices, *(f"{path}: {notice}" for path, file in files.items() for notice in file.notices)),
    )


def with_start(experiment: Experiment, start: str) -> Experiment:
    """The same experiment with its start model in another place."""
    return experiment.model_copy(update={"model": experiment.model.model_copy(update={"start": start})})


def require_trackers(experiment: Experiment) -> None:
    """Checks that the trackers and the optional packages are installed, for a command that is about to train.

    Raises:
        UsageError: with the command that installs the one that is missing.
    """
    if experiment.tracking:
        from ppo_cli.engine.tracking import require_installed

        require_installed(experiment.tracking)
    for key, value in (("model.load_in", experiment.model.load_in), ("ppo.optimizer", experiment.ppo.optimizer)):
        if value not in (None, "adamw"):
            from ppo_cli.models.quantised import require_bitsandbytes

            require_bitsandbytes(key, str(value))


def resolve_experiment(inputs: ExperimentInputs, on_event: EventHandler) -> ResolvedExperiment:
    """Finds the start model, tokenizes every prompt and takes the digests of all content.

    Raises:
        ModelError: the model or its tokenizer cannot be used.
        PromptError: a tokenized prompt is longer than prompts.max_tokens, or too long for the model.
        IntegrityError: the start model is a checkpoint that was changed.
    """
    from ppo_cli.engine.checkpoints import origin_of
    from ppo_cli.models import loading, model_source
    from ppo_cli.models.model_digests import model_digests

    for notice in inputs.notices:
        on_event(Notice(text=notice))
    model = inputs.experiment.model
    source = model_source.resolve(
        model.start, model.revision, trust_remote_code=model.trust_remote_code, on_event=on_event
    )
    pinned_model = model.model_copy(update={"revision": source.revision})
    pinned = inputs.experiment.model_copy(update={"model": pinned_model})
    tokenizer = loading.load_tokenizer(
        source.folder, system_prompt=model.system_prompt, trust_remote_code=model.trust_remote_code
    )
    limit = pinned.prompts.max_tokens
    train = tokenize_prompts(tokenizer, inputs.train, Path(pinned.prompts.train), limit)
    evaluation = tokenize_prompts(tokenizer, inputs.evaluation, Path(pinned.prompts.eval), limit)
    _require_positions(source.folder, train, evaluation, pinned)
    digests = model_digests(source.folder, tokenizer, trust_remote_code=model.trust_remote_code)
    content: dict[str, dict[str, Any]] = {
        "start_model": {
            "system_prompt": model.system_prompt,
            "dtype": model.dtype,
            **freeze.attention_of(model),
            **({"load_in": model.load_in} if model.load_in else {}),
            **digests,
            "chat_template": f"sha256:{sha256_of(digests['chat_template'])}",
        },
        "rendered": freeze.digest_token_ids({"train": train.token_ids, "eval": evaluation.token_ids}),
        "behaviours": dict(RULES),
        **prompt_content(inputs),
    }
    context = inputs.reward.context
    context.instruct_model = InstructModel(_loaded_once(source.folder, tokenizer, pinned), tokenizer)
    context.token_ids = dict(train)
    return ResolvedExperiment(
        inputs=replace(inputs, experiment=pinned),
        model_source=source,
        tokenizer=tokenizer,
        model_digests=digests,
        started_from=origin_of(source.folder),
        train=train,
        evaluation=evaluation,
        content=content,
    )


def _loaded_once(folder: Path, tokenizer: ChatTokenizer, experiment: Experiment) -> OpenModel:
    """Opens the model in a folder, which is loaded the first time."""

    @functools.cache
    def loaded() -> Any:  # noqa: ANN401 - a transformers causal language model
        from ppo_cli.models import loading
        from ppo_cli.models.attention import with_attention
        from ppo_cli.models.device import choose_device, choose_dtype

        device = choose_device(experiment.device)
        dtype = choose_dtype(experiment.model.dtype, device)
        trusted = experiment.model.trust_remote_code
        load_in = experiment.model.load_in
        model = loading.load_model(folder, tokenizer, device, dtype, trust_remote_code=trusted, load_in=load_in)
        return with_attention(model, experiment.model.attn_implementation, device)

    return lambda: nullcontext(loaded())


def prompt_content(inputs: ExperimentInputs) -> dict[str, dict[str, Any]]:
    """The values of the lock's groups of prompt rows."""
    content = {"train_set": _row_digests(inputs.train), "eval_set": _row_digests(inputs.evaluation)}
    if inputs.sft:
        content["warm_start"] = {**_row_digests(inputs.sft), **inputs.experiment.model.sft.model_dump()}
    return content


def tokenize_prompts(tokenizer: ChatTokenizer, prompts: Sequence[Prompt], path: Path, limit: int) -> TokenizedPrompts:
    """The prompts with their token ids, chat template applied, none longer than the limit.

    Args:
        tokenizer: of the model that reads them.
        prompts: in the order of their file.
        path: their file, for messages.
        limit: tokens per prompt.

    Raises:
        PromptError: names the prompt that is too long.
    """
    token_ids = []
    for prompt in prompts:
        ids = tokenizer.render(prompt.chat)
        if len(ids) > limit:
            raise PromptError(
                f"{path}: prompt '{prompt.id}' is {len(ids)} tokens long, over prompts.max_tokens = {limit}.",
                "Shorten it, or raise the limit.",
            )
        token_ids.append(ids)
    return TokenizedPrompts(prompts, token_ids)


def _require_positions(
    folder: Path, train: TokenizedPrompts, evaluation: TokenizedPrompts, experiment: Experiment
) -> None:
    """Checks that the model has a position for every token of a prompt and its answer.

    Raises:
        PromptError: names the prompt that is too long for it.
    """
    positions = _max_positions(folder)
    if positions is None:
        return
    for name, section, prompts, answer_tokens in (
        ("train", "rollout", train, experiment.rollout.max_new_tokens),
        ("eval", "evaluation", evaluation, experiment.evaluation.max_new_tokens),
    ):
        for prompt, ids in prompts:
            if len(ids) + answer_tokens > positions:
                raise PromptError(
                    f"{name} prompt '{prompt.id}' is {len(ids)} tokens long and its answer up to {answer_tokens}, "
                    f"but the model reads at most {positions}.",
                    f"Shorten it, or lower {section}.max_new_tokens.",
                )


def _max_positions(folder: Path) -> int | None:
    """The longest text that a model was made for, in tokens, where its config.json states it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stated = config.get("text_config", config)
        return int(stated.get("max_position_embeddings") or stated["n_positions"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _row_digests(prompts: Sequence[Prompt]) -> dict[str, Any]:
    return {"rows": len(prompts), "rows_sha256": freeze.digest_rows([as_row(prompt) for prompt in prompts])}
