"""Checks of a model folder: what its files are before they are read, and that the weights that were read fit the model.

transformers draws weights that a file lacks at random and ignores those that it does not know; here both are errors.

Not here: reading the weights (`loading`), a folder that holds only an adapter (`adapter`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ppo_cli.errors import ModelError, reason_of

CONFIG = "config.json"
LFS_START = b"version https://git-lfs"
"""First bytes of the text file that git leaves in place of a large file that was not fetched."""
OTHER_MODEL = "Use another model."

WRAPPERS: Mapping[str, str] = {
    "module.": "DataParallel or DeepSpeed",
    "_orig_mod.": "torch.compile",
    "_forward_module.": "Lightning",
    "_fsdp_wrapped_module.": "FSDP",
    "_checkpoint_wrapped_module.": "activation checkpointing",
    "pretrained_model.": "a TRL model with a value head",
    "base_model.model.": "PEFT",
    "policy.": "a trainer that keeps several models in one file",
    "actor.": "a trainer that keeps several models in one file",
}
"""What puts a prefix before the names of a model's weights."""
PLAIN_NUMBERS = ("F64", "F32", "F16", "BF16")
"""How safetensors names the dtypes of weights that are used as they are stored."""
HARMLESS = re.compile(r"(rotary_emb\.inv_freq|\.attn\.(masked_)?bias|position_ids|attention\.(masked_)?bias)$")
"""Buffers that old versions of transformers wrote and that hold no weights."""
PRETRAINING_HEADS = re.compile(r"^(cls|lm_head|lm_predictions|mask_predictions|qa_outputs)\.|(^|\.)pooler\.")
"""Heads that a classifier's file may keep from pretraining, and that a classifier does not use."""


def read_config(folder: Path) -> dict[str, Any]:
    """The values of a model folder's config.json.

    Raises:
        ModelError: it is missing, cannot be read or is no JSON object.
    """
    file = folder / CONFIG
    try:
        values = json.loads(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {reason_of(error)}.", "Check the path and its owner.") from None
    except (ValueError, RecursionError):
        require_fetched(file)
        raise ModelError(f"{file} is not JSON.", "Restore the file, or use another model.") from None
    if not isinstance(values, dict):
        raise ModelError(f"{file} is not a JSON object.", "Restore the file, or use another model.")
    return values


def require_ordinary_files(folder: Path) -> None:
    """Checks that no entry of a model folder is a pipe, socket or device, which a reader would wait for.

    Raises:
        ModelError: names the first such entry.
    """
    for path in sorted(folder.iterdir()):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ModelError(f"{path} is not an ordinary file.", "Replace it with the file itself, or remove it.")


def require_fetched(file: Path) -> None:
    """Checks that a file is not the pointer that git leaves in its place.

    Raises:
        ModelError: it is.
    """
    try:
        with file.open("rb") as handle:
            start = handle.read(len(LFS_START))
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {reason_of(error)}.", "Check the file and its owner.") from None
    if start == LFS_START:
        raise ModelError(
            f"{file} is a git-lfs pointer, not the file itself.", "Run `git lfs pull` in the folder that was cloned."
        )


def require_plain_weights(folder: Path) -> None:
    """Checks a model folder without reading a weight: config.json, complete safetensors files, plain numbers.

    Raises:
        ModelError: names the file and the reason.
    """
    config = read_config(folder)
    quantisation = config.get("quantization_config")
    if quantisation:
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
        raise ModelError(
            f"{folder}: its weights are quantised ({method or 'quantization_config in config.json'}), and PPO needs "
            "plain weights.",
            "Use the model that was not quantised, or save it dequantised.",
        )
    names = _tensor_names(folder)
    inner = config.get("text_config", config)
    layers = inner.get("num_hidden_layers", inner.get("n_layer")) if isinstance(inner, dict) else None
    if isinstance(layers, int) and layers > len(names):
        raise ModelError(
            f"{folder}: config.json states {layers} layers, and the weights are only {len(names)} tensors.",
            "Restore config.json, or use another model.",
        )


def raise_known_reason(error: Exception, folder: Path, *, classifier: bool = False) -> None:
    """Raises the error of a model that brings code of its own or does not fit its config.json, if that is the cause.

    Raises:
        ModelError: names the key that allows the code, or the weight that does not fit.
    """
    if "ignore_mismatched_sizes" in str(error):  # transformers logs which; it is not let load, for memory's sake
        raise ModelError(
            f"{folder}: its weights do not fit its config.json: {_weight_of_another_shape(folder)} has another shape "
            "than config.json says.",
            "Restore config.json, or use another model.",
        ) from None
    if "Padding_idx" in str(error):
        raise ModelError(
            f"{folder}: pad_token_id of its config.json is a token that its vocabulary does not have.",
            "Set it to the tokenizer's pad token, or use another model.",
        )
    if "trust_remote_code" in str(error) and classifier:
        raise ModelError(f"{folder} brings Python code of its own, and a reward model's is never run.", OTHER_MODEL)
    if "trust_remote_code" in str(error):
        raise ModelError(
            f"{folder} brings Python code of its own, which is not run unless the config allows it.",
            "Read that code; then set model.trust_remote_code=true, or use another model.",
        )


def require_matching_weights(report: Mapping[str, Collection[Any]], folder: Path, *, classifier: bool = False) -> None:
    """Checks that a folder holds every weight of its model and no others.

    Args:
        report: `missing_keys` and `unexpected_keys`, as transformers gives them; it reads no weight of another shape.
        folder: that was read.
        classifier: whether a sequence classifier was read; its file may keep unused heads from pretraining.

    Raises:
        ModelError: with the likely reason.
    """
    missing = sorted(report["missing_keys"])
    unexpected = sorted(name for name in report["unexpected_keys"] if not HARMLESS.search(name))
    if classifier:
        unexpected = [name for name in unexpected if not PRETRAINING_HEADS.search(name)]
    if missing or unexpected:
        reason, step = _reason(missing, unexpected)
        raise ModelError(f"{folder}: its weights do not fit its config.json: {reason}.", step)


def require_finite_weights(model: Any, folder: Path) -> None:  # noqa: ANN401
    """Checks that no weight is NaN or infinite.

    Raises:
        ModelError: names the first such weight.
    """
    for name, value in model.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise ModelError(
                f"{folder}: its weights are damaged: {name} holds NaN or infinite numbers.",
                "Use an earlier checkpoint or a fresh copy of the model.",
            )


def require_embeddings(model: Any, token_ids: Mapping[str, Sequence[int]]) -> None:  # noqa: ANN401
    """Checks that a model has an embedding for every token that it will read.

    Args:
        model: a loaded model.
        token_ids: by prompt id.

    Raises:
        ModelError: names the prompt and the token.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    for name, ids in token_ids.items():
        if max(ids, default=0) >= rows:
            raise ModelError(
                f"Prompt '{name}' holds token {max(ids)}, and the model has embeddings for {rows} tokens only.",
                "Use the tokenizer that belongs to this model.",
            )


def _weight_of_another_shape(folder: Path) -> str:
    """Name of the first such weight, found without memory for any."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        classifies = any("SequenceClassification" in name for name in config.architectures or [])
        kind = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
        with torch.device("meta"):
            wanted = {name: list(value.shape) for name, value in kind.from_config(config).state_dict().items()}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as tensors:
                for name in sorted(tensors.keys()):
                    if wanted.get(name) not in (None, list(tensors.get_slice(name).get_shape())):
                        return str(name)
    except Exception:  # noqa: BLE001 - the reason is given without the name
        return "a weight"
    return "a weight"


def _tensor_names(folder: Path) -> set[str]:
    index, names = folder / "model.safetensors.index.json", set[str]()
    if index.is_file() and not (folder / "model.safetensors").is_file():
        try:
            values = json.loads(index.read_bytes())
            listed = set(values["weight_map"].values())
            _ = values["metadata"]  # transformers reads it unasked
            outside = sorted(name for name in listed if Path(name).name != name or not name.endswith(".safetensors"))
            absent = sorted(name for name in listed if not (folder / name).is_file())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            require_fetched(index)
            raise ModelError(f"{index} is damaged.", "Restore the file, or use another model.") from None
        if outside:
            raise ModelError(
                f"{index} names {outside[0]}, which is no file of weights in this folder.",
                "Copy all files of weights into the folder, and restore the index.",
            )
        if absent:
            raise ModelError(
                f"{folder}: {absent[0]} is missing, one of {len(listed)} files of weights.",
                "Fetch the missing files.",
            )
    for file in sorted(folder.glob("*.safetensors")):
        require_fetched(file)
        try:
            with safe_open(file, framework="pt") as tensors:
                dtypes = {name: tensors.get_slice(name).get_dtype() for name in list(tensors.keys())}
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"{file} is damaged or was not copied completely: {str(error).splitlines()[0].rstrip('.')}.",
                "Fetch the file again, or use another model.",
            ) from None
        _require_plain_numbers(folder, dtypes)
        names.update(dtypes)
    return names


def _require_plain_numbers(folder: Path, dtypes: Mapping[str, str]) -> None:
    """Checks that weights are floating-point numbers as they are: integers and 8-bit floats need scales to be read."""
    for name, dtype in sorted(dtypes.items()):
        if dtype not in PLAIN_NUMBERS and not HARMLESS.search(name):
            raise ModelError(
                f"{folder}: its weights are no plain numbers: {name} is stored as {dtype}.",
                "Use the model that was not quantised, or save it in float32, bfloat16 or float16.",
            )


def _wrapper_of(name: str, missing: Collection[str]) -> str:
    """The part of a weight's name that a wrapper around the model added; empty if there is none."""
    known = (prefix for prefix in WRAPPERS if name.startswith(prefix) or (prefix[0] == "_" and f".{prefix}" in name))
    if prefix := next(known, ""):
        return prefix
    return next((name.removesuffix(wanted) for wanted in missing if name.endswith(f".{wanted}")), "")


def _reason(missing: list[str], unexpected: list[str]) -> tuple[str, str]:
    """The likely reason, and what to do."""
    if any(".lora_" in name or ".base_layer." in name for name in unexpected):
        return "it holds adapters that were not merged", "Merge them with `merge_and_unload()` and save the model."
    for name in unexpected:
        if prefix := _wrapper_of(name, missing):
            return (
                f"names hold '{prefix}', as {WRAPPERS.get(prefix, 'a wrapper around the model')} writes them ({name})",
                f"Save the model that is inside the wrapper, or rename its weights without '{prefix}'.",
            )
    if head := [name for name in unexpected if name.startswith(("v_head.", "value_head."))]:
        return f"it holds a value head ({head[0]})", "Save the language model without its value head."
    if head := [name for name in unexpected if name.startswith(("score.", "classifier.", "classification_head."))]:
        return (
            f"it is a classifier or reward model ({head[0]})",
            "Name a language model; a reward model is a reward term.",
        )
    if missing and not unexpected and all("head" in name or name.startswith("embed_out") for name in missing):
        return f"it has no {missing[0]}", "Use the whole language model, with the head that gives the next token."
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    if missing:
        also = f", and holds {unexpected[0]}, which the model does not have" if unexpected else ""
        verb = "are" if more else "is"
        return f"{missing[0]}{more} {verb} missing{also}", "Fetch the model again, or use another one."
    more = f" and {len(unexpected) - 1} more" if len(unexpected) > 1 else ""
    return (
        f"it holds {unexpected[0]}{more}, which the model does not have",
        "Restore config.json, or use another model.",
    )
