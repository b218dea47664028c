"""The policy and its reference over one set of weights.

With LoRA the reference is the same model with the adapters off; with full training it is a frozen copy of the
trained layers. Either way no second model is loaded.

Not here: sampling, the critic, the optimizer, layers that are divided over several processes (`sharding`).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from ppo_cli.engine.gradient_checkpointing import checkpointed
from ppo_cli.engine.lora import lora_config, without_adapters
from ppo_cli.engine.sharding import ShardedLayers, process_mesh, whole
from ppo_cli.engine.split_decoder import SplitDecoder
from ppo_cli.errors import CheckFailedError
from ppo_cli.experiment.schema import TrainedPart
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.loading import export_support_files
from ppo_cli.models.quantised import ROUNDS_LIKE, is_quantised, save_plain, scales


class Policy:
    """A causal language model with trained layers or adapters; its weights before training are the reference."""

    def __init__(self, model: Any, trained: TrainedPart, *, seed: int) -> None:  # noqa: ANN401
        """Chooses the trained parameters and freezes the rest.

        Args:
            model: a transformers causal language model, loaded by `models.loading`.
            trained: how many top layers, and the adapters' settings if they are trained through adapters.
            seed: of the adapters' first values.

        Raises:
            ModelError: the model has fewer layers, or they cannot be found.
            CheckFailedError: the reference would share a trained weight.
        """
        self.model = model
        self.gradient_checkpointing = trained.gradient_checkpointing
        self.decoder = SplitDecoder(model, trained.top_layers)
        self.head = LMHead(model)
        model.requires_grad_(False)
        self._reference_layers: list[nn.Module] | None = None
        if trained.lora is None:
            self._reference_layers = [copy.deepcopy(layer) for layer in self.decoder.upper_layers]
            for layer in self.decoder.upper_layers:
                layer.requires_grad_(True)
            self.trainable: nn.Module = model
        else:
            self.trainable = self._with_adapters(trained, seed)
        self.sharded_layers: ShardedLayers | None = None
        """The layers, where `shard` has divided them over several processes."""
        self.parameters: dict[str, nn.Parameter] = self._trained_parameters()
        """The trained parameters by name."""
        probe = torch.arange(1, 9, device=model.device).unsqueeze(0)
        self.shares_lower_layers = self.decoder.disable_split_if_inexact(probe)
        """False if the family's layers cannot be split, so that every pass runs all of them."""
        require_separate_reference(self.parameters, self._reference_tensors())

    @property
    def rounds_like(self) -> torch.dtype:
        """The dtype whose rounding its log-probabilities have."""
        dtype: torch.dtype = ROUNDS_LIKE if is_quantised(self.model) else self.model.dtype
        return dtype

    def shard(self, world_size: int) -> None:
        """Divides the weights of all layers over the processes, which call this together, before a trainer is built.

        Args:
            world_size: number of processes.
        """
        mesh = process_mesh(self.model.device, world_size)
        self.sharded_layers = ShardedLayers(self.decoder, self._reference_layers or (), mesh)
        self.parameters = self._trained_parameters()

    def policy_hidden(self, activations: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Final hidden states of the policy, with gradient: [rows, length, width].

        Args:
            activations: [rows, length, width] below the split.
            ids: [rows, length] token ids.
        """
        layers = self.decoder.upper_layers
        return self.decoder.run_upper(activations, ids, checkpointed(layers) if self.gradient_checkpointing else None)

    @torch.no_grad()
    def reference_hidden(self, activations: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Final hidden states of the reference, without gradient; arguments and shape as of `policy_hidden`."""
        if isinstance(self.trainable, PeftModel):
            with self.trainable.disable_adapter():
                return self.decoder.run_upper(activations, ids)
        return self.decoder.run_upper(activations, ids, self._reference_layers)

    @contextmanager
    def merged_model(self) -> Iterator[Any]:
        """The policy as a plain model, adapters merged into the weights inside the block: for sampling and for saving.

        The original tensors are put back afterwards, so merging into bfloat16 never rounds them. Nothing is merged into
        quantised weights: the adapters then run beside them.
        """
        if self.sharded_layers is not None:
            with self.sharded_layers.opened("policy"):
                yield self.model
            return
        if not isinstance(self.trainable, PeftModel) or is_quantised(self.model):
            yield self.model
            return
        originals = {}
        with torch.no_grad(), self.trainable.disable_adapter():
            for name, layer in self._adapted_layers().items():
                weight = layer.get_base_layer().weight
                originals[name] = weight.data
                weight.data = (weight.data.float() + layer.get_delta_weight("default").float()).to(weight.dtype)
            try:
                yield self.model
            finally:
                for name, layer in self._adapted_layers().items():
                    layer.get_base_layer().weight.data = originals[name]

    @contextmanager
    def reference_model(self) -> Iterator[Any]:
        """The reference as a plain model inside the block."""
        if self.sharded_layers is not None:
            with self.sharded_layers.opened("reference"):
                yield self.model
        elif isinstance(self.trainable, PeftModel):
            with self.trainable.disable_adapter():
                yield self.model
        else:
            with self.decoder.with_upper_layers(self._reference_layers or []):
                yield self.model

    def both_models(self) -> AbstractContextManager[None]:
        """Lets each process open policy and reference as often as it likes inside the block."""
        return nullcontext() if self.sharded_layers is None else self.sharded_layers.both_held()

    def copied_upper_layers(self) -> list[nn.Module]:
        """Copies of the trained layers before training, without adapters."""
        if self.sharded_layers is not None:
            return self.sharded_layers.upper_layers("reference")
        return [without_adapters(copy.deepcopy(layer)) for layer in self.decoder.upper_layers]

    def reference_digest(self) -> str:
        """sha256 over every weight of the reference; a run compares it at start and end, since they are frozen."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._reference_tensors().items()):
            digest.update(name.encode())
            digest.update(whole(tensor.detach()).cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def save(self, folder: Path, start: Path) -> None:
        """Writes the policy as a plain Hugging Face folder.

        Args:
            folder: an empty folder.
            start: folder of the start model; its tokenizer and generation config are copied.
        """
        if is_quantised(self.model):
            save_plain(self.model, folder)
            export_support_files(start, folder)
            return
        with self.merged_model() as model:
            weights = {
                name.replace(".base_layer.", "."): tensor
                for name, tensor in model.state_dict().items()
                if ".lora_" not in name
            }
            model.save_pretrained(folder, state_dict=weights)
        export_support_files(start, folder)

    def _with_adapters(self, trained: TrainedPart, seed: int) -> PeftModel:
        if trained.lora is None:
            raise ValueError("no adapter settings")
        config = lora_config(self.model, self.decoder.upper_layers, r=trained.lora.r, alpha=trained.lora.alpha)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            adapted = get_peft_model(self.model, config, autocast_adapter_dtype=False)
        for value in adapted.parameters():
            if value.requires_grad:
                value.data = value.data.to(self.model.dtype)
        return adapted.eval()

    def _trained_parameters(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.trainable.named_parameters() if value.requires_grad}

    def _adapted_layers(self) -> dict[str, Any]:
        return {name: module for name, module in self.model.named_modules() if isinstance(module, LoraLayer)}

    def _reference_tensors(self) -> dict[str, torch.Tensor]:
        trained = {id(value) for value in self.parameters.values()}
        frozen: dict[str, torch.Tensor] = {
            name: value for name, value in self.model.named_parameters() if id(value) not in trained
        }
        if is_quantised(self.model):
            frozen |= scales(self.model)
        for index, layer in enumerate(self._reference_layers or []):
            frozen |= {f"reference.{index}.{name}": value for name, value in layer.named_parameters()}
        return frozen


def require_separate_reference(trained: dict[str, nn.Parameter], reference: dict[str, torch.Tensor]) -> None:
    """Checks that no trained weight is also a weight of the reference.

    Args:
        trained: the trained parameters by name.
        reference: the reference's tensors by name.

    Raises:
        CheckFailedError: they share memory, so the KL to the reference would always be 0.
    """
    storages = {value.untyped_storage().data_ptr() for value in reference.values()}
    for name, value in trained.items():
        if value.untyped_storage().data_ptr() in storages:
            raise CheckFailedError(
                f"The policy is its own reference: {name} is trained and part of the reference.",
                "Give the reference its own frozen copy.",
            )
