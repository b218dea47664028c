"""Freeze a resolved experiment: the config, lock and file copies of its run folder, from what was read before.

Not here: reading prompts and tokenizing them (`resolve`), writing the folder (`store.runs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ppo_cli.experiment import freeze
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import to_yaml
from ppo_cli.experiment.paths import with_paths
from ppo_cli.experiment.schema import Reward
from ppo_cli.experiment.schema_index import MEASURES, TERMS
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.setup.reward_resources import pin_revisions, read_term_files, term_content
from ppo_cli.store.layout import CHAT_TEMPLATE, CONFIG, PROMPT_FILES
from ppo_cli.store.runs import FrozenExperiment

CONTENT_FROM_RESOLVING = ("start_model", "warm_start", "train_set", "eval_set", "rendered")
"""The lock's groups that a resolved experiment can be checked against."""

CONTENT_OF_TERMS = {TERMS: freeze.REWARD_CONTENT, MEASURES: freeze.MEASURE_CONTENT}
"""The lock's groups of files and models, by the group of the config whose items name them."""


def freeze_inputs(resolved: ResolvedExperiment, environment: Mapping[str, str] | None = None) -> FrozenExperiment:
    """Everything that a run folder pins.

    No prompt file is read here: the copies hold the text that the rows were made from.

    Args:
        resolved: the experiment.
        environment: the environment variables that values of its config were taken from, by key path.

    Raises:
        UsageError: a file or model that a reward term or a measure names cannot be read.
    """
    experiment = pin_revisions(resolved.experiment)
    reward_files = read_term_files(experiment)
    prompt_texts = resolved.inputs.file_texts
    copies = {
        **{key: PROMPT_FILES[key] for key in prompt_texts},
        **{key: file.copy for key, file in reward_files.items()},
    }
    in_folder = with_paths(experiment, copies)
    texts = {
        **{PROMPT_FILES[key]: text for key, text in prompt_texts.items()},
        **{file.copy: file.text for file in reward_files.values()},
        CHAT_TEMPLATE: str(resolved.tokenizer.tokenizer.chat_template),
        CONFIG: to_yaml(in_folder),
    }
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    content = {**resolved.content, **_content_groups(term_content(experiment, reward_files))}
    lock = freeze.freeze(in_folder, content, digests, environment)
    return FrozenExperiment(experiment=in_folder, copies=copies, lock=lock, texts=texts)


def verify_against_lock(lock: Lock, resolved: ResolvedExperiment, where: str) -> None:
    """Compares model, tokenizer, template and tokenized prompts with a lock.

    Args:
        lock: of the run.
        resolved: the run's experiment, resolved anew.
        where: the run's name, for messages.

    Raises:
        IntegrityError: names the group that is not what was frozen.
    """
    for name in CONTENT_FROM_RESOLVING:
        if name in lock.groups or name in resolved.content:
            freeze.verify_content(lock, name, dict(resolved.content.get(name, {})), where)


def verify_terms(lock: Lock, resolved: ResolvedExperiment, where: str, *, only_measures: bool = False) -> None:
    """Compares the files and models that reward terms and measures name with a lock.

    Args:
        lock: of the run.
        resolved: the run's experiment, resolved anew.
        where: the run's name, for messages.
        only_measures: for a command that opens no reward.

    Raises:
        IntegrityError: names those that are not what was frozen.
    """
    experiment = resolved.experiment
    if only_measures:
        experiment = experiment.model_copy(update={"reward": Reward()})
    found = _content_groups(term_content(experiment, read_term_files(experiment)))
    for group in (freeze.MEASURE_CONTENT,) if only_measures else CONTENT_OF_TERMS.values():
        if group in found or group in lock.groups:
            freeze.verify_content(lock, group, found.get(group, {}), where)


def _content_groups(content: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """The lock's groups of files and models that terms and measures name, without those that have none."""
    groups = {
        name: {path: digest for path, digest in content.items() if path.startswith(f"{prefix}.")}
        for prefix, name in CONTENT_OF_TERMS.items()
    }
    return {name: own for name, own in groups.items() if own}
