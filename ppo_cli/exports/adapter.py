"""The adapter that PPO trained, as PEFT saves and loads one, and its base model where no hub has it.

A checkpoint holds the merged model, and in its training state the adapter's values. They are put into an adapter over
the run's start model; merged, it gives the checkpoint's weights bit by bit, which the self-test checks.

Not here: merging an adapter that a user gives as a start model (`models.adapter`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, TaskType
from safetensors.torch import load_file

from ppo_cli.engine.policy import Policy
from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.evaluation.run_checkpoint import RunCheckpoint
from ppo_cli.exports.merged_model import copy_model
from ppo_cli.exports.model_card import BASE
from ppo_cli.models.loading import export_support_files, quiet_transformers, writing_weights
from ppo_cli.setup.start_model import StartModel
from ppo_cli.store.files import make_readable


def require_adapter(checkpoint: RunCheckpoint) -> None:
    """Checks that a run has an adapter.

    Raises:
        UsageError: it trained whole layers, or the training state is not there.
    """
    if checkpoint.records.experiment.model.train.lora is None:
        raise UsageError(
            f"{checkpoint.records.name} trained whole layers (model.train.lora: null), so it has no adapter.",
            "Leave out --adapter; the merged model is exported.",
        )
    if not (checkpoint.folder / "state" / "training.safetensors").is_file():
        raise UsageError(
            f"{checkpoint.name} has no training state, which holds its adapter.",
            "Leave out --adapter, or name another checkpoint.",
        )


def write_adapter(checkpoint: RunCheckpoint, start: StartModel, folder: Path) -> str:
    """Writes the adapter of a checkpoint, and its base model where that is on no hub.

    Args:
        checkpoint: of a run with an adapter.
        start: the run's start model, whose weights stay as they are.
        folder: of the export.

    Returns:
        The base model's name in adapter_config.json.

    Raises:
        IntegrityError: the training state does not fit the model.
    """
    source, experiment = start.resolved.model_source, start.resolved.experiment
    on_hub = source.revision is not None and not start.resolved.inputs.sft
    policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
    _put_in(policy, load_file(checkpoint.folder / "state" / "training.safetensors"), checkpoint)
    adapted: Any = policy.trainable
    settings = adapted.peft_config["default"]
    settings.base_model_name_or_path = source.start if on_hub else BASE
    settings.revision = source.revision if on_hub else None
    settings.task_type = TaskType.CAUSAL_LM
    settings.inference_mode = True
    settings.target_modules = sorted(settings.target_modules)
    with writing_weights(folder), quiet_transformers():
        adapted.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
        make_readable(folder)
        export_support_files(checkpoint.folder, folder)
    adapted.unload()
    if not on_hub:
        copy_model(start.folder, folder / BASE)
    return str(settings.base_model_name_or_path)


def load_adapted(folder: Path, base: Path, start: StartModel) -> Any:  # noqa: ANN401
    """An exported adapter loaded as anybody would, merged into its base model.

    Args:
        folder: of the export.
        base: folder of the base model.
        start: of the run, for the device and dtype that it is merged on and in: both decide how merging rounds.

    Returns:
        A transformers causal language model.
    """
    from transformers import AutoModelForCausalLM

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            base,
            dtype=start.dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=start.resolved.experiment.model.trust_remote_code,
        ).to(start.device)
        # In the dtype of the run; PEFT's default is to compute in float32, which rounds differently.
        adapted = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False, local_files_only=True)
        return adapted.merge_and_unload()


@torch.no_grad()
def _put_in(policy: Policy, state: dict[str, torch.Tensor], checkpoint: RunCheckpoint) -> None:
    """Gives the adapter the values of a training state, whose first masters are the policy's, in its own order."""
    for index, parameter in enumerate(policy.parameters.values()):
        master = state.get(f"master.{index}")
        if master is None or master.shape != parameter.shape:
            raise IntegrityError(f"The training state of {checkpoint.name} does not fit its model.", "Use another one.")
        parameter.copy_(master)
