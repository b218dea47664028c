"""The work that a config asks for, in counts, and its time, memory and disk estimated without loading a model.

Not here: the arithmetic (`models.cost_estimate`), costs measured by running a part (`measured_cost`).
"""

from __future__ import annotations

from ppo_cli.models.cost_estimate import PlannedWork, cost_of_work, guess_token_count, measure_gflops, model_shape
from ppo_cli.records.results import Cost
from ppo_cli.setup.resolve import ExperimentInputs


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
    return cost_of_work(
        planned_work(inputs),
        model_shape(experiment.model.start),
        device.type,
        measure_gflops(device.type, name),
        dtype.itemsize,
    )


def planned_work(inputs: ExperimentInputs) -> PlannedWork:
    """Counts the updates, episodes, evaluations and tokens that a config asks for."""
    experiment = inputs.experiment
    ppo, evaluation = experiment.ppo, experiment.evaluation
    used = min(len(inputs.train), ppo.updates * ppo.prompts_per_update)
    whole = len(inputs.evaluation)
    interim = min(evaluation.interim_prompts or whole, whole)
    every = evaluation.every
    sft = sum(guess_token_count(prompt.text) + guess_token_count(prompt.answer or "") for prompt in inputs.sft)
    return PlannedWork(
        updates=ppo.updates,
        episodes=ppo.episodes_per_update,
        epochs=ppo.epochs,
        trained_layers=experiment.model.train.top_layers,
        max_new_tokens=experiment.rollout.max_new_tokens,
        baseline_answers=used * experiment.reward.baseline_samples if experiment.reward.baseline == "reference" else 0,
        prompt_tokens=sum(guess_token_count(prompt.text) for prompt in inputs.train) / len(inputs.train),
        sft_tokens=experiment.model.sft.epochs * sft,
        whole_evaluations=2,
        interim_evaluations=(ppo.updates - 1) // every if every else 0,
        eval_prompts=whole,
        interim_prompts=interim,
        eval_samples=evaluation.samples_per_prompt,
        eval_max_new_tokens=evaluation.max_new_tokens,
        checkpoints_kept=experiment.checkpoints.keep + bool(every),
    )
