"""The answers that the reward compares with: the reference's own, sampled once a run and kept in it, or written ones.

Not here: the comparison (`rewards.preference`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ppo_cli.commands.ground import Ground
from ppo_cli.records import Answer, Phase, Progress, Prompt, Watcher
from ppo_cli.store.files import read_lines, write_lines
from ppo_cli.store.runs import Run

if TYPE_CHECKING:
    from ppo_cli.engine.policy import Policy


def other_answers(run: Run, ground: Ground, policy: Policy, watcher: Watcher) -> dict[str, list[Answer]]:
    """The other answers by prompt id, as `reward.other` says.

    Args:
        run: keeps the sampled ones.
        ground: prompts and settings.
        policy: holds the reference.
        watcher: told of progress.
    """
    match ground.experiment.reward.other:
        case "none":
            return {}
        case "written":
            return {prompt.id: [_written(prompt)] for prompt in ground.inputs.train}
        case _:
            path = run.layout.reference_answers
            if not path.is_file():
                write_lines(path, _sample(ground, policy, watcher))
            return {row["prompt_id"]: [Answer(**answer) for answer in row["answers"]] for row in read_lines(path)}


def _sample(ground: Ground, policy: Policy, watcher: Watcher) -> list[dict[str, Any]]:
    import numpy as np

    from ppo_cli.models.sampling import Decoding, sample_answers, uniforms

    experiment, tokens = ground.experiment, ground.tokens
    used = _used(ground)
    limit = experiment.rollout.max_new_tokens
    samples = range(experiment.reward.other_samples)
    draws = [
        np.stack([uniforms(experiment.seed, "other", prompt.id, number, count=limit) for number in samples])
        for prompt in used
    ]
    decoding = Decoding(limit, experiment.rollout.temperature, tokens.stop_ids, tokens.pad_id)
    watcher(Phase(name="the reference's own answers", total=len(used) * len(samples), unit="answers"))
    with policy.as_plain_reference() as model:
        rendered = [tokens.render(prompt.text) for prompt in used]
        drawn = sample_answers(model, rendered, draws, decoding, lambda done: watcher(Progress(done=done)))
    answers = [
        [asdict(Answer(text=tokens.decode(row.tokens), tokens=len(row.tokens), finish=row.finish)) for row in rows]
        for rows in drawn
    ]
    return [{"prompt_id": prompt.id, "answers": rows} for prompt, rows in zip(used, answers, strict=True)]


def _used(ground: Ground) -> Sequence[Prompt]:
    """The training prompts that the run will come to, in the order of the file."""
    from ppo_cli.engine.rollouts import PromptOrder

    prompts, ppo = ground.inputs.train, ground.experiment.ppo
    order = PromptOrder(len(prompts), ground.experiment.seed)
    return [prompts[index] for index in order.used(ppo.updates, ppo.episodes_per_update)]


def _written(prompt: Prompt) -> Answer:
    text = prompt.answer or ""
    return Answer(text=text, tokens=len(text.split()), finish="eos")
