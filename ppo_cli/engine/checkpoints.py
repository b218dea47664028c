"""Checkpoints: a plain Hugging Face folder of the policy, and the state from which training continues exactly.

    step-000010/   config.json  model.safetensors  tokenizer…       loads with AutoModelForCausalLM
      state/       training.safetensors  training.json              masters, critic, optimizer, KL controller
      checkpoint.json                                               sha256 of every file, written last

Only safetensors and JSON, so opening somebody else's checkpoint runs no code. A checkpoint is written beside its
place and renamed into it, and renamed out of it before it is removed: what has the name is whole.

Not here: when to write one, which one is the best.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ppo_cli.engine.trainer import PolicyTrainer
from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.models.loading import quiet_transformers, writing_weights
from ppo_cli.store.files import read_json, sync_folder, write_json
from ppo_cli.store.layout import RunLayout, step_of

MANIFEST = "checkpoint.json"
DAMAGED = ".damaged"
"""Ending of the name of a checkpoint that is none any more."""
ADAM_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_checkpoint(trainer: PolicyTrainer, layout: RunLayout, start: Path) -> Path:
    """Writes the checkpoint of the last update done: all of it or nothing.

    Args:
        trainer: after an update.
        layout: of the run.
        start: folder of the start model.

    Raises:
        DiskFull: no space is left; the checkpoints before are as they were.
        NoPermission: the folder may not be written; the checkpoints before are as they were.
    """
    target = layout.checkpoint(trainer.updates_done)
    partial = target.with_name(f".{target.name}.partial")
    with writing_weights(target):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _write(trainer, layout, start, partial)
            _remove(target)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # a full disk gets its space back
            raise
        sync_folder(target.parent)
    return target


def prune_checkpoints(layout: RunLayout, *, keep: int, best: int | None) -> None:
    """Removes all checkpoints but the newest ones and the best, and what a kill left half done.

    Args:
        layout: of the run.
        keep: how many of the newest stay.
        best: update of the checkpoint that stays whatever its age.
    """
    for torn in layout.checkpoints.glob(".step-*"):
        shutil.rmtree(torn, ignore_errors=True)
    for old in list_checkpoints(layout)[:-keep]:
        if step_of(old) != best:
            with suppress(OSError):  # one too many does no harm
                _remove(old)


def list_checkpoints(layout: RunLayout) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    if not layout.checkpoints.is_dir():
        return []
    found = [folder for folder in layout.checkpoints.iterdir() if (folder / MANIFEST).is_file()]
    return sorted((folder for folder in found if step_of(folder) is not None), key=lambda folder: folder.name)


def newest_intact(layout: RunLayout) -> tuple[Path | None, list[Path]]:
    """The newest checkpoint whose files are all as they were written, and the newer ones, which are not.

    The damaged ones lose their name, so that training can write them again; nothing of them is deleted.

    Raises:
        IntegrityError: there are checkpoints, and all of them are damaged.
    """
    damaged: list[tuple[Path, str]] = []
    for folder in reversed(list_checkpoints(layout)):
        try:
            verify_checkpoint(folder)
        except IntegrityError as error:
            damaged.append((folder, error.message))
        else:
            return folder, [_set_aside(each) for each, _ in damaged]
    if damaged:
        raise IntegrityError(
            f"{damaged[0][1]} No checkpoint of this run is whole.", "Run the experiment anew with `ppo train --again`."
        )
    return None, []


def verify_checkpoint(folder: Path) -> dict[str, Any]:
    """Checks every file against the manifest and returns the manifest.

    Raises:
        IntegrityError: a file is missing or was changed.
    """
    manifest = read_json(folder / MANIFEST)
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file() or sha256_file(file) != expected:
            raise IntegrityError(f"{file} was changed or is missing.", "Use another checkpoint of the run.")
    return manifest


def load_checkpoint(trainer: PolicyTrainer, folder: Path) -> None:
    """Puts a fresh trainer where the checkpoint's trainer was: the next update gives the same numbers.

    Raises:
        IntegrityError: the checkpoint is damaged or belongs to another shape of model.
    """
    verify_checkpoint(folder)
    tensors = load_file(folder / "state" / "training.safetensors", device=str(trainer.materials.device))
    state = json.loads((folder / "state" / "training.json").read_text(encoding="utf-8"))
    masters = trainer.adamw.masters()
    if state["masters"] != [list(master.shape) for master in masters]:
        raise IntegrityError(f"{folder} does not fit this model.", "Resume with the run's own config.")
    with torch.no_grad():
        for index, master in enumerate(masters):
            master.copy_(tensors[f"master.{index}"])
            if f"exp_avg.{index}" in tensors:
                trainer.adamw.state[master] = {name: tensors[f"{name}.{index}"].clone() for name in ADAM_MOMENTS}
                trainer.adamw.state[master]["step"] = trainer.adamw.state[master]["step"].cpu()
        trainer.adamw.round_into_weights()
    trainer.kl_coef = state["kl_coef"]
    trainer.term_scales = state.get("term_scales", {})
    trainer.updates_done = state["update"]
    trainer.lr_scheduler.load_state_dict({**trainer.lr_scheduler.state_dict(), **state["schedule"]})
    for group, rate in zip(trainer.adamw.param_groups, state["schedule"]["_last_lr"], strict=True):
        group["lr"] = rate


def _write(trainer: PolicyTrainer, layout: RunLayout, start: Path, folder: Path) -> None:
    """Writes a checkpoint's files, on the disk before the manifest that vouches for them."""
    (folder / "state").mkdir(parents=True)
    with quiet_transformers():
        trainer.policy.save(folder, start)
    _write_state(trainer, folder / "state")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        with file.open("rb") as written:
            os.fsync(written.fileno())
    sync_folder(folder / "state")
    write_json(
        folder / MANIFEST,
        {
            "run": layout.root.name,
            "update": trainer.updates_done,
            "files": {file.relative_to(folder).as_posix(): sha256_file(file) for file in files},
        },
    )


def _remove(checkpoint: Path) -> None:
    """Takes the name from a checkpoint, if it is there, before its files go."""
    if checkpoint.exists():
        gone = checkpoint.with_name(f".{checkpoint.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        checkpoint.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _set_aside(checkpoint: Path) -> Path:
    aside = checkpoint.with_name(f"{checkpoint.name}{DAMAGED}")
    shutil.rmtree(aside, ignore_errors=True)
    return checkpoint.rename(aside)


def _write_state(trainer: PolicyTrainer, folder: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for index, master in enumerate(trainer.adamw.masters()):
        tensors[f"master.{index}"] = master.detach().contiguous()
        for name, value in trainer.adamw.state.get(master, {}).items():
            tensors[f"{name}.{index}"] = torch.as_tensor(value).contiguous()
    save_file(tensors, folder / "training.safetensors")
    schedule = trainer.lr_scheduler.state_dict()
    write_json(
        folder / "training.json",
        {
            "update": trainer.updates_done,
            "kl_coef": trainer.kl_coef,
            **({"term_scales": trainer.term_scales} if trainer.term_scales else {}),
            "schedule": {name: schedule[name] for name in ("last_epoch", "_step_count", "_last_lr")},
            "masters": [list(master.shape) for master in trainer.adamw.masters()],
        },
    )
