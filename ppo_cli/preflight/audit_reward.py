"""`ppo reward`: is the reward of a config sound, what does it lean on, and can it be tricked?

Not here: the single looks (`rewards.audit`), the rest of the gate (`sft_check`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppo_cli.experiment.load import LoadedExperiment
from ppo_cli.preflight.reward_checks import RewardAudit, audit_on_samples
from ppo_cli.preflight.start_samples import sample_start_model
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import PromptAnswers, RewardScore
from ppo_cli.records.checks import worst
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.results import RewardAuditResult
from ppo_cli.setup.resolve import read_inputs, resolve_experiment
from ppo_cli.setup.reward_resources import open_terms

PROMPTS_SAMPLED = 48
SAMPLES_EACH = 4
EXAMPLES = 3


def audit_reward(loaded: LoadedExperiment, *, on_event: EventHandler = ignore_events) -> RewardAuditResult:
    """Scores the start model's answers, made ones and written ones, and looks at what is paid.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used.
    """
    from ppo_cli.setup.start_model import load_start_model

    experiment = loaded.experiment
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    open_terms(resolved.inputs.reward, on_event)
    start = load_start_model(resolved, on_event)
    tried = sample_start_model(
        start.opened,
        resolved.tokenizer,
        stratified_subset(resolved.inputs.train, PROMPTS_SAMPLED),
        samples=SAMPLES_EACH,
        limit=experiment.rollout.max_new_tokens,
        temperature=experiment.rollout.temperature,
        seed=experiment.seed,
        on_event=on_event,
    )
    found = audit_on_samples(resolved.inputs, tried.trial)
    return RewardAuditResult(
        name=str(loaded.source),
        goal=experiment.goal,
        status=worst(found.checks),
        checks=tuple(found.checks),
        exploits=found.exploits,
        answers=tried.answers,
        terms=term_statistics(found.scored),
        examples=_highest_and_lowest(tried.trial, found),
    )


def term_statistics(scored: Sequence[RewardScore]) -> dict[str, tuple[float, float, float, float]]:
    """Mean, standard deviation, least and greatest value of each term."""
    values = {name: np.array([item.terms[name] for item in scored]) for name in (scored[0].terms if scored else ())}
    return {
        name: (float(found.mean()), float(found.std()), float(found.min()), float(found.max()))
        for name, found in values.items()
    }


def _highest_and_lowest(trial: PromptAnswers, found: RewardAudit) -> tuple[tuple[str, str, float], ...]:
    rows = [(prompt.text, answer.text) for prompt, answers in trial.rows() for answer in answers]
    paid = sorted(zip(rows, found.scored, strict=False), key=lambda row: -row[1].reward)
    shown = [*paid[:EXAMPLES], *paid[-EXAMPLES:]] if len(paid) > 2 * EXAMPLES else paid
    return tuple((prompt, answer, scored.reward) for (prompt, answer), scored in shown)
