"""Checkpoints: a plain Hugging Face folder of the policy, with the state from which training continues exactly.

    step-000010/   config.json  model.safetensors  tokenizer…       loads with AutoModelForCausalLM
      state/       training.safetensors  training.json              masters, critic, optimizer, KL controller
      checkpoint.json                                               sha256 of every file, written last

Only safetensors and JSON, so opening somebody else's checkpoint runs no code. A checkpoint is written under another
name and then renamed, and renamed again before it is removed: whatever is called step-NNNNNN is complete. It holds
whole tensors, however the model was divided over processes, so that any number of them continues from it.

Not here: when to write one (`training.run_loop`), which one is the best (`training.best_checkpoint`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ppo_cli.engine.sharding import part_of, whole
from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.models.loading import quiet_transformers, writing_weights
from ppo_cli.records.program import command
from ppo_cli.store.files import make_readable, read_json, require_no_link, sync_folder, write_json
from ppo_cli.store.layout import CHECKPOINT_MANIFEST, RunLayout, step_of

MANIFEST = CHECKPOINT_MANIFEST
LEFTOVER = re.compile(r"\.step-\d{6}\.(partial|removed)")
"""Names of folders that a killed process leaves."""
DAMAGED_SUFFIX = ".damaged"
"""Appended to the name of a checkpoint whose files were changed."""


def save_checkpoint(trainer: PolicyTrainer, layout: RunLayout, start: Path, lock: str | None = None) -> Path:
    """Writes the checkpoint of the last update, completely or not at all.

    Args:
        trainer: after an update.
        layout: of the run.
        start: folder of the start model.
        lock: fingerprint of the run's lock.

    Returns:
        The checkpoint's folder.

    Raises:
        DiskFullError: no space is left; earlier checkpoints are unchanged.
        NoPermissionError: the folder may not be written; earlier checkpoints are unchanged.
    """
    target = layout.checkpoint(trainer.updates_done)
    partial = target.with_name(f".{target.name}.partial")
    with writing_weights(target):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _write(trainer, partial, start, {"run": layout.root.name, "lock": lock})
            _remove(target)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # a full disk gets its space back
            raise
        sync_folder(target.parent)
    return target


def gather_for_checkpoint(trainer: PolicyTrainer) -> None:
    """Gives the main process this one's parts of sharded weights, while it runs `save_checkpoint`."""
    with trainer.policy.merged_model():
        pass
    for _ in _state_tensors(trainer):
        pass


def prune_checkpoints(layout: RunLayout, *, keep: int, best: int | None) -> None:
    """Removes all checkpoints but the newest ones and the best, and leftovers of a killed process.

    Args:
        layout: of the run.
        keep: number of the newest ones that stay.
        best: update of the checkpoint that always stays.
    """
    require_no_link(layout.checkpoints)
    for folder in layout.checkpoints.iterdir():
        if LEFTOVER.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)  # it does not follow a link
    for old in list_checkpoints(layout)[:-keep]:
        if step_of(old) != best:
            with suppress(OSError):  # one checkpoint too many is harmless
                _remove(old)


def list_checkpoints(layout: RunLayout) -> list[Path]:
    """Complete checkpoints of a run, oldest first; links are left out."""
    if not layout.checkpoints.is_dir():
        return []
    folders = [folder for folder in layout.checkpoints.iterdir() if not folder.is_symlink()]
    complete = [folder for folder in folders if (folder / MANIFEST).is_file()]
    return sorted((folder for folder in complete if step_of(folder) is not None), key=lambda folder: folder.name)


def newest_intact(layout: RunLayout, lock: str | None = None) -> tuple[Path | None, list[Path]]:
    """The run's newest checkpoint whose files are unchanged, and the renamed folders of newer ones that are not so.

    Checkpoints that are damaged or of another run get another name, so that training can write them again; nothing is
    deleted.

    Args:
        layout: of the run.
        lock: fingerprint of the run's lock.

    Raises:
        IntegrityError: there are checkpoints, and all of them are damaged or of another run.
    """
    damaged: list[tuple[Path, str]] = []
    for folder in reversed(list_checkpoints(layout)):
        try:
            require_checkpoint_of(lock, folder, verify_listed_files(folder))
        except IntegrityError as error:
            damaged.append((folder, error.message))
        else:
            return folder, [_rename_damaged(path) for path, _ in damaged]
    if damaged:
        raise IntegrityError(
            f"{damaged[0][1]} No checkpoint of this run is intact.",
            f"Run the experiment again with `{command('train', 'CONFIG', '--repeat')}`.",
        )
    return None, []


def verify_checkpoint(folder: Path) -> dict[str, Any]:
    """Checks a checkpoint that is to be loaded as a model, and returns its manifest.

    Raises:
        IntegrityError: a file is missing, was changed, or is not listed; transformers would read it unasked.
    """
    manifest = verify_listed_files(folder)
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        is_folder = file.is_dir() and not file.is_symlink()
        if not is_folder and name not in manifest["files"] and name != MANIFEST and not file.name.startswith("."):
            raise IntegrityError(
                f"{file} is not among the files that this checkpoint was written with.",
                "Move that file elsewhere, or use another checkpoint.",
            )
    return manifest


def verify_listed_files(folder: Path) -> dict[str, Any]:
    """Checks the files that a checkpoint was written with, which is all that training reads of it.

    Raises:
        IntegrityError: a file is missing or was changed.
    """
    manifest = read_json(folder / MANIFEST)
    files, next_step = manifest.get("files"), "Use another checkpoint of the run."
    if not isinstance(files, dict):
        raise IntegrityError(f"{folder / MANIFEST} is damaged.", next_step)
    for name, expected in files.items():
        file = folder / name
        if not file.is_file() or sha256_file(file) != expected:
            raise IntegrityError(f"{file} was changed or is missing.", next_step)
    return manifest


def require_checkpoint_of(lock: str | None, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Checks that a checkpoint in a run's folder was written by that run, after the update that its name states.

    Args:
        lock: fingerprint of the run's lock; None where it is not known.
        folder: of the checkpoint.
        manifest: of the checkpoint.

    Raises:
        IntegrityError: it is of another run or update.
    """
    step, update, written_under = step_of(folder), manifest.get("update"), manifest.get("lock")
    if (lock is not None and written_under != lock) or (step is not None and step != update):
        raise IntegrityError(
            f"{folder} is not what its name says: it was written after update {update} of {manifest.get('run')}.",
            "Put the run's own checkpoint back, or copy this one out of the run and name that folder.",
        )


def origin_of(folder: Path) -> dict[str, Any] | None:
    """Run, update and digest of a checkpoint that is used as a start model; None of a model that is no checkpoint.

    Raises:
        IntegrityError: the checkpoint was changed.
    """
    if not (folder / MANIFEST).is_file():
        return None
    manifest = verify_checkpoint(folder)
    return {
        "run": manifest.get("run"),
        "update": manifest.get("update"),
        "sha256": sha256_of({str(name): str(digest) for name, digest in manifest["files"].items()}),
    }


def load_checkpoint(trainer: PolicyTrainer, folder: Path) -> None:
    """Gives a new trainer the state of the checkpoint's trainer: the next update gives the same numbers.

    Args:
        trainer: before its first update.
        folder: of the checkpoint.

    Raises:
        IntegrityError: the checkpoint is damaged, or belongs to a model of other shapes.
    """
    verify_listed_files(folder)
    sharded = trainer.policy.sharded_layers is not None
    device = "cpu" if sharded else str(trainer.inputs.device)  # where only this process's part may fit
    tensors = load_file(folder / "state" / "training.safetensors", device=device)
    state = json.loads((folder / "state" / "training.json").read_text(encoding="utf-8"))
    masters = trainer.adamw.masters()
    if state["masters"] != [list(master.shape) for master in masters]:
        raise IntegrityError(f"{folder} does not fit this model.", "Resume with the run's own config.")
    with torch.no_grad():
        for index, master in enumerate(masters):
            master.copy_(part_of(tensors[f"master.{index}"], master))
            moments = {key.removesuffix(f".{index}"): tensors[key] for key in tensors if key.endswith(f".{index}")}
            if moments.pop("master") is not None and moments:
                trainer.adamw.restore_moments(master, moments)
        trainer.adamw.round_into_weights()
    trainer.kl_coef = state["kl_coef"]
    trainer.term_scales = state.get("term_scales", {})
    trainer.updates_done = state["update"]
    trainer.passes.size.resume_at(state.get("tokens_per_pass"))
    trainer.lr_scheduler.load_state_dict({**trainer.lr_scheduler.state_dict(), **state["schedule"]})
    for group, rate in zip(trainer.adamw.param_groups, state["schedule"]["_last_lr"], strict=True):
        group["lr"] = rate


def _write(trainer: PolicyTrainer, folder: Path, start: Path, of_run: Mapping[str, str | None]) -> None:
    """Writes a checkpoint's files; all are synced to disk before the manifest with their digests is written."""
    (folder / "state").mkdir(parents=True)
    with quiet_transformers():
        trainer.policy.save(folder, start)
    _write_state(trainer, folder / "state")
    make_readable(folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    sync_folder(folder / "state")
    write_json(
        folder / MANIFEST,
        {
            **of_run,
            "update": trainer.updates_done,
            "files": {file.relative_to(folder).as_posix(): sha256_file(file) for file in files},
        },
    )


def _remove(checkpoint: Path) -> None:
    """Renames a checkpoint, if it exists, and then removes its files."""
    if checkpoint.exists():
        removed = checkpoint.with_name(f".{checkpoint.name}.removed")
        shutil.rmtree(removed, ignore_errors=True)
        checkpoint.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def _rename_damaged(checkpoint: Path) -> Path:
    damaged = checkpoint.with_name(f"{checkpoint.name}{DAMAGED_SUFFIX}")
    shutil.rmtree(damaged, ignore_errors=True)
    return checkpoint.rename(damaged)


def _write_state(trainer: PolicyTrainer, folder: Path) -> None:
    sharded = trainer.policy.sharded_layers is not None
    tensors = {name: value.cpu() if sharded else value for name, value in _state_tensors(trainer)}
    save_file(tensors, folder / "training.safetensors")
    schedule = trainer.lr_scheduler.state_dict()
    write_json(
        folder / "training.json",
        {
            "update": trainer.updates_done,
            "kl_coef": trainer.kl_coef,
            "tokens_per_pass": trainer.passes.size.tokens,
            **({"term_scales": trainer.term_scales} if trainer.term_scales else {}),
            "schedule": {name: schedule[name] for name in ("last_epoch", "_step_count", "_last_lr")},
            "masters": [list(master.shape) for master in trainer.adamw.masters()],
        },
    )


def _state_tensors(trainer: PolicyTrainer) -> Iterator[tuple[str, torch.Tensor]]:
    """The names and whole values of masters and optimizer state; of sharded ones all processes ask together."""
    for index, master in enumerate(trainer.adamw.masters()):
        yield f"master.{index}", whole(master.detach()).contiguous()
        for name, value in trainer.adamw.moments(master).items():
            yield f"{name}.{index}", whole(value).contiguous()
