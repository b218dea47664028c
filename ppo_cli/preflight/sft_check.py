"""`ppo sft-check`: may PPO start from this model, with this reward, on these prompts?

Line by line, each with its number, its threshold, the reason for it and what to do. PPO amplifies what is there: what
a start model never does cannot be rewarded, and what it does wrongly gets stronger.

Not here: the single lines (`gate`), training, the full evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.experiment.load import LoadedExperiment
from ppo_cli.preflight import prompt_checks
from ppo_cli.preflight import tokenizer_checks as token_lines
from ppo_cli.preflight.check_lines import condition_check
from ppo_cli.preflight.instruct_checks import ObservedAnswers, instruct_checks
from ppo_cli.preflight.reward_checks import audit_on_samples
from ppo_cli.preflight.reward_signal import reward_signal_checks, rewards_by_prompt
from ppo_cli.preflight.start_samples import StartModelSamples, sample_start_model
from ppo_cli.prompts.jsonl import read_prompts
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Check, worst
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.results import Cost, PreflightResult
from ppo_cli.setup.init import templates_folder
from ppo_cli.setup.resolve import ExperimentInputs, read_inputs, resolve_experiment
from ppo_cli.setup.reward_resources import open_terms

if TYPE_CHECKING:
    from ppo_cli.engine.policy import Policy
    from ppo_cli.models.loading import ChatTokenizer

PROMPTS_SAMPLED = 48
SAMPLES_EACH = 4
EXAMPLES = 3
MODEL_MAX_NEW_TOKENS, MODEL_TEMPERATURE = 128, 0.7
"""How a model is sampled that comes without a config."""
MIN_ENDED, MIN_ENDED_ALONE = 0.5, 0.2
"""Share of answers that should end within the limit: of a config, whose user has chosen it, and of a model alone."""
MAX_IDENTICAL = 1e-3
"""Nats an answer: policy and reference are the same weights before the first step."""


def is_a_model(subject: str) -> bool:
    """Whether a name stands for a model and not for a config."""
    path = Path(subject)
    if path.is_dir():
        return (path / "config.json").is_file()
    return not path.is_file() and path.suffix not in (".yaml", ".yml")


def sft_check(loaded: LoadedExperiment, *, on_event: EventHandler = ignore_events) -> PreflightResult:
    """Samples the start model of a config and holds everything against what PPO needs.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used.
    """
    from ppo_cli.engine.policy import Policy
    from ppo_cli.preflight.measured_cost import cost_checks, measured_cost
    from ppo_cli.setup.start_model import load_start_model

    experiment = loaded.experiment
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    inputs, tokenizer, rollout = resolved.inputs, resolved.tokenizer, experiment.rollout
    open_terms(inputs.reward, on_event)
    start = load_start_model(resolved, on_event)
    policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
    tried = sample_start_model(
        policy.merged_model,
        tokenizer,
        stratified_subset(inputs.train, PROMPTS_SAMPLED),
        samples=SAMPLES_EACH,
        limit=rollout.max_new_tokens,
        temperature=rollout.temperature,
        seed=experiment.seed,
        on_event=on_event,
    )
    checks = [
        *_about("tokens", token_lines.tokenizer_checks(tokenizer, start.folder)),
        *_about(
            "tokens",
            token_lines.prompt_checks(tokenizer, [*inputs.train, *inputs.evaluation], experiment.prompts.max_tokens),
        ),
        *_about(
            "is it an SFT model",
            _instruct_lines(policy.model, tokenizer, tried, rollout.max_new_tokens, ended=MIN_ENDED),
        ),
        *_about("is it an SFT model", [_same_as_reference(policy, tried)]),
        *_reward_lines(inputs, tried),
        *_about("prompts", [prompt_checks.overlap_check(inputs.overlaps)]),
        *_about("prompts", prompt_checks.diversity_checks(inputs.train, inputs.evaluation)),
        *_about("prompts", prompt_checks.power_checks(tried.trial, inputs.evaluation, experiment.evaluation)),
    ]
    cost = None
    if worst(checks) != "stop":
        cost = measured_cost(resolved, start, policy, tried, on_event)
        checks += _about("what the run will take", cost_checks(cost, Path(experiment.output)))
    return _result(str(loaded.source), experiment.goal, checks, tried, cost)


def check_model(start: str, *, on_event: EventHandler = ignore_events) -> PreflightResult:
    """Holds a model alone against what an SFT model is, on questions shipped with the tool.

    Args:
        start: builtin:NAME, a Hugging Face id or a folder.
        on_event: told of progress.

    Raises:
        UsageError: the model cannot be used.
    """
    from ppo_cli.models import loading, model_source

    source = model_source.resolve(start, on_event=on_event)
    tokenizer = loading.load_tokenizer(source.folder)
    questions = _questions()
    device = loading.choose_device("auto")
    model = loading.load_model(source.folder, tokenizer, device, loading.choose_dtype("auto", device))
    tried = sample_start_model(
        lambda: nullcontext(model),
        tokenizer,
        questions,
        samples=2,
        limit=MODEL_MAX_NEW_TOKENS,
        temperature=MODEL_TEMPERATURE,
        seed=1,
        on_event=on_event,
    )
    limit = max(len(tokenizer.render(prompt.text)) for prompt in questions)
    checks = [
        *_about("tokens", token_lines.tokenizer_checks(tokenizer, source.folder)),
        *_about("tokens", token_lines.prompt_checks(tokenizer, questions, limit)),
        *_about(
            "is it an SFT model", _instruct_lines(model, tokenizer, tried, MODEL_MAX_NEW_TOKENS, ended=MIN_ENDED_ALONE)
        ),
    ]
    return _result(start, "", checks, tried, None)


def _instruct_lines(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    tokenizer: ChatTokenizer,
    tried: StartModelSamples,
    limit: int,
    *,
    ended: float,
) -> list[Check]:
    from ppo_cli.models.chat_template import probe_template
    from ppo_cli.models.end_of_turn import end_of_turn_probabilities

    observed = ObservedAnswers(
        tried.trial, tried.raw, tuple(end_of_turn_probabilities(model, tokenizer, _questions())), limit
    )
    return instruct_checks(observed, probe_template(tokenizer).opening, ended=ended)


def _reward_lines(inputs: ExperimentInputs, tried: StartModelSamples) -> list[Check]:
    audit = audit_on_samples(inputs, tried.trial)
    lines = _about("reward", audit.checks)
    if not audit.scored:
        return lines
    flat = [answer for row in tried.trial.answers for answer in row]
    repeated = [prompt for prompt, row in tried.trial.rows() for _ in row]
    alone = inputs.reward(repeated, flat, [()] * len(flat))
    rewards = rewards_by_prompt([item.reward for item in alone], len(tried.trial.answers[0]))
    return [*_about("is there something to amplify", reward_signal_checks(tried.trial, rewards)), *lines]


def _same_as_reference(policy: Policy, tried: StartModelSamples) -> Check:
    from math import isfinite

    from ppo_cli.models.exact_kl import exact_kl_and_entropy

    found = exact_kl_and_entropy(policy.merged_model, policy.reference_model, tried.sequences[:8])
    largest = max(abs(item.kl) for item in found)
    finite = all(isfinite(item.kl) and isfinite(item.entropy) for item in found)
    return condition_check(
        "policy starts as the reference",
        finite and largest < MAX_IDENTICAL,
        f"KL {largest:.2g} nats an answer" if finite else "not finite",
        f"below {MAX_IDENTICAL:g}",
        "else KL would be measured against something the policy never was",
        "Check model.start and model.dtype, and report it.",
    )


def _questions() -> list[Prompt]:
    return read_prompts(templates_folder() / "prompts" / "check" / "questions.jsonl", need_answers=True)


def _about(group: str, checks: Sequence[Check]) -> list[Check]:
    return [replace(check, group=group) for check in checks]


def _result(
    name: str, goal: str, checks: Sequence[Check], tried: StartModelSamples, cost: Cost | None
) -> PreflightResult:
    rows = tried.trial.rows()
    shown = rows[:: max(1, len(rows) // EXAMPLES)][:EXAMPLES]
    return PreflightResult(
        name=name,
        goal=goal,
        status=worst(checks),
        checks=tuple(checks),
        examples=tuple((prompt.text, answers[0].text) for prompt, answers in shown),
        cost=cost,
    )
