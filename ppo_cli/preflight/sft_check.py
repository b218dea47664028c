"""The command `ppo sft-check`: whether PPO may start from this model, with this reward, on these prompts.

PPO amplifies what the start model already does: what it never does cannot be rewarded, and its faults grow. Each check
has a value, a threshold, a reason and a next step.

Not here: the single checks (the files beside this one, `rewards.audit`), those that `ppo train` enforces (`enforce`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.preflight.audit_reward import audited_reward, sample_settings, sampled_prompts
from ppo_cli.preflight.best_of_samples import best_of_check
from ppo_cli.preflight.goal_check import goal_check
from ppo_cli.preflight.instruct_checks import instruct_checks
from ppo_cli.preflight.prompt_checks import diversity_checks, overlap_check, power_checks
from ppo_cli.preflight.reward_signal import reward_signal_checks, rewards_by_prompt
from ppo_cli.preflight.start_samples import SampleSettings, StartModelSamples, sample_start_model
from ppo_cli.preflight.tokenizer_checks import (
    control_token_check,
    conversation_check,
    prompt_token_checks,
    tokenizer_checks,
)
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Check, worst
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.results import Cost, PreflightResult
from ppo_cli.rewards.audit.run import audit_on_samples
from ppo_cli.rewards.scaling import rewards_without_baseline
from ppo_cli.setup.recipes import templates_folder
from ppo_cli.setup.resolve import ExperimentInputs, read_inputs, resolve_experiment
from ppo_cli.setup.reward_resources import open_measures, open_terms
from ppo_cli.setup.tokenized_prompts import TokenizedPrompts
from ppo_cli.store.checkpoint_names import start_checkpoint

if TYPE_CHECKING:
    from ppo_cli.engine.policy import Policy
    from ppo_cli.models.loading import ChatTokenizer

EXAMPLES = 3
"""Prompts that are shown with an answer."""
MODEL_SETTINGS = SampleSettings(per_prompt=2, max_new_tokens=128, temperature=0.7, seed=1)
"""How a model is sampled that is checked without a config."""
MIN_ENDED_SHARE, MIN_ENDED_SHARE_OF_MODEL = 0.5, 0.2
"""Share of answers that should end within the limit: with a config, whose user has chosen the limit, and without."""
MAX_START_KL_NATS = 1e-3
"""KL per answer between policy and reference before the first step, when both have the same weights."""
GOAL, TOKENS, INSTRUCT, SIGNAL, REWARD, PROMPTS, COST = (
    "goal",
    "tokenizer and prompts",
    "is it an SFT model",
    "reward signal",
    "reward",
    "prompts",
    "what the run will take",
)
"""Groups of checks, as the screen shows them."""


def is_a_model(subject: str) -> bool:
    """Whether an argument names a model and not a config."""
    path = Path(subject)
    if path.is_dir():
        return (path / "config.json").is_file() or (path / "run.json").is_file()
    return not path.is_file() and path.suffix not in (".yaml", ".yml")


def sft_check(config: str | Path | LoadedExperiment, *, on_event: EventHandler = ignore_events) -> PreflightResult:
    """Samples the start model of a config and runs all preflight checks: tokenizer, model, reward, prompts, cost.

    Args:
        config: the experiment's YAML file, or an experiment from `load_experiment`; or a model alone: a folder, a
            Hugging Face id, or builtin:NAME.
        on_event: called with each progress event.

    Returns:
        Status (pass, warn or fail), the checks, example answers, and, unless a check fails, the estimated cost.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used.

    Example:
        >>> result = sft_check("configs/refusal.yaml")
        >>> result.status
        'pass'
    """
    from ppo_cli.engine.policy import Policy
    from ppo_cli.preflight.measured_cost import cost_checks, measured_cost
    from ppo_cli.setup.start_model import load_start_model, share_reference

    if not isinstance(config, LoadedExperiment) and is_a_model(str(config)):
        return check_model(str(config), on_event=on_event)
    loaded = config if isinstance(config, LoadedExperiment) else load_experiment(Path(config))
    experiment = loaded.experiment
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    inputs, tokenizer = resolved.inputs, resolved.tokenizer
    open_terms(inputs.reward, on_event)
    open_measures(inputs.measures, on_event)
    start = load_start_model(resolved, on_event)
    policy = Policy(start.model, experiment.model.train, seed=experiment.seed)
    share_reference(resolved, policy.reference_model)
    samples = sample_start_model(
        policy.merged_model, tokenizer, sampled_prompts(resolved), sample_settings(resolved), on_event
    )
    token_ids = [*resolved.train.token_ids, *resolved.evaluation.token_ids]
    prompts = [*inputs.train, *inputs.evaluation, *inputs.sft]
    checks = [
        *_group(GOAL, [goal_check(experiment, inputs.file_texts["prompts.eval"])]),
        *_group(TOKENS, tokenizer_checks(tokenizer, start.folder)),
        *_group(TOKENS, prompt_token_checks(tokenizer, token_ids, experiment.prompts.max_tokens)),
        *_group(TOKENS, [control_token_check(tokenizer, prompts), *conversation_check(tokenizer, prompts)]),
        *_group(INSTRUCT, _instruct_checks(policy.model, tokenizer, samples, min_ended_share=MIN_ENDED_SHARE)),
        *_group(INSTRUCT, [_reference_check(policy, samples)]),
        *_reward_checks(inputs, samples, str(loaded.source)),
        *_group(PROMPTS, [overlap_check(inputs.overlaps)]),
        *_group(PROMPTS, diversity_checks(inputs.train, inputs.evaluation)),
        *_group(PROMPTS, power_checks(samples.samples, inputs.evaluation, experiment.evaluation, inputs.measures)),
    ]
    cost = None
    if worst(checks) != "fail":
        cost = measured_cost(resolved, start, policy, samples, on_event)
        checks += _group(COST, cost_checks(cost, Path(experiment.output)))
    return _result(str(loaded.source), experiment.goal, checks, samples, cost)


def check_model(
    start: str, *, runs_dir: Path = Path("runs"), on_event: EventHandler = ignore_events
) -> PreflightResult:
    """Checks tokenizer and instruction tuning of a model without a config, on questions shipped with the tool.

    Args:
        start: builtin:NAME, a Hugging Face id, a folder, or a checkpoint of a run, such as RUN/best.
        runs_dir: folder of run folders.
        on_event: called with each progress event.

    Raises:
        UsageError: the model cannot be used.
        IntegrityError: it is a checkpoint that was changed.
    """
    from ppo_cli.engine.checkpoints import origin_of
    from ppo_cli.models import loading, model_source
    from ppo_cli.models.device import choose_device, choose_dtype

    source = model_source.resolve(start_checkpoint(start, runs_dir), on_event=on_event)
    origin_of(source.folder)  # checks the files of a checkpoint
    tokenizer = loading.load_tokenizer(source.folder)
    questions = _questions()
    prompts = TokenizedPrompts(questions, [tokenizer.render(prompt.chat) for prompt in questions])
    device = choose_device("auto")
    model = loading.load_model(source.folder, tokenizer, device, choose_dtype("auto", device))
    samples = sample_start_model(lambda: nullcontext(model), tokenizer, prompts, MODEL_SETTINGS, on_event)
    longest = max(map(len, prompts.token_ids))
    checks = [
        *_group(TOKENS, tokenizer_checks(tokenizer, source.folder)),
        *_group(TOKENS, prompt_token_checks(tokenizer, prompts.token_ids, longest)),
        *_group(INSTRUCT, _instruct_checks(model, tokenizer, samples, min_ended_share=MIN_ENDED_SHARE_OF_MODEL)),
    ]
    return _result(start, "", checks, samples, None)


def _instruct_checks(
    model: Any,  # noqa: ANN401 - a transformers causal language model
    tokenizer: ChatTokenizer,
    samples: StartModelSamples,
    *,
    min_ended_share: float,
) -> list[Check]:
    from ppo_cli.models.chat_template import probe_template
    from ppo_cli.models.end_of_turn import end_of_turn_probabilities

    end_probabilities = end_of_turn_probabilities(model, tokenizer, _questions())
    opening = probe_template(tokenizer).opening
    return instruct_checks(samples, end_probabilities, opening, min_ended_share=min_ended_share)


def _reward_checks(inputs: ExperimentInputs, start: StartModelSamples, config: str) -> list[Check]:
    """The reward's signal first, then its audit; the audit alone if the reward returned a broken score."""
    audit = audit_on_samples(audited_reward(inputs), start.samples)
    checks = _group(REWARD, audit.checks)
    if not audit.scored:
        return checks
    alone = rewards_without_baseline(audit.scored, inputs.experiment.reward.terms)
    rewards = rewards_by_prompt(alone, len(start.samples.answers[0]))
    signal = [
        *reward_signal_checks(audit.samples, rewards),
        best_of_check(audit.samples, rewards, inputs.experiment, config),
    ]
    return [*_group(SIGNAL, signal), *checks]


def _reference_check(policy: Policy, samples: StartModelSamples) -> Check:
    from math import isfinite

    from ppo_cli.models.exact_kl import exact_kl_and_entropy

    results = exact_kl_and_entropy(policy.merged_model, policy.reference_model, samples.sequences[:8])
    largest = max(abs(result.kl) for result in results)
    finite = all(isfinite(result.kl) and isfinite(result.entropy) for result in results)
    return Check.from_condition(
        "policy equals the reference at the start",
        finite and largest < MAX_START_KL_NATS,
        value=f"KL {largest:.2g} nats per answer" if finite else "KL or entropy is not finite",
        threshold=f"below {MAX_START_KL_NATS:g}",
        reason="otherwise KL would be measured against a model that the policy did not start from",
        next_step="Check model.start and model.dtype, and report it.",
    )


def _questions() -> list[Prompt]:
    """Short questions with written answers, shipped with the tool."""
    return read_prompts(templates_folder() / "prompts" / "sft_check" / "questions.jsonl", need_answers=True)


def _group(name: str, checks: Sequence[Check]) -> list[Check]:
    return [replace(check, group=name) for check in checks]


def _result(
    name: str, goal: str, checks: Sequence[Check], start: StartModelSamples, cost: Cost | None
) -> PreflightResult:
    rows = start.samples.rows()
    shown = rows[:: max(1, len(rows) // EXAMPLES)][:EXAMPLES]
    return PreflightResult(
        name=name,
        goal=goal,
        status=worst(checks),
        checks=tuple(checks),
        examples=tuple((prompt.text, answers[0].text) for prompt, answers in shown),
        cost=cost,
    )
