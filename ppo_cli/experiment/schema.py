"""Every key of an experiment: its type, default, range, and whether it may move between two runs.

The class of a key (`role`) says what a change of it means when two runs are compared:

- ``frozen``     the ground a comparison stands on; runs that differ here answer different questions,
- ``treatment``  what an experiment varies, one key at a time,
- ``free``       no effect on any number: names, folders, how often to save.

Not here: reading YAML (`load`), checks across keys (`checks`), digests (`freeze`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

REQUIRED = "???"
"""OmegaConf's mark for a value that the file must give."""

LARGEST_SEED = 2**32 - 1
"""What every library's generator takes."""

KeyRole = Literal["frozen", "treatment", "free"]

ROUNDS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("is it controllable", ("kl", "ppo", "seed")),
    2: ("tune the reward", ("reward", "seed")),
    3: ("widen the data", ("prompts.train", "seed")),
    4: ("harder evaluation", ("prompts.eval", "evaluation", "seed")),
}
"""The question of each round, and the keys that it lets move against the run before."""

TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow")
"""What `tracking` may name; each is the name of its package too."""


def key(
    default: Any,  # noqa: ANN401 - a default has the type of its field
    role: KeyRole,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    is_path: bool = False,
) -> Any:  # noqa: ANN401 - dataclasses.field is typed so too
    """Declares one key: its default, its class, and the range of its value."""
    metadata = {"role": role, "above": above, "at_least": at_least, "at_most": at_most, "is_path": is_path}
    if isinstance(default, list):  # each experiment has its own
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters on every linear map of the trained layers (Hu et al. 2021)."""

    r: int = key(16, "treatment", at_least=1, at_most=1024)
    """Rank of an adapter."""
    alpha: int = key(32, "treatment", at_least=1)
    """Scale: an adapter's output is multiplied by alpha / r."""


@dataclass(frozen=True, kw_only=True)
class TrainedPart:
    """Which part of the policy PPO moves; all below it stays frozen and is computed once."""

    layers: int | None = key(None, "treatment", at_least=1)
    """Number of top layers that are trained; null trains all of them."""
    lora: Lora | None = field(default_factory=Lora)
    """Train adapters on those layers, or, when null, their own weights."""


@dataclass(frozen=True, kw_only=True)
class Sft:
    """The short supervised warm start (used when model.warm_start names a file)."""

    epochs: int = key(2, "frozen", at_least=1, at_most=100)
    """Passes over the examples."""
    learning_rate: float = key(3e-4, "frozen", above=0.0, at_most=1.0)
    """Peak learning rate of AdamW; it falls linearly to 0."""
    batch_size: int = key(8, "frozen", at_least=1)
    """Examples in one step."""
    layers: int | None = key(None, "frozen", at_least=1)
    """Number of top layers that get adapters; null gives them to all."""
    lora_r: int = key(16, "frozen", at_least=1, at_most=1024)
    """Rank of the adapters, which are merged into the weights afterwards; their scale is 2."""
    seed: int = key(0, "frozen", at_least=0, at_most=LARGEST_SEED)
    """Seed of adapter initialisation and of the order of examples."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """The start model: the policy at update 0 and, frozen, the reference."""

    start: str = key(REQUIRED, "frozen")
    """builtin:NAME, a Hugging Face id, or a folder."""
    revision: str | None = key(None, "frozen")
    """Commit of a Hugging Face model; null resolves the newest one and pins it in the lock."""
    warm_start: str | None = key(None, "frozen", is_path=True)
    """JSONL file of prompts with an `answer`, for a short SFT before PPO; null starts as it is."""
    sft: Sft = field(default_factory=Sft)
    """Settings of the warm start."""
    system_prompt: str | None = key(None, "frozen")
    """System turn put before each prompt; null adds none of its own."""
    train: TrainedPart = field(default_factory=TrainedPart)
    """Which part of the policy PPO moves."""
    dtype: Literal["auto", "float32", "bfloat16"] = key("auto", "frozen")
    """Type of the weights; auto takes bfloat16 where the processor computes in it, else float32."""
    trust_remote_code: bool = key(False, "frozen")
    """Run Python code that a model repository brings along. Only for authors you trust."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The prompt files, JSONL, one {id, prompt, category, expect, pair_id} a line."""

    train: str = key(REQUIRED, "frozen", is_path=True)
    """Prompts that PPO draws its episodes from."""
    eval: str = key(REQUIRED, "frozen", is_path=True)
    """Prompts that every evaluation answers; they must not overlap with train."""
    max_tokens: int = key(256, "frozen", at_least=8)
    """Longest rendered prompt that is accepted, in tokens."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How training answers are sampled: plain temperature sampling, as PPO's ratio assumes."""

    max_new_tokens: int = key(32, "frozen", at_least=1, at_most=8192)
    """Longest answer, in tokens."""
    temperature: float = key(0.9, "frozen", above=0.0, at_most=5.0)
    """Sampling temperature; log-probabilities and the KL penalty are taken at it too."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How behaviour is measured: fixed prompts, fixed sampling, fixed draws."""

    samples_per_prompt: int = key(4, "frozen", at_least=1, at_most=256)
    """Answers drawn for each prompt."""
    max_new_tokens: int = key(48, "frozen", at_least=1, at_most=8192)
    """Longest answer, in tokens."""
    temperature: float = key(0.7, "frozen", at_least=0.0, at_most=5.0)
    """Sampling temperature; 0 takes the likeliest token each time."""
    seed: int = key(1234, "frozen", at_least=0, at_most=LARGEST_SEED)
    """Seed of the draws: each (prompt, sample) has its own, the same for every policy."""
    every: int = key(5, "free", at_least=0)
    """Updates between two evaluations while training; 0 evaluates only at the start and the end."""
    interim_prompts: int = key(80, "free", at_least=0)
    """Prompts of the fixed stratified subset that evaluations in between use; 0 uses all."""
    primary: str = key("refusal.separation", "frozen")
    """The one measure that the verdict is about."""
    smallest_effect: float = key(0.3, "frozen", above=0.0)
    """Smallest change of the primary measure that would matter to you, in its unit."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """One named part of the reward."""

    weight: float = key(1.0, "treatment", at_least=-1000.0, at_most=1000.0)
    """Factor of this term in the sum."""
    kind: str | None = key(None, "treatment")
    """What the term scores, one of `term_kinds`; null takes the kind that the term is named for."""
    normalise: bool = key(False, "treatment")
    """Divide what the term pays by its standard deviation in the first update, so that weights compare."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What else the kind is told; in a file these stand beside the weight."""


@dataclass(frozen=True, kw_only=True)
class Reward:
    """reward = score(answer) - score(other answer to the same prompt)."""

    other: Literal["reference", "written", "none"] = key("reference", "treatment")
    """Compare with the reference's own answers, with the prompt file's `answer`, or with nothing."""
    other_samples: int = key(1, "treatment", at_least=1, at_most=64)
    """Answers of the reference that the other score is the mean of; more make the reward less noisy."""
    terms: dict[str, Term] = field(default_factory=dict)
    """The terms of the score, by name."""


@dataclass(frozen=True, kw_only=True)
class Kl:
    """The risk knob: how far the policy may move from the reference."""

    coef: float = key(0.15, "treatment", at_least=0.0, at_most=100.0)
    """Price of one nat of KL in units of reward (Ziegler et al. 2019, eq. 2)."""
    estimator: Literal["k1", "k3"] = key("k1", "treatment")
    """Per-token estimator of the penalty: k1 = -log r, k3 = r - 1 - log r (Schulman 2020)."""
    target: float | None = key(None, "treatment", above=0.0)
    """If set, coef is steered so that KL stays near it, in nats per answer (Ziegler et al. 2019, 2.2)."""
    horizon: int = key(10_000, "treatment", at_least=1)
    """Episodes over which the steering towards the target acts."""
    stop_at: float | None = key(12.0, "treatment", above=0.0)
    """The run ends early when an update's mean KL passes this, in nats per answer; null never does."""


@dataclass(frozen=True, kw_only=True)
class Ppo:
    """The PPO variables (Schulman et al. 2017), with the names of the field."""

    updates: int = key(30, "treatment", at_least=1)
    """Rounds of rollout and optimisation."""
    episodes_per_update: int = key(64, "treatment", at_least=4)
    """Prompts answered in one update."""
    epochs: int = key(2, "treatment", at_least=1, at_most=100)
    """Passes over an update's episodes."""
    minibatches: int = key(2, "treatment", at_least=1)
    """Optimizer steps in one pass; must divide episodes_per_update."""
    learning_rate: float = key(1e-4, "treatment", above=0.0, at_most=1.0)
    """Learning rate of the policy (AdamW)."""
    critic: Literal["head", "layers"] = key("head", "treatment")
    """A small head on the reference's hidden states, or layers of its own below it: a trained copy of the policy's."""
    critic_learning_rate: float = key(1e-3, "treatment", above=0.0, at_most=1.0)
    """Learning rate of the critic (AdamW)."""
    warmup_updates: int = key(2, "treatment", at_least=0)
    """Updates over which both learning rates rise linearly to their value."""
    cliprange: float = key(0.2, "treatment", above=0.0, at_most=1.0)
    """How far the probability ratio may move before its gradient is cut (eq. 7)."""
    cliprange_value: float = key(0.2, "treatment", above=0.0)
    """How far a value may move from its old estimate before its gradient is cut."""
    value_coef: float = key(0.1, "treatment", above=0.0)
    """Weight of the critic's loss."""
    gamma: float = key(1.0, "treatment", above=0.0, at_most=1.0)
    """Discount of later rewards."""
    gae_lambda: float = key(0.95, "treatment", at_least=0.0, at_most=1.0)
    """Trade-off of bias and variance in the advantage (Schulman et al. 2016, eq. 16)."""
    max_grad_norm: float = key(1.0, "treatment", above=0.0)
    """Gradients are scaled down to this norm."""
    whiten_rewards: bool = key(False, "treatment")
    """Scale each update's rewards to variance 1, keeping their mean."""


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """What is kept on disk while training."""

    every: int = key(5, "free", at_least=1)
    """Updates between two checkpoints; each interim evaluation has one besides."""
    keep: int = key(2, "free", at_least=1)
    """Number of newest checkpoints that are kept; the best at the interim evaluations stays too."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One frozen experiment: what to align to, from where, on what, and with which PPO variables."""

    name: str = key(REQUIRED, "free")
    """Short name; run folders begin with it."""
    goal: str = key(REQUIRED, "frozen")
    """What to align to, in one plain sentence: in which situation, which behaviour."""
    round: int = key(1, "frozen", at_least=1, at_most=4)
    """1 is it controllable, 2 tune the reward, 3 widen the data, 4 harder evaluation."""
    variable: list[str] = key([], "frozen")  # noqa: RUF009 - key gives a field
    """Keys that are moved together on purpose and count as one treatment, as [kl.coef, kl.target]; [] has none."""
    parent: str | None = key(None, "free")
    """The run that this one varies; `round` decides what may differ from it. null has none."""
    model: Model = field(default_factory=Model)
    """The start model."""
    prompts: Prompts = field(default_factory=Prompts)
    """The prompt files."""
    rollout: Rollout = field(default_factory=Rollout)
    """How training answers are sampled."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """How behaviour is measured."""
    reward: Reward = field(default_factory=Reward)
    """What is rewarded."""
    kl: Kl = field(default_factory=Kl)
    """The risk knob."""
    ppo: Ppo = field(default_factory=Ppo)
    """The PPO variables."""
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    """What is kept on disk."""
    tracking: list[str] = key([], "free")  # noqa: RUF009 - key gives a field
    """Trackers that get the metrics besides metrics.jsonl: tensorboard, wandb, trackio, mlflow."""
    seed: int = key(1, "treatment", at_least=0, at_most=LARGEST_SEED)
    """Seed of everything PPO draws: adapters, critic, prompt order, answers, minibatches."""
    device: str = key("auto", "free")
    """auto (CUDA if there is one), cpu, cuda or cuda:N."""
    output: str = key("runs", "free")
    """Folder that holds the run folders, from where the command is typed."""
