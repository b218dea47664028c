"""Load the start model: fetched, warm-started if the config says so; and other checkpoints in the same way.

Not here: finding and checking the experiment's inputs (`resolve`), training.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ppo_cli.engine.checkpoints import MANIFEST, require_checkpoint_of, verify_checkpoint
from ppo_cli.errors import ModelError, UsageError
from ppo_cli.experiment.freeze import attention_of
from ppo_cli.models import loading, model_source
from ppo_cli.models.attention import with_attention
from ppo_cli.models.device import MPS_NOTICE, choose_device, choose_dtype
from ppo_cli.models.folder_checks import require_embeddings
from ppo_cli.models.free_memory import return_free_memory
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.models.open_model import OpenModel
from ppo_cli.models.quantised import QuantisedWeights
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.rewards.scorer import InstructModel
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

    def load_other(self, folder: Path, tokenizer: ChatTokenizer, *, trust_remote_code: bool) -> Any:  # noqa: ANN401
        """Loads another model on the same device with the same dtype.

        Args:
            folder: of the model.
            tokenizer: that it is asked with.
            trust_remote_code: runs the model's own code.
        """
        model = loading.load_model(folder, tokenizer, self.device, self.dtype, trust_remote_code=trust_remote_code)
        return with_attention(model, self.resolved.experiment.model.attn_implementation, self.device)


def load_start_model(resolved: ResolvedExperiment, on_event: EventHandler) -> StartModel:
    """Loads the start model, warm-starting it the first time.

    Raises:
        ConfigError: the device does not exist.
        ModelError: the weights cannot be read.
    """
    experiment = resolved.experiment
    device = choose_device(experiment.device)
    dtype = choose_dtype(experiment.model.dtype, device)
    if device.type == "mps":
        on_event(Notice(text=MPS_NOTICE, level="warning"))
    trusted = experiment.model.trust_remote_code

    def load(folder: Path, load_in: QuantisedWeights | None = None) -> Any:  # noqa: ANN401
        tokenizer = resolved.tokenizer
        model = loading.load_model(folder, tokenizer, device, dtype, trust_remote_code=trusted, load_in=load_in)
        return with_attention(model, experiment.model.attn_implementation, device)

    folder = resolved.model_source.folder
    if resolved.inputs.sft:
        from ppo_cli.engine.warm_start import ModelToTrain, warm_start

        model = ModelToTrain(
            folder=folder,
            digests=resolved.model_digests,
            tokenizer=resolved.tokenizer,
            load=lambda: load(resolved.model_source.folder),
            device_and_dtype=" ".join([device.type, str(dtype), *attention_of(experiment.model).values()]),
        )
        folder = warm_start(model, resolved.inputs.sft, experiment.model.sft, on_event)
        return_free_memory()
    loaded = load(folder, experiment.model.load_in)
    for prompts in (resolved.train, resolved.evaluation):
        require_embeddings(loaded, prompts.ids_by_prompt())
    return StartModel(model=loaded, folder=folder, resolved=resolved, device=device, dtype=dtype)


def share_reference(resolved: ResolvedExperiment, reference: OpenModel) -> None:
    """Lets the reference judge the fit of answers where it is the start model itself, so that no second one is loaded.

    Args:
        resolved: whose reward may need the start model.
        reference: opens the reference.
    """
    if not resolved.inputs.sft:
        resolved.inputs.reward.context.instruct_model = InstructModel(reference, resolved.tokenizer)


def tokenizer_of_other(folder: Path, resolved: ResolvedExperiment, on_event: EventHandler) -> ChatTokenizer:
    """The tokenizer to ask a model with that belongs to no run: its own.

    Args:
        folder: of the model.
        resolved: the experiment, whose start model is the reference.
        on_event: called with a notice where template or stop tokens are not those of the start model.

    Raises:
        ModelError: it has no usable tokenizer, or one whose token ids mean something else than the start model's, so
            that no KL between the two exists.
    """
    start, model = resolved.tokenizer, resolved.experiment.model
    own = loading.load_tokenizer(folder, system_prompt=start.system_prompt)
    if own.tokenizer.get_vocab() != start.tokenizer.get_vocab():
        raise ModelError(
            f"{folder} has another tokenizer than model.start of the config ({model.start}), so the two cannot be "
            "compared token by token.",
            "Use a config whose model.start is this model or the model that it was trained from.",
        )
    what = [
        name
        for name, differs in (
            ("chat template", str(own.tokenizer.chat_template) != str(start.tokenizer.chat_template)),
            ("stop tokens", set(own.stop_ids) != set(start.stop_ids)),
        )
        if differs
    ]
    if what:
        others = "others" if len(what) > 1 else "another"
        text = f"{folder} is asked with its own {' and '.join(what)}; model.start ({model.start}) has {others}."
        on_event(Notice(text=text, level="warning"))
    return own


def open_checkpoint(checkpoint: str, run: Run | None, on_event: EventHandler) -> Path:
    """The folder of a checkpoint or model, its files verified where there is a manifest.

    Raises:
        UsageError: it is not a checkpoint.
        IntegrityError: it was changed after it was written, or is not the run's.
    """
    folder = Path(checkpoint)
    if folder.is_dir() and (folder / MANIFEST).is_file():
        manifest = verify_checkpoint(folder)
        if run is not None:
            require_checkpoint_of(run.lock().fingerprint, folder.absolute(), manifest)
        return folder
    if run is not None:
        raise UsageError(
            f"{checkpoint} is not a checkpoint: it has no {MANIFEST}.",
            f"Name one of {run.layout.checkpoints}/step-…",
        )
    return model_source.resolve(checkpoint, on_event=on_event).folder
