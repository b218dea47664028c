"""What makes two models the same: digests of weights, config.json, tokenizer and, where it is run, the model's code.

Not here: reading any of them (`loading`), comparing them with a run's lock (`setup.freeze_inputs`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppo_cli.errors import ModelError, reason_of
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.models.folder_checks import read_config
from ppo_cli.models.loading import TOKENIZER_FILES, ChatTokenizer

WITHOUT_EFFECT = ("_name_or_path", "transformers_version")
"""Keys of config.json that change no number."""


def model_digests(source_folder: Path, tokenizer: ChatTokenizer, *, trust_remote_code: bool = False) -> dict[str, Any]:
    """Digests of a model folder's weights, config.json and tokenizer, with its chat template, pad and stop tokens.

    Args:
        source_folder: of the model.
        tokenizer: its tokenizer.
        trust_remote_code: whether the model's own code is run, and is part of what it is.

    Raises:
        ModelError: one of its files cannot be read.
    """
    weights = {file.name: _digest(file) for file in sorted(source_folder.glob("*.safetensors"))}
    tokenizer_files = {
        name: _digest(source_folder / name) for name in TOKENIZER_FILES if (source_folder / name).is_file()
    }
    config = {name: value for name, value in read_config(source_folder).items() if name not in WITHOUT_EFFECT}
    code = code_digests(source_folder) if trust_remote_code else {}
    return {
        "weights": weights,
        "config": sha256_of(config),
        "tokenizer": tokenizer_files,
        "chat_template": str(tokenizer.tokenizer.chat_template),
        "pad_id": tokenizer.pad_id,
        "stop_ids": list(tokenizer.stop_ids),
        **({"code": code} if code else {}),
    }


def code_digests(folder: Path) -> dict[str, str]:
    """Digests of the Python files in a model folder.

    Raises:
        ModelError: one of them cannot be read.
    """
    return {file.relative_to(folder).as_posix(): _digest(file) for file in sorted(folder.rglob("*.py"))}


def _digest(file: Path) -> str:
    try:
        return sha256_file(file)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {reason_of(error)}.", "Check the file and its owner.") from None
