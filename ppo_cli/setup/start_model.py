"""Load the start model: fetched, warm-started if the config says so; and other checkpoints in the same way.

Not here: finding and checking the experiment's inputs (`resolve`), training.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ppo_cli.engine.checkpoints import MANIFEST, verify_checkpoint
from ppo_cli.errors import UsageError
from ppo_cli.models import loading, model_source
from ppo_cli.records.events import EventHandler
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.store.runs import Run


@dataclass(frozen=True, kw_only=True)
class StartModel:
    """The start model, loaded."""

    model: Any
    """A transformers causal language model."""
    folder: Path
    resolved: ResolvedExperiment
    device: torch.device
    dtype: torch.dtype

    def opened(self) -> AbstractContextManager[Any]:
        """The model for the length of a `with` block."""
        return nullcontext(self.model)

    def load_other(self, folder: Path) -> Any:  # noqa: ANN401
        """Loads another model with the same tokenizer, device and dtype."""
        trusted = self.resolved.experiment.model.trust_remote_code
        return loading.load_model(folder, self.resolved.tokenizer, self.device, self.dtype, trust_remote_code=trusted)


def load_start_model(resolved: ResolvedExperiment, on_event: EventHandler) -> StartModel:
    """Loads the start model, warm-starting it the first time.

    Raises:
        ConfigError: the device does not exist.
        ModelError: the weights cannot be read.
    """
    experiment = resolved.experiment
    device = loading.choose_device(experiment.device)
    dtype = loading.choose_dtype(experiment.model.dtype, device)
    trusted = experiment.model.trust_remote_code

    def load(folder: Path) -> Any:  # noqa: ANN401
        return loading.load_model(folder, resolved.tokenizer, device, dtype, trust_remote_code=trusted)

    folder = resolved.model_source.folder
    if resolved.inputs.sft:
        from ppo_cli.engine.warm_start import ModelToTrain, warm_start

        model = ModelToTrain(
            folder=folder,
            digests=resolved.model_digests,
            tokenizer=resolved.tokenizer,
            load=lambda: load(resolved.model_source.folder),
            device_and_dtype=f"{device.type} {dtype}",
        )
        folder = warm_start(model, resolved.inputs.sft, experiment.model.sft, on_event)
    return StartModel(model=load(folder), folder=folder, resolved=resolved, device=device, dtype=dtype)


def open_checkpoint(checkpoint: str, run: Run | None, on_event: EventHandler) -> Path:
    """The folder of a checkpoint or model, its files verified where there is a manifest.

    Raises:
        UsageError: it is not a checkpoint.
        IntegrityError: it was changed after it was written.
    """
    folder = Path(checkpoint)
    if folder.is_dir() and (folder / MANIFEST).is_file():
        verify_checkpoint(folder)
        return folder
    if run is not None:
        raise UsageError(
            f"{checkpoint} is not a checkpoint: it has no {MANIFEST}.",
            f"Name one of {run.layout.checkpoints}/step-…",
        )
    return model_source.resolve(checkpoint, on_event=on_event).folder
