"""Finds a model by its name: the built-in one, a Hugging Face id pinned to a commit, or a folder.

The result is always a local folder of plain Hugging Face files with safetensors weights; other weight formats can run
code when they are read.

Not here: reading the weights (`loading`), making the built-in model (`builtin`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ppo_cli.errors import ModelError, ModelUnreachableError
from ppo_cli.models import builtin
from ppo_cli.models.adapter import holds_only_an_adapter, merged_adapter
from ppo_cli.models.folder_checks import require_ordinary_files
from ppo_cli.records.events import EventHandler, Phase, ignore_events

BUILTIN_PREFIX = "builtin:"
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken"]


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model as a folder on this machine, and where it comes from."""

    folder: Path
    start: str
    """As written in the config."""
    revision: str | None
    """Commit of a Hugging Face model; None for the built-in one and for folders."""


def resolve(
    start: str, revision: str | None = None, *, trust_remote_code: bool = False, on_event: EventHandler = ignore_events
) -> ModelSource:
    """Finds a model, fetching it if it is not on this machine.

    Args:
        start: builtin:NAME, a folder, or a Hugging Face id.
        revision: branch, tag or commit of a Hugging Face model; None takes the newest commit.
        trust_remote_code: fetches the model's own code too.
        on_event: called with progress.

    Raises:
        ModelError: unknown name, no network, no such revision, or no safetensors.
    """
    if start.startswith(BUILTIN_PREFIX):
        name = start.removeprefix(BUILTIN_PREFIX)
        if name != builtin.NAME:
            raise ModelError(f"model.start: no built-in model '{name}'.", f"There is {BUILTIN_PREFIX}{builtin.NAME}.")
        return ModelSource(folder=builtin.builtin_folder(on_event), start=start, revision=None)
    if Path(start).is_dir():
        return _checked(ModelSource(folder=Path(start), start=start, revision=None), on_event)
    if Path(start).is_file():
        raise ModelError(f"{start} is a file, not a model folder.", "Name the folder that holds it.")
    if start.startswith(("/", ".", "~")):
        raise ModelError(f"model.start: no such folder {start}.", "Check the path.")
    if not HUB_ID.fullmatch(start):
        raise ModelError(
            f"model.start: '{start}' is neither builtin:NAME, a folder, nor a Hugging Face id.",
            f"Try {BUILTIN_PREFIX}{builtin.NAME}.",
        )
    on_event(Phase(name=f"fetching {start}"))
    return _checked(_from_hub(start, revision, trust_remote_code), on_event)


def _from_hub(start: str, revision: str | None, trust_remote_code: bool) -> ModelSource:
    import huggingface_hub
    from huggingface_hub import errors

    patterns = [*HUB_FILES, "*.py"] if trust_remote_code else HUB_FILES
    try:
        huggingface_hub.HfApi().model_info(start, revision=revision)  # names what is wrong better than a download
        # By the name of the branch, so that the hub's cache remembers which commit it was when there is no network.
        folder = Path(huggingface_hub.snapshot_download(start, revision=revision, allow_patterns=patterns))
    except errors.GatedRepoError:
        raise ModelError(
            f"model.start: {start} can be fetched only after its terms are accepted.",
            "Accept them on its page, then run `hf auth login`.",
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelError(f"model.revision: {start} has no revision {revision}.", "Check its commits.") from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"model.start: the Hugging Face hub has no model '{start}'.", "Check the id, or name a folder."
        ) from None
    except Exception as no_network:  # noqa: BLE001 - the hub's client raises the errors of whatever sends its requests
        return _from_hub_cache(start, revision, no_network)
    return ModelSource(folder=folder, start=start, revision=folder.name)


def _from_hub_cache(start: str, revision: str | None, no_network: Exception) -> ModelSource:
    """Without a network: the copy that an earlier run fetched, if there is one."""
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(start, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        raise ModelUnreachableError(
            f"model.start: {start} is not on this machine and the Hugging Face hub does not answer.",
            f"Check the network, or use a folder or {BUILTIN_PREFIX}{builtin.NAME}.",
        ) from no_network
    return ModelSource(folder=folder, start=start, revision=folder.name)


def _checked(source: ModelSource, on_event: EventHandler) -> ModelSource:
    folder = source.folder
    require_ordinary_files(folder)
    if holds_only_an_adapter(folder):
        merged = merged_adapter(
            folder, lambda base, revision: resolve(base, revision, on_event=on_event).folder, on_event
        )
        return replace(source, folder=merged)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{source.start} is not a model folder: it has no config.json.", "Check the path.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{source.start} has no .safetensors weights, and other formats can run code when read.",
            "Convert it with `save_pretrained(…)` in a place you trust.",
        )
    return source
