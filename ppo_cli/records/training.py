"""The records of a training run: its state, its updates, its episodes.

Not here: evaluations (`measures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ppo_cli.records.answers import Answer


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One training rollout: a row of rollouts.jsonl, where the answer's fields lie flat."""

    update: int
    episode: int
    """Count over the run, from 1."""
    prompt_id: str
    prompt: str
    answer: Answer
    baseline_answer: str | None
    """Text of the first baseline answer."""
    reward: float
    terms: Mapping[str, float]
    baseline_terms: Mapping[str, float]
    kl: float
    """Sum over the answer's tokens of log(policy / reference) at the rollout temperature, nats."""


@dataclass(frozen=True, kw_only=True)
class UpdateMetrics:
    """The metrics of one PPO update: a row of metrics.jsonl. Times are in timings.jsonl, since they do not repeat."""

    update: int
    """Number of the update, from 1."""
    episodes: int
    """Episodes so far."""
    reward: float
    """Mean reward of the update's episodes, before the KL penalty."""
    reward_std: float
    """Standard deviation of the same; 0 means that the update has nothing to learn from."""
    terms: Mapping[str, float]
    """Mean raw value of each reward term."""
    term_statistics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of each term: mean and std of its raw value; over_baseline and over_baseline_std, the same of its difference from
    the baseline answers; scale, what that difference is divided by, if the term is normalised."""
    kl: float
    """Mean KL to the reference, nats per answer, k1 at the rollout temperature."""
    kl_per_token: float
    """The same over all tokens of the update, nats per token."""
    kl_coef: float
    """Coefficient used in this update."""
    kl_penalty: float
    """Mean of kl_coef times the estimator, summed over an answer; units of reward."""
    mean_answer_tokens: float
    """Mean answer length, tokens, without those of its reasoning."""
    eos_rate: float
    """Share of answers that ended their turn."""
    entropy: float
    """Mean entropy of the policy's next-token distribution, nats per token."""
    sampler_mismatch: float
    """Mean |log-probability while sampling - in training|, nats per token; rounding, not learning."""
    approx_kl: float
    """Half the mean squared change of log-probability in this update's optimisation, nats per token."""
    clip_fraction: float
    """Share of tokens whose ratio was clipped."""
    ratio: float
    """Mean probability ratio in the optimisation."""
    policy_loss: float
    """Clipped surrogate loss; the data changes with every update, so it is no measure of progress."""
    value_loss: float
    """Half the squared error of the critic, clipped; units of reward squared."""
    explained_variance: float | None
    """1 - var(return - value) / var(return); None when returns do not vary."""
    grad_norm: float
    """Mean norm of the gradient before clipping."""
    learning_rate: float
    """Learning rate of the policy in this update."""
    placebo: bool = False
    """Whether the update learnt from rewards permuted among its answers; `reward` and `terms` are the true ones."""


Status = Literal["running", "finished", "stopped_early", "interrupted", "failed"]
COMPLETED_STATUSES: tuple[Status, ...] = ("finished", "stopped_early")
"""Statuses of a run that needs no further training."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """run.json: status and progress of a run."""

    id: str
    status: Status
    started: str
    """UTC, ISO 8601."""
    ended: str | None = None
    updates_done: int = 0
    reason: str | None = None
    """Why it ended before its last update, if it did."""
    host: str = ""
    pid: int = 0
    exit_code: int | None = None
    parent: str | None = None
    """The run that this one was compared with when it was started (`--parent`), if any."""
    changed_keys: Mapping[str, Any] = field(default_factory=dict)
    """Overrides typed on the command line, {key: value}; of a run with a parent, all that differs from it."""
    best_step: int | None = None
    """Update of the best checkpoint at the interim evaluations so far; None before the first."""
    overridden_checks: Sequence[str] = ()
    """Names of failed preflight checks that were overridden with --force."""
    started_from: Mapping[str, Any] | None = None
    """The checkpoint of an earlier run that is the start model: its run, update and digest; None of another model."""
    mark: str | None = None
    """Shows that this user made the run on this machine; None where no key could be kept."""


@dataclass(frozen=True, kw_only=True)
class BestCheckpoint:
    """The checkpoint with the best primary measure at the interim evaluations."""

    step: int
    value: float
    """Its primary measure on the interim prompts."""
    last: float | None
    """The same of the last policy."""
    prompts: int
    """Prompts of an interim evaluation."""
