"""Every key of an experiment: its type, default, range, meaning, and what a change of it means between two runs.

Not here: the types of reward term (`term_types`), reading YAML (`load`), checks across groups (`cross_checks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from ppo_cli.experiment.measure_types import DECLARED, AnyMeasure
from ppo_cli.experiment.schema_base import FILE, FREE, FROZEN, MODEL, TREATMENT, ConfigGroup, Seed, TextList
from ppo_cli.experiment.term_types import AnyTerm

TERM_NAME = r"^[^\s./\\:=*$]+$"
"""What a reward term may be called: its name is part of key paths and of folders in a run."""

MEASURE_NAME = r"^\w+$"
"""What a measure of a config may be called: its name is part of `own.NAME`, of key paths and of folders in a run."""

TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow", "swanlab")
"""What `tracking` may name; each is the name of its package too."""


AttentionName = Literal["auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]
"""Attention that transformers itself carries; any other name would be fetched from the hub and run."""


class Round(NamedTuple):
    """One step on the way from a first run to a trustworthy one."""

    question: str
    may_change: tuple[str, ...]
    """Keys and groups of keys that may differ from the parent run."""


ROUNDS: dict[int, Round] = {
    1: Round("is it controllable", ("kl", "ppo", "seed")),
    2: Round("tune the reward", ("reward", "seed")),
    3: Round("widen the data", ("prompts.train", "seed")),
    4: Round("harder evaluation", ("prompts.eval", "evaluation", "seed")),
}


class Lora(ConfigGroup):
    """Low-rank adapters on every linear map of the trained layers (Hu et al. 2021)."""

    r: Annotated[int, TREATMENT, Field(ge=1, le=1024)] = 16
    """Rank of an adapter."""
    alpha: Annotated[int, TREATMENT, Field(ge=1)] = 32
    """Scale: an adapter's output is multiplied by alpha / r."""


class TrainedPart(ConfigGroup):
    """Which part of the policy PPO trains; all below it stays frozen and is computed once."""

    top_layers: Annotated[int | None, TREATMENT, Field(ge=1)] = None
    """Number of top layers that are trained; null trains all of them."""
    lora: Lora | None = Field(default_factory=Lora)
    """Train adapters on those layers, or, when null, their own weights."""
    gradient_checkpointing: Annotated[bool, FREE] = False
    """Compute a layer's activations twice in place of keeping them: the same numbers, less memory, more time."""


class Sft(ConfigGroup):
    """The short supervised warm start (used when model.warm_start names a file)."""

    epochs: Annotated[int, FROZEN, Field(ge=1, le=100)] = 2
    """Passes over the examples."""
    learning_rate: Annotated[float, FROZEN, Field(gt=0.0, le=1.0)] = 3e-4
    """Peak learning rate of AdamW; it falls linearly to 0."""
    batch_size: Annotated[int, FROZEN, Field(ge=1)] = 8
    """Examples per optimizer step."""
    top_layers: Annotated[int | None, FROZEN, Field(ge=1)] = None
    """Number of top layers that get adapters; null gives them to all."""
    lora_r: Annotated[int, FROZEN, Field(ge=1, le=1024)] = 16
    """Rank of the adapters, which are merged into the weights afterwards; their scale is 2."""
    seed: Annotated[Seed, FROZEN] = 0
    """Seed of adapter initialisation and of the order of examples."""


class Model(ConfigGroup):
    """The start model: the policy at update 0 and, frozen, the reference."""

    start: Annotated[str, FROZEN, MODEL]
    """builtin:NAME, a Hugging Face id, a folder, or a checkpoint of an earlier run such as RUN/best."""
    revision: Annotated[str | None, FROZEN] = None
    """Commit of a Hugging Face model; null resolves the newest one and pins it in the lock."""
    warm_start: Annotated[str | None, FROZEN, FILE] = None
    """JSONL file of prompts with an `answer`, for a short SFT before PPO; null starts without one."""
    sft: Sft = Field(default_factory=Sft)
    """Settings of the warm start."""
    system_prompt: Annotated[str | None, FROZEN] = None
    """System turn put before each prompt; null adds none of its own."""
    train: TrainedPart = Field(default_factory=TrainedPart)
    """Which part of the policy PPO trains."""
    dtype: Annotated[Literal["auto", "float32", "bfloat16"], FROZEN] = "auto"
    """Type of the weights; auto takes bfloat16 where the processor computes in it, else float32."""
    attn_implementation: Annotated[AttentionName, FROZEN] = "auto"
    """Attention that the model computes with; auto takes transformers' choice, on a CPU plain grouped products."""
    load_in: Annotated[Literal["8bit", "4bit"] | None, FROZEN] = None
    """Hold the frozen linear maps in 8 or 4 bits (QLoRA; needs bitsandbytes and adapters); null holds them in dtype."""
    trust_remote_code: Annotated[bool, FROZEN] = False
    """Run Python code that a model repository brings along. Only for authors you trust."""


class Prompts(ConfigGroup):
    """The prompt files: JSONL, one {id, prompt, category, expect, pair_id} per line."""

    train: Annotated[str, FROZEN, FILE]
    """Prompts that PPO draws its episodes from."""
    eval: Annotated[str, FROZEN, FILE]
    """Prompts that every evaluation answers; they must not overlap with train."""
    max_tokens: Annotated[int, FROZEN, Field(ge=8)] = 256
    """Longest rendered prompt that is accepted, in tokens."""


class Rollout(ConfigGroup):
    """How training answers are sampled: plain temperature sampling, as PPO's ratio assumes."""

    max_new_tokens: Annotated[int, FROZEN, Field(ge=1, le=8192)] = 32
    """Longest answer, in tokens."""
    temperature: Annotated[float, FROZEN, Field(gt=0.0, le=5.0)] = 0.9
    """Sampling temperature; log-probabilities and the KL penalty are taken at it too."""


class Evaluation(ConfigGroup):
    """How behaviour is measured: fixed prompts, fixed sampling, fixed random draws."""

    samples_per_prompt: Annotated[int, FROZEN, Field(ge=1, le=256)] = 4
    """Answers sampled per prompt."""
    max_new_tokens: Annotated[int, FROZEN, Field(ge=1, le=8192)] = 48
    """Longest answer, in tokens."""
    temperature: Annotated[float, FROZEN, Field(ge=0.0, le=5.0)] = 0.7
    """Sampling temperature; 0 takes the likeliest token each time."""
    seed: Annotated[Seed, FROZEN] = 1234
    """Seed of the draws: each (prompt, sample) has its own, the same for every policy."""
    every: Annotated[int, FREE, Field(ge=0)] = 5
    """Updates between two evaluations while training; 0 evaluates only at the start and the end."""
    interim_prompts: Annotated[int, FREE, Field(ge=0)] = 80
    """Prompts of the fixed stratified subset that interim evaluations use; 0 uses all."""
    primary: Annotated[str, FROZEN] = "refusal.separation"
    """The one measure that the verdict is about."""
    primary_confirmed: Annotated[bool, FREE] = False
    """Whether you decided that the primary measure shows if the goal is reached; asked where the goal was changed."""
    smallest_effect: Annotated[float, FROZEN, Field(gt=0.0)] = 0.3
    """Smallest change of the primary measure that would matter to you, in its unit."""
    cluster: Annotated[Literal["category", "pair_id"] | None, FREE] = None
    """Prompts that vary together, by this field: intervals and tests are over them; null takes each prompt alone."""
    measures: dict[Annotated[str, Field(pattern=MEASURE_NAME)], AnyMeasure] = Field(default_factory=dict)
    """Measures of your own, by name, each called own.NAME; one whose name is a type of reward needs no `type`."""

    def model_post_init(self, _context: Any) -> None:  # noqa: ANN401 - pydantic's
        """Makes the measures known by their names."""
        DECLARED.update(self.measures)

    @field_validator("measures", mode="before")
    @classmethod
    def _type_from_name(cls, measures: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        return _with_types(measures)


class Reward(ConfigGroup):
    """reward = score(answer) - score(baseline answer to the same prompt)."""

    baseline: Annotated[Literal["reference", "written", "none"], TREATMENT] = "reference"
    """Subtract the score of the reference's own answers, of the prompt file's `answer`, or nothing."""
    baseline_samples: Annotated[int, TREATMENT, Field(ge=1, le=64)] = 1
    """Answers of the reference whose mean score is the baseline; more make the reward less noisy."""
    placebo: Annotated[bool, TREATMENT] = False
    """Permute the rewards among the answers of each update: a control run that learns nothing from them."""
    terms: dict[Annotated[str, Field(pattern=TERM_NAME)], AnyTerm] = Field(default_factory=dict)
    """The terms of the score, by name; a term whose name is a type of reward needs no `type`."""

    @field_validator("terms", mode="before")
    @classmethod
    def _type_from_name(cls, terms: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        return _with_types(terms)


def _with_types(terms: Any) -> Any:  # noqa: ANN401 - whatever a file holds
    """Terms or measures by name, each with its type: where none is given, the one that it is named for."""
    if not isinstance(terms, Mapping):
        return terms
    return {
        name: {**term, "type": name} if isinstance(term, Mapping) and term.get("type") is None else term
        for name, term in terms.items()
    }


class Kl(ConfigGroup):
    """How far the policy may move from the reference."""

    coef: Annotated[float, TREATMENT, Field(ge=0.0, le=100.0)] = 0.15
    """Penalty per nat of KL, in units of reward (Ziegler et al. 2019, eq. 2)."""
    estimator: Annotated[Literal["k1", "k3"], TREATMENT] = "k1"
    """Per-token estimator of the penalty: k1 = -log r, k3 = r - 1 - log r (Schulman 2020)."""
    target: Annotated[float | None, TREATMENT, Field(gt=0.0)] = None
    """If set, coef is steered so that KL stays near it, in nats per answer (Ziegler et al. 2019, 2.2)."""
    horizon: Annotated[int, TREATMENT, Field(ge=1)] = 10_000
    """Episodes over which the steering towards the target acts."""
    stop_at: Annotated[float | None, TREATMENT, Field(gt=0.0)] = 12.0
    """The run ends early when an update's mean KL passes this, in nats per answer; null never does."""


class Ppo(ConfigGroup):
    """The PPO variables (Schulman et al. 2017), with the names of the field."""

    updates: Annotated[int, TREATMENT, Field(ge=1)] = 30
    """Rounds of rollout and optimisation."""
    episodes_per_update: Annotated[int, TREATMENT, Field(ge=4)] = 64
    """Answers that are sampled and scored per update."""
    answers_per_prompt: Annotated[int, TREATMENT, Field(ge=1, le=64)] = 1
    """Answers per prompt; from 2 on, the mean score of a prompt's other answers is subtracted from each score."""
    epochs: Annotated[int, TREATMENT, Field(ge=1, le=100)] = 2
    """Passes over an update's episodes."""
    minibatches: Annotated[int, TREATMENT, Field(ge=1)] = 2
    """Optimizer steps per pass; must divide episodes_per_update."""
    learning_rate: Annotated[float, TREATMENT, Field(gt=0.0, le=1.0)] = 1e-4
    """Learning rate of the policy (AdamW)."""
    optimizer: Annotated[Literal["adamw", "adamw_8bit", "paged_adamw_8bit"], TREATMENT] = "adamw"
    """AdamW, or with moments in 8 bits (Dettmers et al. 2022; needs bitsandbytes), or these paged to the machine."""
    tokens_per_pass: Annotated[Annotated[int, Field(ge=64)] | Literal["auto"], FREE] = "auto"  # noqa: S105
    """Padded tokens in one pass with gradients; auto starts with what fits and halves it where memory runs out."""
    critic: Annotated[Literal["head", "layers"], TREATMENT] = "head"
    """A small head on the reference's hidden states, or layers of its own below it: a trained copy of the policy's."""
    critic_learning_rate: Annotated[float, TREATMENT, Field(gt=0.0, le=1.0)] = 1e-3
    """Learning rate of the critic (AdamW)."""
    critic_warmup_updates: Annotated[int, TREATMENT, Field(ge=0)] = 0
    """First updates that train the critic alone; the policy stays as it is."""
    warmup_updates: Annotated[int, TREATMENT, Field(ge=0)] = 2
    """Updates over which both learning rates rise linearly to their value."""
    learning_rate_schedule: Annotated[Literal["constant", "linear"], TREATMENT] = "constant"
    """After the rise: constant, or falling linearly, so that it would reach 0 after the last update."""
    cliprange: Annotated[float, TREATMENT, Field(gt=0.0, le=1.0)] = 0.2
    """How far the probability ratio may move before its gradient is cut (eq. 7)."""
    cliprange_value: Annotated[float, TREATMENT, Field(gt=0.0)] = 0.2
    """How far a value may move from its old estimate before its gradient is cut."""
    baseline_fit: Annotated[bool, TREATMENT] = False
    """Take off each reward what the score of its prompt's baseline answers explains, by a line through the others."""
    cliprange_reward: Annotated[float | None, TREATMENT, Field(gt=0.0)] = None
    """If set, PPO learns from rewards cut to this distance from 0, in units of reward; the records keep them whole."""
    dual_clip: Annotated[float | None, TREATMENT, Field(gt=1.0)] = None
    """If set, bounds the loss of a token of negative advantage at this ratio (Ye et al. 2020, eq. 5); usually 3."""
    gamma: Annotated[float, TREATMENT, Field(gt=0.0, le=1.0)] = 1.0
    """Discount of later rewards."""
    gae_lambda: Annotated[float, TREATMENT, Field(ge=0.0, le=1.0)] = 0.95
    """Trade-off of bias and variance in the advantage (Schulman et al. 2016, eq. 16)."""
    target_kl: Annotated[float | None, TREATMENT, Field(gt=0.0)] = None
    """If set, an update ends after the first optimizer step whose approx_kl passes this, in nats per token."""
    target_kl_skips_step: Annotated[bool, TREATMENT] = False
    """End the update before that step: it is measured and not taken."""
    max_grad_norm: Annotated[float, TREATMENT, Field(gt=0.0)] = 1.0
    """Gradients are scaled down to this norm."""
    whiten_rewards: Annotated[bool, TREATMENT] = False
    """Scale each update's rewards to variance 1, keeping their mean."""

    @property
    def prompts_per_update(self) -> int:
        """Different prompts that an update's episodes answer."""
        return self.episodes_per_update // self.answers_per_prompt


class Checkpoints(ConfigGroup):
    """What is kept on disk while training."""

    every: Annotated[int, FREE, Field(ge=1)] = 5
    """Updates between two checkpoints; each interim evaluation saves one too."""
    keep: Annotated[int, FREE, Field(ge=1)] = 2
    """Number of newest checkpoints that are kept; the best at the interim evaluations stays too."""


class Experiment(ConfigGroup):
    """One frozen experiment: what to align to, from where, on what, and with which PPO variables."""

    name: Annotated[str, FREE]
    """Short name; run folders begin with it."""
    goal: Annotated[str, FROZEN]
    """What to align to, in one plain sentence: in which situation, which behaviour."""
    round: Annotated[int, FROZEN, Field(ge=1, le=4)] = 1
    """1 is it controllable, 2 tune the reward, 3 widen the data, 4 harder evaluation."""
    joint_treatment: Annotated[TextList, FROZEN] = ()
    """Keys that are changed together on purpose and count as one treatment, as [kl.coef, kl.target]; [] has none."""
    parent: Annotated[str | None, FREE] = None
    """The run that this one varies; `round` decides what may differ from it. null has none."""
    model: Model
    """The start model."""
    prompts: Prompts
    """The prompt files."""
    rollout: Rollout = Field(default_factory=Rollout)
    """How training answers are sampled."""
    evaluation: Evaluation = Field(default_factory=Evaluation)
    """How behaviour is measured."""
    reward: Reward = Field(default_factory=Reward)
    """What is rewarded."""
    kl: Kl = Field(default_factory=Kl)
    """How far the policy may move from the reference."""
    ppo: Ppo = Field(default_factory=Ppo)
    """The PPO variables."""
    checkpoints: Checkpoints = Field(default_factory=Checkpoints)
    """What is kept on disk."""
    tracking: Annotated[TextList, FREE, Field(json_schema_extra={"items": {"enum": list(TRACKERS)}})] = ()
    """Trackers that get the metrics besides metrics.jsonl: tensorboard, wandb, trackio, mlflow, swanlab."""
    seed: Annotated[Seed, TREATMENT] = 1
    """Seed of everything PPO draws: adapters, critic, prompt order, answers, minibatches."""
    device: Annotated[str, FREE] = "auto"
    """auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:N, or mps (an Apple GPU)."""
    output: Annotated[str, FREE] = "runs"
    """Folder that holds the run folders, from where the command is typed."""
