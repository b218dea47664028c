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
    run: Run, ground: ResolvedExperiment, policy: Policy, watcher: EventHandler, team: ProcessGroup
) -> dict[str, list[Answer]]:
    """The other answers by prompt id, as `reward.other` says; sampled now if that has not been done yet.

    Args:
        run: keeps the sampled ones.
        ground: prompts and settings.
        policy: holds the reference.
        watcher: told of progress.
        team: each process samples a share.
    """
    path = run.layout.reference_answers
    if ground.experiment.reward.other == "reference" and not path.is_file():
        team.lead(SAMPLE_BASELINE)
        write_lines(path, sample_baseline_answers(ground, policy, watcher, team))
    return load_baseline_answers(run, ground)


def load_baseline_answers(run: Run, ground: ResolvedExperiment) -> dict[str, list[Answer]]:
    """The other answers by prompt id; those of the reference must have been sampled."""
    match ground.experiment.reward.other:
        case "none":
            return {}
        case "written":
            return {prompt.id: [_written(prompt)] for prompt in ground.inputs.train}
        case _:
            rows = read_lines(run.layout.reference_answers)
            return {row["prompt_id"]: [Answer(**answer) for answer in row["answers"]] for row in rows}


def sample_baseline_answers(
    ground: ResolvedExperiment, policy: Policy, watcher: EventHandler, team: ProcessGroup
) -> list[dict[str, Any]]:
    """Samples the reference's own answers: a row a prompt that the run will come to, its share by each process."""
    import numpy as np

    from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers

    experiment, tokens = ground.experiment, ground.tokens
    used = team.share(_prompts_in_run(ground))
    limit = experiment.rollout.max_new_tokens
    samples = range(experiment.reward.other_samples)
    draws = [
        np.stack([keyed_uniforms(experiment.seed, "other", prompt.id, number, count=limit) for number in samples])
        for prompt in used
    ]
    decoding = SamplingParams(limit, experiment.rollout.temperature, tokens.stop_ids, tokens.pad_id)
    watcher(Phase(name="the reference's own answers", total=len(used) * len(samples), unit="answers"))
    with policy.as_plain_reference() as model:
        rendered = [tokens.render(prompt.text) for prompt in used]
        drawn = sample_answers(model, rendered, draws, decoding, lambda done: watcher(Progress(done=done)))
    answers = [
        [asdict(Answer(text=tokens.decode(row.tokens), tokens=len(row.tokens), finish=row.finish)) for row in rows]
        for rows in drawn
    ]
    return team.merged([{"prompt_id": prompt.id, "answers": rows} for prompt, rows in zip(used, answers, strict=True)])


def _prompts_in_run(ground: ResolvedExperiment) -> Sequence[Prompt]:
    """The training prompts that the run will come to, in the order of the file."""
    from ppo_cli.engine.rollouts import PromptOrder

    prompts, ppo = ground.inputs.train, ground.experiment.ppo
    order = PromptOrder(len(prompts), ground.experiment.seed)
    return [prompts[index] for index in order.used(ppo.updates, ppo.episodes_per_update)]


def _written(prompt: Prompt) -> Answer:
    text = prompt.answer or ""
    return Answer(text=text, tokens=len(text.split()), finish="eos")
