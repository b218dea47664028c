"""The answers that the reward compares with: the reference's own, sampled once a run and kept in it, or written ones.

Not here: the comparison (`rewards.preference`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, Phase, Progress
from ppo_cli.setup.resolve import ResolvedExperiment
from ppo_cli.store.files import read_lines, write_lines
from ppo_cli.store.runs import Run
from ppo_cli.training.worker_commands import SAMPLE_BASELINE

if TYPE_CHECKING:
    from ppo_cli.engine.distributed import ProcessGroup
    from ppo_cli.engine.policy import Policy


def baseline_answers(
    run: Run, resolved: ResolvedExperiment, policy: Policy, on_event: EventHandler, process_group: ProcessGroup
) -> dict[str, list[Answer]]:
    """The other answers by prompt id, as `reward.baseline` says; sampled now if that has not been done yet.

    Args:
        run: keeps the sampled ones.
        resolved: prompts and settings.
        policy: holds the reference.
        on_event: told of progress.
        process_group: each process samples a share.
    """
    path = run.layout.baseline_answers
    if resolved.experiment.reward.baseline == "reference" and not path.is_file():
        process_group.broadcast(SAMPLE_BASELINE)
        write_lines(path, sample_baseline_answers(resolved, policy, on_event, process_group))
    return load_baseline_answers(run, resolved)


def load_baseline_answers(run: Run, resolved: ResolvedExperiment) -> dict[str, list[Answer]]:
    """The other answers by prompt id; those of the reference must have been sampled."""
    match resolved.experiment.reward.baseline:
        case "none":
            return {}
        case "written":
            return {prompt.id: [_written(prompt)] for prompt in resolved.inputs.train}
        case _:
            rows = read_lines(run.layout.baseline_answers)
            return {row["prompt_id"]: [Answer(**answer) for answer in row["answers"]] for row in rows}


def sample_baseline_answers(
    resolved: ResolvedExperiment, policy: Policy, on_event: EventHandler, process_group: ProcessGroup
) -> list[dict[str, Any]]:
    """Samples the reference's own answers: a row a prompt that the run will come to, its share by each process."""
    import numpy as np

    from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers

    experiment, tokenizer = resolved.experiment, resolved.tokenizer
    used = process_group.shard(_prompts_in_run(resolved))
    limit = experiment.rollout.max_new_tokens
    samples = range(experiment.reward.baseline_samples)
    draws = [
        np.stack([keyed_uniforms(experiment.seed, "other", prompt.id, number, count=limit) for number in samples])
        for prompt in used
    ]
    decoding = SamplingParams(limit, experiment.rollout.temperature, tokenizer.stop_ids, tokenizer.pad_id)
    on_event(Phase(name="the reference's own answers", total=len(used) * len(samples), unit="answers"))
    with policy.reference_model() as model:
        rendered = [tokenizer.render(prompt.text) for prompt in used]
        drawn = sample_answers(model, rendered, draws, decoding, lambda done: on_event(Progress(done=done)))
    answers = [
        [
            asdict(Answer(text=tokenizer.decode(row.token_ids), token_count=len(row.token_ids), finish=row.finish))
            for row in rows
        ]
        for rows in drawn
    ]
    return process_group.gather(
        [{"prompt_id": prompt.id, "answers": rows} for prompt, rows in zip(used, answers, strict=True)]
    )


def _prompts_in_run(resolved: ResolvedExperiment) -> Sequence[Prompt]:
    """The training prompts that the run will come to, in the order of the file."""
    from ppo_cli.engine.rollouts import PromptOrder

    prompts, ppo = resolved.inputs.train, resolved.experiment.ppo
    order = PromptOrder(len(prompts), resolved.experiment.seed)
    return [prompts[index] for index in order.used(ppo.updates, ppo.episodes_per_update)]


def _written(prompt: Prompt) -> Answer:
    text = prompt.answer or ""
    return Answer(text=text, token_count=len(text.split()), finish="eos")
