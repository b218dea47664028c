"""The command `ppo reward`: samples the start model of a config and audits its reward on the answers.

Not here: the audit itself (`rewards.audit.run`), all other checks (`sft_check`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.preflight.start_samples import SampleSettings, sample_start_model
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import RewardScore
from ppo_cli.records.checks import worst
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.results import RewardAuditResult
from ppo_cli.rewards.audit.run import AuditedReward, RewardAudit, audit_on_samples
from ppo_cli.setup.resolve import ExperimentInputs, ResolvedExperiment, read_inputs, resolve_experiment
from ppo_cli.setup.reward_resources import open_terms
from ppo_cli.setup.tokenized_prompts import TokenizedPrompts

PROMPTS_SAMPLED = 48
"""Training prompts that the start model answers."""
SAMPLES_PER_PROMPT = 4
EXAMPLES_PER_END = 3
"""Answers shown with the highest reward, and with the lowest."""


def audit_reward(config: str | Path | LoadedExperiment, *, on_event: EventHandler = ignore_events) -> RewardAuditResult:
    """Audits a config's reward: on answers of its start model, on exploit answers, and on written answers.

    Args:
        config: the experiment's YAML file, or an experiment from `load_experiment`.
        on_event: called with each progress event.

    Returns:
        Status (pass, warn or fail), the checks, every exploit, statistics of each term, and example answers.

    Raises:
        UsageError: the config, a prompt file, the model or something that a reward term names cannot be used.

    Example:
        >>> result = audit_reward("configs/refusal.yaml")
        >>> [check.name for check in result.checks if check.status == "fail"]
        []
    """
    from ppo_cli.setup.start_model import load_start_model

    loaded = config if isinstance(config, LoadedExperiment) else load_experiment(Path(config))
    experiment = loaded.experiment
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    open_terms(resolved.inputs.reward, on_event)
    start = load_start_model(resolved, on_event)
    samples = sample_start_model(
        start.opened, resolved.tokenizer, sampled_prompts(resolved), sample_settings(resolved), on_event
    )
    audit = audit_on_samples(audited_reward(resolved.inputs), samples.samples)
    return RewardAuditResult(
        name=str(loaded.source),
        goal=experiment.goal,
        status=worst(audit.checks),
        checks=tuple(audit.checks),
        exploits=audit.exploits,
        answers=len(audit.scored) or samples.answer_count,
        terms=term_statistics(audit.scored),
        examples=_highest_and_lowest(audit),
    )


def audited_reward(inputs: ExperimentInputs) -> AuditedReward:
    """The reward of a config as the audit takes it; a warm start's written answers come first, as good examples."""
    experiment = inputs.experiment
    return AuditedReward(
        reward=inputs.reward,
        baseline=experiment.reward.baseline,
        train=inputs.train,
        written=[prompt for prompt in (*inputs.sft, *inputs.train, *inputs.evaluation) if prompt.answer],
        max_new_tokens=experiment.rollout.max_new_tokens,
        episodes_per_update=experiment.ppo.episodes_per_update,
    )


def sampled_prompts(resolved: ResolvedExperiment) -> TokenizedPrompts:
    """The training prompts that the start model answers, stratified by category."""
    return resolved.train.only({prompt.id for prompt in stratified_subset(resolved.inputs.train, PROMPTS_SAMPLED)})


def sample_settings(resolved: ResolvedExperiment) -> SampleSettings:
    """Samples the start model as training will, with the seed of the run."""
    experiment = resolved.experiment
    return SampleSettings(
        per_prompt=SAMPLES_PER_PROMPT,
        max_new_tokens=experiment.rollout.max_new_tokens,
        temperature=experiment.rollout.temperature,
        seed=experiment.seed,
    )


def term_statistics(scored: Sequence[RewardScore]) -> dict[str, tuple[float, float, float, float]]:
    """Mean, standard deviation, minimum and maximum of each term."""
    values = {name: np.array([item.terms[name] for item in scored]) for name in (scored[0].terms if scored else ())}
    return {
        name: (float(column.mean()), float(column.std()), float(column.min()), float(column.max()))
        for name, column in values.items()
    }


def _highest_and_lowest(audit: RewardAudit) -> tuple[tuple[str, str, float], ...]:
    texts = [(prompt.text, answer.text) for prompt, answers in audit.samples.rows() for answer in answers]
    ranked = sorted(zip(texts, audit.scored, strict=False), key=lambda row: -row[1].reward)
    several = len(ranked) > 2 * EXAMPLES_PER_END
    shown = [*ranked[:EXAMPLES_PER_END], *ranked[-EXAMPLES_PER_END:]] if several else ranked
    return tuple((prompt, answer, scored.reward) for (prompt, answer), scored in shown)
