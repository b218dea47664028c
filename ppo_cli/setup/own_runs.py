"""Runs made elsewhere: their code is not run unasked, and their start model may lie in another folder here.

A run's mark is made with a key that lies in the user's state folder, never in a run folder, so nobody else can make it.

Not here: which files are pinned (`freeze_inputs`), opening the reward (`reward_resources`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.errors import IntegrityError, ModelError, UsageError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.measure_types import LmEval
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.term_types import Python, RewardTerm
from ppo_cli.models.cache_dir import key_folders
from ppo_cli.setup.resolve import with_start
from ppo_cli.store.checkpoint_names import start_checkpoint
from ppo_cli.store.runs import Run

KEY_FILE = "own-runs.key"
KEY_BYTES = 32
TRUST_FLAG = "--trust-code"


@dataclass(frozen=True, kw_only=True)
class ReceivedRunOptions:
    """What the user says of a run that was made on another machine."""

    start: Path | None = None
    """Folder of its start model on this machine; None where it lies where the run's config says."""
    trust_code: bool = False
    """Whether the code that the run brings may be run."""


OWN_RUN = ReceivedRunOptions()
"""Of a run that was made on this machine."""


def open_run(run: Run, received: ReceivedRunOptions, *, opens_reward: bool) -> Experiment:
    """The run's experiment, verified, for a command that loads its start model.

    Args:
        run: to open.
        received: what the user says of it; a start model in another folder is compared with the lock by its content,
            by `freeze_inputs.verify_against_lock`.
        opens_reward: whether the command runs the reward.

    Raises:
        UsageError: it brings code that must not be run unasked.
        ModelError: its start model is not there.
        IntegrityError: something frozen was changed.
    """
    experiment, _ = run.verify()
    require_trusted_code(run, trust_code=received.trust_code, opens_reward=opens_reward)
    start = experiment.model.start
    if received.start is not None:
        start = start_checkpoint(str(received.start), run.layout.root.parent)
    is_path = received.start is not None or Path(start).is_absolute()
    if is_path and not Path(start).is_dir():
        raise ModelError(
            f"The start model of {run.name} is not in {start}.",
            "If it lies elsewhere on this machine, name its folder with --start FOLDER; its content is checked.",
        )
    if experiment.model.trust_remote_code and Path(start).is_dir():
        _require_frozen_code(run, Path(start))
    return with_start(experiment, start)


def _require_frozen_code(run: Run, start: Path) -> None:
    """Checks the start model's own code before any of it runs; all of its content is checked when it is read.

    Raises:
        IntegrityError: the code is not what was frozen.
    """
    from ppo_cli.models.model_digests import code_digests

    code, frozen = code_digests(start), run.lock().groups["start_model"].values.get("code", {})
    if changed := sorted(name for name in {*code, *frozen} if code.get(name) != frozen.get(name)):
        raise IntegrityError(
            f"{run.name}: the code of its start model was changed after freezing: {start / changed[0]}.",
            "Restore the file, or start a new run with the changed code.",
        )


def mark_of(lock: Lock) -> str | None:
    """The mark of a run with this lock, for run.json; None where no key can be kept."""
    keys = _keys() or _new_key()
    return _mark(keys[0], lock) if keys else None


def require_trusted_code(run: Run, *, trust_code: bool, opens_reward: bool) -> None:
    """Checks that a command may run the code that a run brings: its start model's, its measures', and its reward's.

    Args:
        run: verified against its lock.
        trust_code: whether the user said so on the command line.
        opens_reward: whether the command runs the reward.

    Raises:
        UsageError: the run brings code, was not made on this machine by this user, and `trust_code` is false.
    """
    experiment, lock = run.verify()
    code = _code_of(run, experiment, opens_reward=opens_reward)
    if trust_code or not code:
        return
    mark = run.state().mark
    if mark and any(hmac.compare_digest(_mark(key, lock), mark) for key in _keys()):
        return
    raise UsageError(
        f"{run.name} was not made by you on this machine, and this command would run the code that it brings: {code}.",
        f"Read that code; if you trust it, add {TRUST_FLAG}.",
    )


def _code_of(run: Run, experiment: Experiment, *, opens_reward: bool) -> str:
    """What code a command on this run would run, in words; empty if none."""
    parts = []
    if experiment.model.trust_remote_code:
        parts.append(f"that of its start model {experiment.model.start} (model.trust_remote_code)")
    named: dict[str, RewardTerm] = {
        f"measure '{name}'": measure for name, measure in experiment.evaluation.measures.items()
    }
    if opens_reward:
        named |= {f"reward term '{name}'": term for name, term in experiment.reward.terms.items()}
    parts += [
        f"its {words} (Python, in {run.layout.inputs})" for words, term in named.items() if isinstance(term, Python)
    ]
    parts += [f"its {words} (tasks of lm_eval)" for words, term in named.items() if isinstance(term, LmEval)]
    return " and ".join(parts)


def _mark(key: bytes, lock: Lock) -> str:
    return hmac.new(key, freeze.to_yaml(lock).encode(), hashlib.sha256).hexdigest()


def _keys() -> list[bytes]:
    """The keys of this user, the one that marks new runs first.

    One that lies in the cache only, since the state folder could not be written, is copied there as soon as it can be.
    """
    keys = []
    for folder in key_folders():
        with suppress(OSError):
            key = (folder / KEY_FILE).read_bytes()
            if len(key) == KEY_BYTES and key not in keys:
                keys.append(key)
    if keys and not (key_folders()[0] / KEY_FILE).exists():
        with suppress(OSError):
            _write_key(key_folders()[0], keys[0])
    return keys


def _new_key() -> list[bytes]:
    for folder in key_folders():
        with suppress(OSError):
            _write_key(folder, secrets.token_bytes(KEY_BYTES))
            return _keys()
    return []


def _write_key(folder: Path, key: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / KEY_FILE
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
    try:
        os.link(partial, path)  # unlike a rename, it does not replace the key of another process
    except FileExistsError:
        pass
    except OSError:
        partial.replace(path)
        return
    partial.unlink()
