"""The files of a whole model, copied one by one by name: safetensors, JSON, tokenizer, and the code that it names.

Not here: the adapter alone (`adapter`), the model card (`model_card`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ppo_cli.experiment.schema import Evaluation
from ppo_cli.models.folder_checks import CONFIG
from ppo_cli.models.loading import ChatTokenizer, export_support_files
from ppo_cli.store.files import disk_errors, write_json

LOCAL_KEYS = ("_name_or_path", "name_or_path")
"""Keys that hold the place from which a model was loaded on this machine."""


def copy_model(source: Path, target: Path) -> None:
    """Copies the model in a folder, without anything that is not part of it and without paths of this machine.

    Args:
        source: a checkpoint or a start model.
        target: made if it is not there.
    """
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        for file in [*sorted(source.glob("*.safetensors")), *sorted(source.glob("*.safetensors.index.json"))]:
            shutil.copyfile(file, target / file.name)
        shutil.copyfile(source / CONFIG, target / CONFIG)
        export_support_files(source, target)
        for name in (CONFIG, "tokenizer_config.json"):
            _remove_local_keys(target / name)


def write_generation_config(folder: Path, tokenizer: ChatTokenizer, settings: Evaluation) -> None:
    """Writes as defaults what the run was measured with, so that a server answers as the table says.

    Args:
        folder: of the export.
        tokenizer: has the tokens that end an answer.
        settings: of the run's evaluations.
    """
    sampled = settings.temperature > 0
    values = {"temperature": settings.temperature, "top_p": 1.0, "top_k": 0} if sampled else {}
    ends = {"eos_token_id": list(tokenizer.stop_ids), "pad_token_id": tokenizer.pad_id}
    write_json(folder / "generation_config.json", {"do_sample": sampled, **values, **ends})


def _remove_local_keys(file: Path) -> None:
    if not file.is_file():
        return
    values = json.loads(file.read_text(encoding="utf-8"))
    kept = {name: value for name, value in values.items() if name not in LOCAL_KEYS}
    if kept != values:
        write_json(file, kept)
