"""The work that a config asks for, in counts, and its time, memory and disk estimated without loading a model.

Not here: the arithmetic (`models.cost_estimate`), costs measured by running a part (`measured_cost`).
"""

from __future__ import annotations

from dataclasses import replace

from ppo_cli.evaluation.first_answer_fit import OTHER_PROMPTS
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.term_types import FitsPrompt
from ppo_cli.models.cost_estimate import PlannedWork, cost_of_work, guess_token_count, measure_gflops, model_shape
from ppo_cli.models.memory_estimate import ModelShape, TrainingPlan
from ppo_cli.records.results import Cost
from ppo_cli.setup.resolve import ExperimentInputs

AUDITED_ANSWERS = 400
"""Scored before the first update to audit a reward that asks a model, about."""


def estimate_cost(inputs: ExperimentInputs) -> Cost:
    """Estimates what the whole run would take on this machine.

    Raises:
        ConfigError: this machine does not have the device that the config asks for.
    """
    from ppo_cli.models.device import choose_device, choose_dtype

    experiment = inputs.experiment
    device = choose_device(experiment.device)
    dtype = choose_dtype(experiment.model.dtype, device)
    name = str(dtype).removeprefix("torch.")
    work, shape = planned_work(inputs), model_shape(experiment.model.start)
    plan = training_plan(experiment, work, shape, device.type, dtype.itemsize) if shape else None
    if plan is not None and device.type == "cuda":
        import torch

        plan = replace(plan, device_bytes=float(torch.cuda.mem_get_info(device)[0]))
    return cost_of_work(work, shape, device.type, measure_gflops(device.type, name), dtype.itemsize, plan)


def training_plan(
    experiment: Experiment, work: PlannedWork, shape: ModelShape, device: str, bytes_per_weight: int
) -> TrainingPlan:
    """What of a config decides its memory.

    Args:
        experiment: the settings.
        work: what they ask for, in counts.
        shape: of the start model.
        device: cpu or cuda.
        bytes_per_weight: 4 in float32, 2 in bfloat16.
    """
    train, ppo = experiment.model.train, experiment.ppo
    return TrainingPlan(
        trained_layers=min(train.top_layers or shape.layers, shape.layers),
        lora_rank=train.lora.r if train.lora else None,
        critic_layers=ppo.critic == "layers",
        optimizer=ppo.optimizer,
        load_in=experiment.model.load_in,
        checkpointing=train.gradient_checkpointing,
        tokens_per_pass=ppo.tokens_per_pass,
        episodes=ppo.episodes_per_update,
        minibatch=ppo.episodes_per_update // ppo.minibatches,
        prompt_tokens=work.prompt_tokens,
        answer_tokens=work.max_new_tokens,
        evaluated_tokens=work.eval_prompts * work.eval_samples * (work.prompt_tokens + work.eval_max_new_tokens),
        device=device,
        bytes_per_weight=bytes_per_weight,
        warm_start=experiment.model.warm_start is not None,
    )


def planned_work(inputs: ExperimentInputs) -> PlannedWork:
    """Counts the updates, episodes, evaluations and tokens that a config asks for."""
    experiment = inputs.experiment
    ppo, evaluation = experiment.ppo, experiment.evaluation
    used = min(len(inputs.train), ppo.updates * ppo.prompts_per_update)
    whole = len(inputs.evaluation)
    interim = min(evaluation.interim_prompts or whole, whole)
    every = evaluation.every
    baseline_answers = used * experiment.reward.baseline_samples if experiment.reward.baseline == "reference" else 0
    judged = [term for term in experiment.reward.terms.values() if isinstance(term, FitsPrompt)]
    scored = baseline_answers + ppo.updates * ppo.episodes_per_update + AUDITED_ANSWERS
    share = sum(prompt.expect != "refuse" for prompt in inputs.train) / len(inputs.train)
    sft = sum(guess_token_count(prompt.text) + guess_token_count(prompt.answer or "") for prompt in inputs.sft)
    return PlannedWork(
        updates=ppo.updates,
        episodes=ppo.episodes_per_update,
        epochs=ppo.epochs,
        trained_layers=experiment.model.train.top_layers,
        max_new_tokens=experiment.rollout.max_new_tokens,
        baseline_answers=baseline_answers,
        prompt_tokens=sum(guess_token_count(prompt.text) for prompt in inputs.train) / len(inputs.train),
        sft_tokens=experiment.model.sft.epochs * sft,
        whole_evaluations=2,
        interim_evaluations=(ppo.updates - 1) // every if every else 0,
        eval_prompts=whole,
        interim_prompts=interim,
        eval_samples=evaluation.samples_per_prompt,
        eval_max_new_tokens=evaluation.max_new_tokens,
        checkpoints_kept=experiment.checkpoints.keep + bool(every),
        scored_fits=round(share * len(judged) * scored),
        scored_others=max((term.others for term in judged), default=0),
        measured_fits=sum(prompt.expect != "refuse" for prompt in inputs.evaluation) if whole > 1 else 0,
        measured_others=OTHER_PROMPTS,
    )
