"""What best-of-n of the start model's answers shows of a reward: the result of `ppo rehearse`.

Not here: the results of other commands (`results`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ppo_cli.records.checks import MeanDifference
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.short_repr import short_repr


@dataclass(frozen=True, kw_only=True)
class BestOfRow:
    """The reward of the best of n answers of the start model."""

    n: int
    kl: float
    """log n - (n - 1) / n: the most that the best of n can be away from the start model, nats per answer."""
    reward: float
    """Expected reward of the best of n, without a baseline, mean over prompts."""
    gain: MeanDifference
    """The same less the mean reward of an answer."""
    share: float | None
    """Of the gain of the largest n; None where there is no gain."""


@dataclass(frozen=True, kw_only=True)
class RewardedAnswer:
    """An answer with its reward."""

    prompt_id: str
    prompt: str
    answer: str
    reward: float
    """Without a baseline."""
    gain: float
    """The reward less the mean reward of the prompt's answers."""
    terms: Mapping[str, float]
    """Each term's raw value, unweighted."""


@short_repr("name", "prompts", "samples_per_prompt", "kl_worth_asking", "warnings")
@dataclass(frozen=True, kw_only=True)
class RehearsalResult:
    """What a reward would teach: the highest-rewarded answers of the start model against its average answer."""

    name: str
    """The config."""
    goal: str
    prompts: int
    """Training prompts that were answered."""
    train_prompts: int
    """Training prompts of the config."""
    samples_per_prompt: int
    seed: int
    curve: tuple[BestOfRow, ...]
    kl_worth_asking: float | None
    """KL where the curve bends, nats per answer; None where the reward prefers no answer beyond chance."""
    conclusion: str
    """What `kl.target` is worth asking for, in a sentence or two."""
    warnings: tuple[str, ...]
    """What gets worse, or becomes common, among the highest-rewarded answers."""
    best_of_4: Comparison
    """The best of each four answers against an average answer, paired by prompt."""
    best_of_16: Comparison
    """The best of all answers to a prompt against an average answer, paired by prompt."""
    highest: tuple[RewardedAnswer, ...]
    """The highest-rewarded answers against their prompt's mean, at most one per prompt."""
    lowest: tuple[RewardedAnswer, ...]
    """The lowest-rewarded ones, in the same way."""
