"""Baseline answers, whose score the reward subtracts: sampled once from the reference model, or written ones.

Sampled ones are kept in the run, and in the cache for runs that would sample the same; written ones come from the
training prompt file.

Not here: how they are scored and subtracted (`rewards.reward_function`), the cache (`models.shared_answers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ppo_cli.experiment.digest import sha256_of
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, Phase, Progress
from ppo_cli.rewards.score_memory import score_with_progress
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.store.files import read_lines, write_lines
from ppo_cli.store.runs import Run
from ppo_cli.training.worker_commands import WorkerCommand

if TYPE_CHECKING:
    from ppo_cli.engine.distributed import ProcessGroup
    from ppo_cli.engine.policy import Policy
    from ppo_cli.models.shared_answers import SharedAnswers


def baseline_answers(
    run: Run, resolved: ResolvedExperiment, policy: Policy, process_group: ProcessGroup, shared: SharedAnswers
) -> dict[str, list[Answer]]:
    """The baseline answers by prompt id, as the config says; sampled now if neither the run nor the cache has them.

    Args:
        run: keeps the sampled ones.
        resolved: prompts and settings.
        policy: holds the reference.
        process_group: each rank samples a shard.
        shared: answers in the cache.
    """
    path = run.layout.baseline_answers
    if resolved.experiment.reward.baseline == "reference" and not path.is_file():
        what, depends_on = "baseline answers", _depends_on(resolved)
        rows = shared.find(what, depends_on)
        if rows is None:
            process_group.broadcast(WorkerCommand.SAMPLE_BASELINE)
            rows = sample_baseline_answers(resolved, policy, shared.on_event, process_group)
            shared.keep(what, depends_on, rows)
        write_lines(path, rows)
    return load_baseline_answers(run, resolved)


def load_baseline_answers(run: Run, resolved: ResolvedExperiment) -> dict[str, list[Answer]]:
    """The baseline answers by prompt id; those of the reference must have been sampled before."""
    match resolved.experiment.reward.baseline:
        case "none":
            return {}
        case "written":
            return {prompt.id: [_written_answer(prompt)] for prompt in resolved.inputs.train}
        case _:
            rows = read_lines(run.layout.baseline_answers)
            return {row["prompt_id"]: [Answer(**answer) for answer in row["answers"]] for row in rows}


def score_baseline_answers(
    resolved: ResolvedExperiment, answers: Mapping[str, Sequence[Answer]], process_group: ProcessGroup
) -> None:
    """Scores the baseline answers that the run's updates need, once, so that no update scores them again.

    Every process scores all of them, in one order, also after an interruption: so each has the same scores each time.

    Args:
        resolved: prompts and reward.
        answers: by prompt id.
        process_group: whose processes all end if one cannot score.

    Raises:
        CheckFailedError: a term fails, or a score is missing or not finite.
        RewardUnavailableError: a service that the reward needs does not answer.
    """
    reward = resolved.inputs.reward
    pairs = [(prompt, answer) for prompt, _ in _prompts_in_run(resolved) for answer in answers.get(prompt.id, ())]
    with process_group.raise_everywhere():
        score_with_progress(reward, list(dict.fromkeys(pairs)), "scoring the baseline answers", reward.known)


def sample_baseline_answers(
    resolved: ResolvedExperiment, policy: Policy, on_event: EventHandler, process_group: ProcessGroup
) -> list[dict[str, Any]]:
    """Samples the reference's answers, each rank its shard; one row per prompt that the run's updates use."""
    import numpy as np

    from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers

    experiment, tokenizer = resolved.experiment, resolved.tokenizer
    shard = process_group.shard(_prompts_in_run(resolved))
    limit = experiment.rollout.max_new_tokens
    samples = range(experiment.reward.baseline_samples)
    uniforms = [
        np.stack([keyed_uniforms(experiment.seed, "other", prompt.id, number, count=limit) for number in samples])
        for prompt, _ in shard
    ]
    params = SamplingParams(limit, experiment.rollout.temperature, tokenizer.stop_ids, tokenizer.pad_id)
    on_event(Phase(name="the reference's own answers", total=len(shard) * len(samples), unit="answers"))
    with policy.reference_model() as model:
        sampled = sample_answers(
            model, [ids for _, ids in shard], uniforms, params, lambda done: on_event(Progress(done=done))
        )
    return process_group.gather(
        [
            {"prompt_id": prompt.id, "answers": [asdict(tokenizer.to_answer(tokens)) for tokens in of_prompt]}
            for (prompt, _), of_prompt in zip(shard, sampled, strict=True)
        ]
    )


def _depends_on(resolved: ResolvedExperiment) -> dict[str, Any]:
    """What the baseline answers depend on besides the model that gives them."""
    experiment = resolved.experiment
    return {
        "seed": experiment.seed,
        "samples": experiment.reward.baseline_samples,
        "max_new_tokens": experiment.rollout.max_new_tokens,
        "temperature": experiment.rollout.temperature,
        "prompts": sha256_of([[prompt.id, ids] for prompt, ids in _prompts_in_run(resolved)]),
    }


def _prompts_in_run(resolved: ResolvedExperiment) -> Sequence[tuple[Prompt, list[int]]]:
    """The training prompts that the run's updates use, with their token ids, in the order of the file."""
    from ppo_cli.engine.rollouts import PromptOrder

    prompts, ppo = list(resolved.train), resolved.experiment.ppo
    order = PromptOrder.of(resolved.inputs.train, resolved.experiment.seed, ppo.answers_per_prompt)
    return [prompts[index] for index in order.used(ppo.updates, ppo.episodes_per_update)]


def _written_answer(prompt: Prompt) -> Answer:
    text = prompt.answer or ""
    return Answer(text=text, token_count=len(text.split()), finish="eos")
