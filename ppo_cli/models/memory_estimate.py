"""Estimated memory of a training on one device, part by part, from the sizes of the model. Never imports torch.

The activations are those that autograd keeps in a decoder layer with gated feed-forward maps, RMS norms and fused
attention (Llama, Qwen, Mistral); a test compares them with what torch keeps.

Not here: time and disk (`cost_estimate`), counting the work of a config (`preflight.planned_cost`), memory that was
measured (`preflight.measured_cost`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PROGRAM_BYTES = {"cpu": 0.7e9, "cuda": 0.6e9, "mps": 0.7e9}
"""Of the interpreter with its libraries on a CPU, of CUDA's context on a GPU."""
KERNELS_AND_PIECES = 0.75e9
"""On a CPU in bfloat16: compiled kernels, and pieces of free memory that the process keeps. From one run of `clarify`
with the built-in model, and taken as the same for larger ones. In float32 two small models kept next to nothing."""
FLOAT32 = 4
QUANTISED_BYTES = {"8bit": 1.01, "4bit": 0.52}
"""Of a quantised weight, its share of the scales included (NF4 with double quantisation: 4.13 bits)."""
MOMENT_BYTES = {"adamw": 8.0, "adamw_8bit": 2.1, "paged_adamw_8bit": 2.1}
"""Of the optimizer's moments per trained weight; in 8 bits with a scale for every 256 values."""
START_TOKENS = {"cpu": 2048, "cuda": 16384, "mps": 2048}
"""Tokens per pass where `auto` starts, by device, if memory does not set a lower size; larger passes save no time."""
MIN_START_TOKENS = 256
"""`auto` never starts below this: a run for which it is too much finds out at its first pass."""
USABLE_SHARE = 0.8
"""Share of a GPU's free memory that activations are planned for; the rest is for temporary buffers."""
CRITIC_WIDTH = 256
"""Of the value head's hidden layer."""
LOGIT_ROWS, LOGIT_COPIES = 128, 3
"""Rows of logits that exist at one time, and how many float32 tensors of them."""
SAMPLED_POSITIONS = 32768
"""Tokens whose keys and values are held at one time."""
GROUPED_KEYS = 512
"""Up to so many keys attention on a CPU keeps its weights."""


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes of a model."""

    parameters: float
    embedding_parameters: float
    """Vocabulary times width; the output layer is as large."""
    layers: int
    width: int
    vocabulary: int
    inner_width: int
    """Of the feed-forward maps."""
    heads: int
    key_width: int
    """Of all keys of a token in one layer, and of all its values."""

    @property
    def map_weights(self) -> float:
        """Weights of the linear maps of one layer."""
        return self.width * (2 * self.width + 2 * self.key_width + 3 * self.inner_width)

    @property
    def map_ends(self) -> float:
        """Inputs and outputs of the linear maps of one layer: the weights of adapters of rank 1."""
        return 4 * self.width + 2 * (self.width + self.key_width) + 3 * (self.width + self.inner_width)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What of an experiment decides its memory."""

    trained_layers: int
    lora_rank: int | None
    """None trains the layers' own weights."""
    critic_layers: bool
    """Whether the critic has layers of its own."""
    optimizer: str
    load_in: Literal["8bit", "4bit"] | None
    checkpointing: bool
    """Whether only the input of each layer is kept."""
    tokens_per_pass: int | Literal["auto"]
    episodes: int
    """Per update."""
    minibatch: int
    """Episodes per optimizer step."""
    prompt_tokens: float
    """Mean per prompt."""
    answer_tokens: float
    """Of the longest answer."""
    evaluated_tokens: float
    """Of all prompts and answers of an evaluation, answers at their longest."""
    device: str
    """cpu or cuda."""
    bytes_per_weight: int
    """4 in float32, 2 in bfloat16."""
    warm_start: bool = False
    """Whether the start model as it was before its warm start is held too; it judges how answers fit their prompts."""
    device_bytes: float | None = None
    """Memory of the GPU, from which `auto` takes its size; None where it is not known."""


def memory_parts(shape: ModelShape, plan: TrainingPlan) -> dict[str, float]:
    """Bytes at the peak by what they are for; the memory of a warm start is not among them.

    Sampling and learning take turns, so only the larger of the two counts.

    Args:
        shape: of the start model.
        plan: what is trained and how.
    """
    held = held_bytes(shape, plan)
    sampling, learning = _sampling_bytes(shape, plan), _learning_bytes(shape, plan)
    larger = {"sampling": sampling} if sampling > learning else {"learning": learning}
    rollouts = plan.episodes * (plan.prompt_tokens + plan.answer_tokens) * shape.width * plan.bytes_per_weight
    kept = KERNELS_AND_PIECES if plan.device == "cpu" and plan.bytes_per_weight < FLOAT32 else 0.0
    return {**held, "answers of an update": 2 * rollouts, **larger, "kernels and free pieces": kept}


def held_bytes(shape: ModelShape, plan: TrainingPlan) -> dict[str, float]:
    """Bytes that are held for the whole training."""
    maps = shape.layers * shape.map_weights
    packed = QUANTISED_BYTES[plan.load_in] if plan.load_in else plan.bytes_per_weight
    frozen_maps = maps * packed + (shape.parameters - maps) * plan.bytes_per_weight
    own = plan.trained_layers * shape.map_weights
    trained = plan.trained_layers * shape.map_ends * plan.lora_rank if plan.lora_rank else own
    in_dtype = trained + (own if plan.critic_layers else 0)
    in_float32 = CRITIC_WIDTH * shape.width
    if plan.bytes_per_weight == FLOAT32:
        in_dtype, in_float32 = 0, in_dtype + in_float32
    copies = plan.bytes_per_weight * own * ((plan.lora_rank is None) + plan.critic_layers)
    adapters = plan.bytes_per_weight * trained if plan.lora_rank else 0
    return {
        "program": PROGRAM_BYTES[plan.device],
        "start model": frozen_maps + adapters,
        "start model before its warm start": frozen_maps if plan.warm_start else 0.0,
        "reference's and critic's copies": copies,
        # In bfloat16: float32 masters, and a gradient in each of the two dtypes.
        "masters and gradients": in_dtype * (2 * FLOAT32 + plan.bytes_per_weight) + in_float32 * FLOAT32,
        "moments": (in_dtype + in_float32) * MOMENT_BYTES[plan.optimizer],
    }


def activation_bytes(shape: ModelShape, plan: TrainingPlan) -> float:
    """Peak bytes of activations per token of a pass with gradients."""
    kept = plan.trained_layers * _kept_by_layer(shape, plan, trains_own=plan.lora_rank is None)
    stacks = [kept]
    if plan.critic_layers:
        stacks.append(plan.trained_layers * _kept_by_layer(shape, plan, trains_own=True))
    input_bytes = shape.width * plan.bytes_per_weight
    return sum(
        bytes_while_learning(stack, plan.trained_layers, input_bytes, checkpointing=plan.checkpointing)
        for stack in stacks
    )


def bytes_while_learning(kept: float, layers: int, input_bytes: float, *, checkpointing: bool) -> float:
    """Peak bytes of activations of some trained layers, from what autograd keeps of them.

    Args:
        kept: bytes that all of them keep.
        layers: how many they are.
        input_bytes: of the hidden states that enter a layer.
        checkpointing: whether only the input of each layer is kept, and one layer at a time is computed again.
    """
    of_layer = kept / layers
    # The backward pass of a layer holds about as much again as the layer kept: the gradients of its activations.
    return (layers * input_bytes + of_layer if checkpointing else kept) + of_layer


def largest_start(tokens_that_fit: float) -> int:
    """Where `auto` starts on a GPU: the largest power of two up to `tokens_that_fit`, within bounds."""
    size = START_TOKENS["cuda"]
    while size > max(tokens_that_fit, MIN_START_TOKENS):
        size //= 2
    return size


def tokens_per_pass(shape: ModelShape, plan: TrainingPlan) -> int:
    """Padded tokens of one pass: those of the config, or where `auto` starts on a device of this memory."""
    if plan.tokens_per_pass != "auto":  # noqa: S105
        return plan.tokens_per_pass
    if plan.device == "cpu" or plan.device_bytes is None:
        return START_TOKENS[plan.device]
    free = plan.device_bytes - sum(held_bytes(shape, plan).values())
    return largest_start(USABLE_SHARE * free / activation_bytes(shape, plan))


def _kept_by_layer(shape: ModelShape, plan: TrainingPlan, *, trains_own: bool) -> float:
    """Bytes per token that autograd keeps of one layer."""
    unit, width = plan.bytes_per_weight, shape.width
    # Two norms keep float32 inputs; the attention its input, queries, keys, values and output; the feed-forward part
    # its input, the gating map's output before and after its activation, the other map's output and their product.
    kept: float = 2 * FLOAT32 * width + unit * (4 * width + 2 * shape.key_width + 4 * shape.inner_width)
    # Weights of the norms that are trained need the norms' outputs; adapters need their inner values.
    kept += unit * (2 * width if trains_own else 7 * (plan.lora_rank or 0))
    length = plan.prompt_tokens + plan.answer_tokens
    if plan.device == "cpu" and length <= GROUPED_KEYS:
        kept += unit * (shape.heads * length + width)
    return kept


def _learning_bytes(shape: ModelShape, plan: TrainingPlan) -> float:
    """Activations of one pass, and the logits of some of its tokens."""
    length = plan.prompt_tokens + plan.answer_tokens
    tokens = max(length, min(tokens_per_pass(shape, plan), plan.minibatch * length))
    logits = LOGIT_ROWS * LOGIT_COPIES * shape.vocabulary * FLOAT32
    return tokens * activation_bytes(shape, plan) + logits


def _sampling_bytes(shape: ModelShape, plan: TrainingPlan) -> float:
    """Keys and values, and the adapted weights with their adapters merged beside the original ones."""
    merged = plan.trained_layers * shape.map_weights * plan.bytes_per_weight
    if plan.lora_rank is None or plan.load_in is not None:
        merged = 0
    of_update = plan.episodes * (plan.prompt_tokens + plan.answer_tokens)
    positions = min(SAMPLED_POSITIONS, max(of_update, plan.evaluated_tokens))
    return merged + positions * shape.layers * 2 * shape.key_width * plan.bytes_per_weight
