"""`ppo sft-check`: may PPO start from this model, with this reward, on these prompts?

Line by line, each with its number, its threshold and the reason for it. PPO amplifies what is there: what a start
model never does cannot be rewarded, and what it does wrongly gets stronger.

Not here: training, the full evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ppo_cli.analysis.words import words
from ppo_cli.behaviours import form, refusal
from ppo_cli.commands.ground import Ground, Inputs, read_inputs, stand_on
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.subset import stratified_subset
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import Phase, Progress, Watcher, nobody
from ppo_cli.records.findings import Check, Gate
from ppo_cli.records.outcomes import GateOutcome

if TYPE_CHECKING:
    from ppo_cli.engine.policy import Policy

PROMPTS_SAMPLED = 48
SAMPLES_EACH = 4
EXAMPLES = 3


@dataclass(frozen=True)
class Trial:
    """Sampled answers of the start model with their rewards."""

    prompts: list[Prompt]
    answers: list[list[Answer]]
    """[prompts][samples]."""
    rewards: np.ndarray
    """[prompts, samples], against no other answer: what the terms say of the answer alone."""

    @property
    def all_answers(self) -> list[Answer]:
        return [answer for row in self.answers for answer in row]


def sft_check(experiment: Experiment, *, watcher: Watcher = nobody) -> GateOutcome:
    """Samples the start model and holds it against what PPO needs.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used.
        GateError: the reward broke its contract.
    """
    from ppo_cli.commands.start import load_start
    from ppo_cli.engine.policy import Policy

    ground = stand_on(read_inputs(experiment), watcher)
    start = load_start(ground, watcher)
    policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
    trial, kl = _try_out(policy, ground, watcher)
    inputs = ground.inputs
    checks = [
        *_token_checks(ground),
        *_answer_checks(trial),
        *_exploration_checks(trial),
        _same_as_reference(kl),
        *_audit(inputs),
    ]
    found = {check.outcome for check in checks}
    worst: Gate = "stop" if "stop" in found else "warn" if "warn" in found else "pass"
    shown = range(0, len(trial.prompts), max(1, len(trial.prompts) // EXAMPLES))
    examples = tuple((trial.prompts[place].text, trial.answers[place][0].text) for place in shown)
    return GateOutcome(goal=experiment.goal, outcome=worst, checks=tuple(checks), examples=examples[:EXAMPLES])


def _try_out(policy: Policy, ground: Ground, watcher: Watcher) -> tuple[Trial, list[float]]:
    from ppo_cli.models.divergence import divergence
    from ppo_cli.models.sampling import Decoding, sample_answers, uniforms

    experiment, tokens = ground.experiment, ground.tokens
    prompts = stratified_subset(ground.inputs.train, PROMPTS_SAMPLED)
    limit = experiment.rollout.max_new_tokens
    draws = [
        np.stack([uniforms(experiment.seed, "sft-check", p.id, k, count=limit) for k in range(SAMPLES_EACH)])
        for p in prompts
    ]
    decoding = Decoding(limit, experiment.rollout.temperature, tokens.stop_ids, tokens.pad_id)
    rendered = [tokens.render(prompt.text) for prompt in prompts]
    watcher(Phase(name="sampling the start model", total=len(prompts) * SAMPLES_EACH, unit="answers"))
    with policy.as_plain_model() as model:
        drawn = sample_answers(model, rendered, draws, decoding, lambda done: watcher(Progress(done=done)))
    answers = [
        [Answer(text=tokens.decode(row.tokens), tokens=len(row.tokens), finish=row.finish) for row in rows]
        for rows in drawn
    ]
    repeated = [prompt for prompt in prompts for _ in range(SAMPLES_EACH)]
    flat = [answer for row in answers for answer in row]
    scored = ground.inputs.reward(repeated, flat, [()] * len(flat))
    rewards = np.array([item.reward for item in scored]).reshape(len(prompts), SAMPLES_EACH)
    first = [(ids, rows[0].tokens) for ids, rows in zip(rendered[:8], drawn[:8], strict=True)]
    moved = divergence(policy.as_plain_model, policy.as_plain_reference, first)
    return Trial(prompts, answers, rewards), [found.kl for found in moved]


def _token_checks(ground: Ground) -> list[Check]:
    tokens, experiment = ground.tokens, ground.experiment
    apart = tokens.pad_id != tokens.stop_ids[0]
    longest = max(len(tokens.render(prompt.text)) for prompt in [*ground.inputs.train, *ground.inputs.evaluation])
    return [
        Check(
            name="chat template",
            outcome="pass",
            value="present and used",
            threshold="present",
            reason="a model without one was not tuned to answer",
        ),
        Check(
            name="pad is not end-of-turn",
            outcome="pass" if apart else "stop",
            value=f"pad {tokens.pad_id}, ends {', '.join(map(str, tokens.stop_ids))}",
            threshold="different",
            reason="with one token for both, PPO never learns to end an answer",
        ),
        Check(
            name="prompts fit",
            outcome="pass",
            value=f"longest {longest} tokens",
            threshold=f"at most {experiment.prompts.max_tokens}",
            reason="a cut prompt asks something else",
        ),
    ]


def _answer_checks(trial: Trial) -> list[Check]:
    answers = trial.all_answers
    ended = float(np.mean([answer.ended for answer in answers]))
    empty = float(np.mean([refusal.classify(answer.text) == "empty" for answer in answers]))
    repeating = float(np.mean([form.repetition(words(answer.text)) > 0.5 for answer in answers]))
    return [
        _share(
            "answers end their turn",
            ended,
            warn_below=0.5,
            stop_below=0.02,
            reason="a cut answer is not judged on what it says",
        ),
        _share("answers are not empty", 1 - empty, warn_below=0.98, stop_below=0.9, reason="PPO would amplify silence"),
        _share("no runaway repetition", 1 - repeating, warn_below=0.95, stop_below=0.8, reason="PPO amplifies loops"),
    ]


def _exploration_checks(trial: Trial) -> list[Check]:
    differing = float(np.mean(trial.rewards.std(axis=1) > 1e-9))
    spread = float(trial.rewards.std())
    good = float(np.mean(trial.rewards > np.median([trial.rewards.min(), trial.rewards.max()])))
    inside = 0.02 <= good <= 0.98
    return [
        Check(
            name="reward has a spread",
            outcome="pass" if spread > 1e-6 else "stop",
            value=f"standard deviation {spread:.2f}",
            threshold="above 0",
            reason="with equal rewards there is nothing to learn from",
        ),
        _share(
            "behaviour can be explored",
            differing,
            warn_below=0.2,
            stop_below=0.05,
            reason="share of prompts whose answers differ in reward; only there PPO can tell better from worse",
        ),
        Check(
            name="base rate of good answers",
            outcome="pass" if inside else "stop",
            value=f"{good:.0%}",
            threshold="between 2 % and 98 %",
            reason="what never happens cannot be amplified; what always happens need not be",
        ),
    ]


def _same_as_reference(kl: Sequence[float]) -> Check:
    largest = max((abs(value) for value in kl), default=0.0)
    return Check(
        name="policy starts as the reference",
        outcome="pass" if np.isfinite(largest) and largest < 1e-3 else "stop",
        value=f"KL {largest:.2g} nats an answer",
        threshold="below 0.001",
        reason="else KL would be measured against something the policy never was",
    )


def _audit(inputs: Inputs) -> list[Check]:
    same = [found for found in inputs.overlaps if found.kind != "near-duplicate"]
    checks = [
        Check(
            name="evaluation apart from training",
            outcome="stop" if same else "warn" if inputs.overlaps else "pass",
            value=f"{len(same)} shared, {len(inputs.overlaps) - len(same)} near-duplicates",
            threshold="none",
            reason="an evaluation that was trained on measures memory",
        )
    ]
    for kind in ("refuse", "comply"):
        count = sum(prompt.expect == kind for prompt in inputs.evaluation)
        if count:
            checks.append(
                Check(
                    name=f"evaluation prompts to {kind}",
                    outcome="pass" if count >= 60 else "warn",
                    value=str(count),
                    threshold="60 or more",
                    reason="with fewer, changes below 15 points cannot be told from chance",
                )
            )
    return checks


def _share(name: str, value: float, *, warn_below: float, stop_below: float, reason: str) -> Check:
    outcome: Gate = "stop" if value < stop_below else "warn" if value < warn_below else "pass"
    return Check(
        name=name,
        outcome=outcome,
        value=f"{value:.0%}",
        threshold=f"{warn_below:.0%} or more, stop below {stop_below:.0%}",
        reason=reason,
    )
