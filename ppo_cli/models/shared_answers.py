"""Answers of a start model, kept in the cache: runs and arms that would sample the same ones share them.

    answers/<key>.jsonl    a line with the key, what it is made of and the digest of the rest; then one row per answer

The key is a digest of everything that the answers depend on: the weights, the prompts as token ids, the settings, the
code that samples, the packages and the machine. So shared answers are byte for byte those that the run would have
sampled itself. A run folder holds its own copy. Beyond MAX_BYTES, files that were not used for longest are removed.

Not here: what is kept (`training.baseline_answers`, `training.interim_evaluations`).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import ppo_cli
from ppo_cli.errors import PpoError
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.models.cache_dir import cached
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.records.json_text import json_value
from ppo_cli.store.files import disk_errors, write_bytes
from ppo_cli.store.provenance import processor

FOLDER = "answers"
MAX_BYTES = 256_000_000
"""Of all files together; the 756 answers of a recipe's step 0 take about 0.3 MB."""
SAMPLING_CODE = (
    "behaviours",
    "engine",
    "models",
    "text",
    "evaluation/evaluate.py",
    "evaluation/first_answer_fit.py",
    "evaluation/resumable_sampling.py",
    "records/answers.py",
    "records/measures.py",
    "records/reasoning.py",
    "store/answer_rows.py",
    "training/baseline_answers.py",
)
"""Packages and modules that decide which answers are sampled and what is measured with them."""
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "peft")
"""Packages whose version may change the last digits."""


@dataclass(frozen=True, kw_only=True)
class SharedAnswers:
    """The answers of one start model on this machine."""

    model: Mapping[str, Any]
    """What all its answers depend on, from `sampled_by`."""
    on_event: EventHandler
    """Called with a notice about answers that are used again, or that cannot be used."""

    def find(self, what: str, depends_on: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """The rows that were kept; None where there are none, or where the file was damaged.

        Args:
            what: the rows are, for the key and for the notice.
            depends_on: settings and prompts.
        """
        key = self._key(what, depends_on)
        try:
            path = _path(key)
            head, _, content = path.read_bytes().partition(b"\n")
        except (OSError, PpoError):
            return None
        if not _is_whole(head, content, key):
            text = f"The cached {what} in {path} are damaged, so they are made anew."
            self.on_event(Notice(text=text, level="warning"))
            return None
        with suppress(OSError):
            os.utime(path)  # the last use, by which `_prune` chooses
        self.on_event(Notice(text=f"The {what} are those that an earlier run sampled, from the cache."))
        return [json_value(line) for line in content.split(b"\n")[:-1]]

    def keep(self, what: str, depends_on: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Keeps rows for other runs; where the cache cannot be written, says so and goes on.

        Args:
            what: as for `find`.
            depends_on: as for `find`.
            rows: their values and the order of their keys come back as they are.
        """
        key = self._key(what, depends_on)
        content = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()
        head = {"key": key, "sha256": hashlib.sha256(content).hexdigest(), "of": self._of(what, depends_on)}
        line = json.dumps(head, ensure_ascii=False).encode() + b"\n"
        if len(line) + len(content) > MAX_BYTES:
            return
        try:
            path = _path(key)
            with disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, line + content)
            _prune(path.parent)
        except (OSError, PpoError) as error:
            reason = error.message if isinstance(error, PpoError) else str(error)
            text = f"The {what} are not kept for other runs: {reason}"
            self.on_event(Notice(text=text, level="warning"))

    def _of(self, what: str, depends_on: Mapping[str, Any]) -> dict[str, Any]:
        return {"what": what, **self.model, **depends_on}

    def _key(self, what: str, depends_on: Mapping[str, Any]) -> str:
        return sha256_of(self._of(what, depends_on))


def sampled_by(
    reference_sha256: str, model_digests: Mapping[str, Any], device: torch.device, dtype: torch.dtype, processes: int
) -> dict[str, Any]:
    """What every answer of a start model depends on besides the prompts and the settings.

    Args:
        reference_sha256: digest of its weights as they are in memory.
        model_digests: of the model before any warm start, with its tokenizer (`models.model_digests`).
        device: that it computes on.
        dtype: of its weights.
        processes: among which the prompts are shared.
    """
    return {
        "reference": reference_sha256,
        "model": sha256_of(dict(model_digests)),
        "device": _device(device),
        "dtype": str(dtype),
        "processes": processes,
        "code": _code_digest(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def _device(device: torch.device) -> dict[str, Any]:
    """What of the machine changes the last digits of a sum."""
    if device.type == "cuda":
        return {"gpu": torch.cuda.get_device_name(device)}
    on_gpu = {"gpu": device.type} if device.type != "cpu" else {}  # of Apple, which has the processor's name
    capability = torch.backends.cpu.get_cpu_capability()
    return on_gpu | {
        "processor": processor(),
        "instructions": capability,
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


@cache
def _code_digest() -> str:
    """Digest over the program's own files that decide the answers."""
    package = Path(ppo_cli.__file__).parent
    files = [path for name in SAMPLING_CODE for path in _python_files(package / name)]
    return sha256_of({str(path.relative_to(package)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files})


def _python_files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _path(key: str) -> Path:
    return cached(FOLDER, f"{key}.jsonl")


def _is_whole(head: bytes, content: bytes, key: str) -> bool:
    """Whether a file holds what was kept under this key."""
    try:
        values = json_value(head)
    except ValueError:
        return False
    whole = isinstance(values, dict) and values.get("key") == key
    return whole and values.get("sha256") == hashlib.sha256(content).hexdigest()


def _prune(folder: Path) -> None:
    """Removes the files that were not used for longest, until the others take at most MAX_BYTES together."""
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process removed it
            status = path.stat()
            files.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= MAX_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size
