"""The command `ppo rehearse`: what a reward would teach, seen in the highest-rewarded of the start model's own answers.

Best-of-n needs no training, and for its KL it has nearly the highest reward that any policy can have (Beirami et al.
2024). So it shows in minutes which answers a reward prefers, and at what KL.

Not here: best-of-n of given answers (`best_of_samples`), all other checks (`sft_check`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ppo_cli.errors import UsageError
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.preflight import best_of_samples
from ppo_cli.preflight.audit_reward import sample_settings
from ppo_cli.preflight.reward_signal import rewards_by_prompt
from ppo_cli.preflight.start_samples import sample_start_model
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import PromptAnswers, RewardScore
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.rehearsal import BestOfRow, RehearsalResult, RewardedAnswer
from ppo_cli.reports import formatting
from ppo_cli.rewards.audit.cases import pairs_in, score, start_model_cases
from ppo_cli.rewards.scaling import rewards_without_baseline
from ppo_cli.rewards.score_memory import ScoredOnce, is_slow
from ppo_cli.setup.resolve import ResolvedExperiment, read_inputs, resolve_experiment
from ppo_cli.setup.reward_resources import open_terms
from ppo_cli.stats.label_matrix import Floats

ANSWERS_PER_PROMPT = max(best_of_samples.ANSWERS_COMPARED)
PROMPTS, PROMPTS_IF_SLOW = 40, 16
"""Training prompts that are answered, and where a reward term may be slow."""
ANSWERS_SHOWN = 10
"""Highest-rewarded answers to read, and as many lowest-rewarded ones."""


def rehearse(
    config: str | Path | LoadedExperiment, *, prompts: int | None = None, on_event: EventHandler = ignore_events
) -> RehearsalResult:
    """Draws 16 answers per prompt from the start model, and shows which of them the reward prefers.

    Args:
        config: the experiment's YAML file, or an experiment from `load_experiment`.
        prompts: training prompts to answer, stratified by category; None takes 40, or 16 where a reward term runs
            code, a model or a service.
        on_event: called with each progress event.

    Returns:
        Reward against KL for the best of n, the behaviour of the highest-rewarded answers against an average one, the
        highest- and lowest-rewarded answers to read, and what `kl.target` is worth asking for.

    Raises:
        UsageError: the config, a prompt file, the model or something that a reward term names cannot be used.
        CheckFailedError: the reward did not return finite scores.

    Example:
        >>> result = rehearse("configs/refusal.yaml")
        >>> result.curve[-1].n
        16
    """
    from ppo_cli.evaluation.first_answer_fit import fit_judge, with_fit
    from ppo_cli.setup.start_model import load_start_model, share_reference

    loaded = config if isinstance(config, LoadedExperiment) else load_experiment(Path(config))
    experiment = loaded.experiment
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    count = _prompt_count(resolved, prompts)
    open_terms(resolved.inputs.reward, on_event)
    start = load_start_model(resolved, on_event)
    share_reference(resolved, start.opened)
    chosen = resolved.train.only({prompt.id for prompt in stratified_subset(resolved.inputs.train, count)})
    settings = replace(sample_settings(resolved), per_prompt=ANSWERS_PER_PROMPT)
    samples = sample_start_model(start.opened, resolved.tokenizer, chosen, settings, on_event).samples
    scored, rewards = _score(resolved, samples)

    judge = fit_judge(resolved)
    add_fit: best_of_samples.AddFit | None = None
    if judge is not None:
        add_fit = lambda rows: with_fit(judge, samples.prompts, rows, on_event)  # noqa: E731
    best_of_4, best_of_16 = (
        best_of_samples.compare_best_of(samples, rewards, n, experiment, add_fit if n == ANSWERS_PER_PROMPT else None)
        for n in (4, ANSWERS_PER_PROMPT)
    )
    curve = best_of_samples.best_of_curve(rewards)
    bend = best_of_samples.bend(curve)
    return RehearsalResult(
        name=str(loaded.source),
        goal=experiment.goal,
        prompts=count,
        train_prompts=len(resolved.inputs.train),
        samples_per_prompt=ANSWERS_PER_PROMPT,
        seed=experiment.seed,
        curve=curve,
        kl_worth_asking=bend.kl if bend else None,
        conclusion=conclusion(curve, bend, experiment),
        warnings=(
            *best_of_samples.worse_behaviours(best_of_16),
            *best_of_samples.common_openings(samples, rewards),
        ),
        best_of_4=best_of_4,
        best_of_16=best_of_16,
        highest=rewarded_answers(samples, scored, rewards, best=True),
        lowest=rewarded_answers(samples, scored, rewards, best=False),
    )


def conclusion(curve: Sequence[BestOfRow], bend: BestOfRow | None, experiment: Experiment) -> str:
    """What `kl.target` is worth asking for.

    Args:
        curve: rewards for the best of n.
        bend: its row from which most of the gain is there; None where there is no gain.
        experiment: with the KL settings of the config.
    """
    last, kl = curve[-1], experiment.kl
    if bend is None or bend.share is None:
        return (
            f"The best of {last.n} answers gains nothing over an average one beyond chance: this reward prefers "
            "nothing that the start model says, so no kl.target helps."
        )
    if bend is last:
        text = (
            f"The reward still rises at the best of {last.n}: the curve does not bend up to a KL of {last.kl:.2f} nats "
            f"per answer, so a kl.target of {2 * last.kl:.1f} or more is worth asking for; these answers do not show "
            "what is learnt there."
        )
    else:
        text = (
            f"The best of {bend.n} has {formatting.percent(bend.share)} of the gain of the best of {last.n}, at a KL "
            f"of at most {bend.kl:.2f} nats per answer. PPO needs more KL than best-of-n for the same reward, so a "
            f"kl.target from {bend.kl:.1f} to about {2 * last.kl:.1f} is worth asking for; with more, the policy may "
            "find answers that the reward scores high and that nobody wants."
        )
    asked = [f"{name} = {value:g}" for name, value in (("kl.target", kl.target), ("kl.stop_at", kl.stop_at)) if value]
    return f"{text} This config has {' and '.join(asked)}." if asked else text


def rewarded_answers(
    samples: PromptAnswers, scored: Sequence[RewardScore], rewards: Floats, *, best: bool
) -> tuple[RewardedAnswer, ...]:
    """The answers with the largest gains over their prompt's mean, or with the largest losses; one per prompt.

    Args:
        samples: the answers.
        scored: their terms, prompt by prompt.
        rewards: [prompts, answers].
        best: the largest gains.
    """
    gains = rewards - rewards.mean(axis=1, keepdims=True)
    columns = gains.argmax(axis=1) if best else gains.argmin(axis=1)
    sign = -1.0 if best else 1.0
    order = sorted(range(len(columns)), key=lambda row: (sign * gains[row, columns[row]], row))
    return tuple(
        RewardedAnswer(
            prompt_id=samples.prompts[row].id,
            prompt=samples.prompts[row].text,
            answer=samples.answers[row][columns[row]].text,
            reward=float(rewards[row, columns[row]]),
            gain=float(gains[row, columns[row]]),
            terms=scored[row * rewards.shape[1] + int(columns[row])].terms,
        )
        for row in order[:ANSWERS_SHOWN]
    )


def _prompt_count(resolved: ResolvedExperiment, prompts: int | None) -> int:
    """Prompts to answer, at most all.

    Raises:
        UsageError: fewer than two are asked for.
    """
    if prompts is not None and prompts < 2:
        raise UsageError(f"--prompts {prompts}: at least 2 are needed for an interval.", "Example: --prompts 64")
    usual = PROMPTS_IF_SLOW if is_slow([*resolved.experiment.reward.terms.values()]) else PROMPTS
    return min(prompts or usual, len(resolved.inputs.train))


def _score(resolved: ResolvedExperiment, samples: PromptAnswers) -> tuple[list[RewardScore], Floats]:
    """The terms of every answer, and rewards [prompts, answers] without the baseline, which a prompt's answers share.

    A term that compares with baseline answers gets as many as in training; other draws stand for the reference's.
    """
    reward, settings = ScoredOnce(resolved.inputs.reward), resolved.experiment.reward
    cases = [
        replace(case, baseline=case.baseline[: settings.baseline_samples])
        for case in start_model_cases(samples, settings.baseline)
    ]
    reward.score_all(pairs_in(cases), "scoring the answers")
    scored = score(reward, cases)
    return scored, rewards_by_prompt(rewards_without_baseline(scored, settings.terms), len(samples.answers[0]))
