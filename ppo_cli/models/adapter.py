"""A folder that holds only a LoRA adapter: merged into the model that it names, once, in the cache.

Not here: adapters that PPO trains (`engine.lora`, `engine.policy`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ppo_cli.errors import ModelError
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.models.cache_dir import cached
from ppo_cli.models.cached_folder import verify_manifest, write_manifest
from ppo_cli.models.folder_checks import CONFIG, require_fetched
from ppo_cli.records.events import EventHandler, Phase

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MANIFEST = "merged-adapter-manifest.json"
MERGE_VERSION = 1
"""Raised whenever merging writes other bytes; it is part of the cache key."""
MERGE_IT = "Merge it into its base model with PEFT's `merge_and_unload()`, save that model, and name its folder."


def holds_only_an_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no model.

    Raises:
        ModelError: an adapter lies beside weights of a model, so that it is not clear which of them is meant.
    """
    if not any((folder / name).is_file() for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)):
        return False
    if (folder / CONFIG).is_file() and any(file.name != ADAPTER_WEIGHTS for file in folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} holds an adapter beside the weights of a model, and it is not clear which of them is meant.",
            "Move the adapter's files to another folder, or merge them into the weights.",
        )
    return True


def merged_adapter(folder: Path, find_base: Callable[[str, str | None], Path], on_event: EventHandler) -> Path:
    """The folder of the base model with the adapter merged into it, made the first time.

    Args:
        folder: of the adapter.
        find_base: gives the folder of a model by name and revision.
        on_event: called with progress.

    Raises:
        ModelError: the adapter names no base model, its base is not there, or the two do not fit.
        IntegrityError: the cached result was changed.
    """
    base, revision = _named_base(folder)
    if _is_of_classifier(folder):
        raise ModelError(f"{folder} is no model but a LoRA adapter of a classifier or reward model.", MERGE_IT)
    what = f"{folder} is no model but a LoRA adapter of {base or 'an unnamed base model'}"
    if not base:
        raise ModelError(f"{what}.", MERGE_IT)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(f"{what}, and {ADAPTER_WEIGHTS} is missing.", "Copy the whole folder.")
    require_fetched(folder / ADAPTER_WEIGHTS)
    try:
        base_folder = find_base(base, revision)
    except ModelError as error:
        raise ModelError(f"{what}, and that cannot be used: {error.message.rstrip('.')}.", MERGE_IT) from None
    files = [
        folder / ADAPTER_CONFIG,
        folder / ADAPTER_WEIGHTS,
        base_folder / CONFIG,
        *base_folder.glob("*.safetensors"),
    ]
    key = sha256_of({"version": MERGE_VERSION, "files": [[file.name, sha256_file(file)] for file in sorted(files)]})
    target = cached("merged-adapters", key[:16])
    if not target.exists():
        on_event(Phase(name=f"merging the adapter {folder.name} into {base}"))
        _merge_into(target, folder, base_folder, what)
    verify_manifest(target, MANIFEST, "merged adapter")
    return target


def _named_base(folder: Path) -> tuple[str | None, str | None]:
    """Name and revision of the base model in adapter_config.json."""
    file = folder / ADAPTER_CONFIG
    try:
        values: Any = json.loads(file.read_bytes())
        base, revision = values.get("base_model_name_or_path"), values.get("revision")
    except (OSError, ValueError, AttributeError, RecursionError):
        raise ModelError(f"{folder} holds an adapter, and its {ADAPTER_CONFIG} cannot be read.", MERGE_IT) from None
    if isinstance(base, str) and not Path(base).is_absolute() and (folder / base).is_dir() and base.startswith("."):
        base = str(folder / base)
    return (base if isinstance(base, str) else None), (revision if isinstance(revision, str) else None)


def _is_of_classifier(folder: Path) -> bool:
    return bool(json.loads((folder / ADAPTER_CONFIG).read_bytes()).get("task_type") == "SEQ_CLS")


def _merge_into(target: Path, adapter: Path, base: Path, what: str) -> None:
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    from ppo_cli.models.loading import export_support_files, quiet_transformers, read_weights, writing_weights

    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        writing_weights(target),
        quiet_transformers(),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".adapter-", ignore_cleanup_errors=True) as work,
    ):
        model = read_weights(base, "auto")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PEFT only warns of weights that do not fit; they are compared below
                adapted = PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
                with safe_open(adapter / ADAPTER_WEIGHTS, framework="pt") as tensors:
                    differing = set(tensors.keys()) ^ set(get_peft_model_state_dict(adapted))
            merged = adapted.merge_and_unload(safe_merge=True)
        except Exception as error:  # noqa: BLE001 - PEFT raises whatever a broken adapter leads to
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(f"{what}, and does not fit it: {lines[0].rstrip('.')}.", MERGE_IT) from None
        if differing:
            raise ModelError(f"{what}, and does not fit it: {min(differing)} has no counterpart.", MERGE_IT)
        folder = Path(work) / "model"
        merged.save_pretrained(folder, max_shard_size="100GB")
        export_support_files(base, folder)
        export_support_files(adapter, folder)
        write_manifest(folder, MANIFEST)
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():  # else another process has made the same folder meanwhile
                raise
            shutil.rmtree(folder, ignore_errors=True)
