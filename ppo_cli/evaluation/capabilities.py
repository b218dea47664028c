"""Tasks of lm-evaluation-harness, answered by the policy itself: is it worse at something else than before?

A task is one value per whole evaluation, with the standard error that the harness estimates, and no measure of answers.
It is kept in the evaluation's summary.

Not here: measures of answers (`own_values`), how a change is shown (`reports.capabilities`).
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ppo_cli.errors import ConfigError, PpoError, UsageError, as_ppo_error
from ppo_cli.experiment.measure_types import LmEval, own_name
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.comparisons import CapabilityChange, CapabilityValue
from ppo_cli.records.events import EventHandler, Phase
from ppo_cli.rewards.user_code import UserCode

if TYPE_CHECKING:
    from ppo_cli.evaluation.answering_models import AnsweringModels

KEY = "capabilities"
"""Field of summary.json."""
Z95 = 1.959964


def tasks_of(experiment: Experiment) -> dict[str, LmEval]:
    """The tasks that a config names, by the names that it gives them."""
    measures = experiment.evaluation.measures
    return {name: measure for name, measure in measures.items() if isinstance(measure, LmEval)}


def require_harness(experiment: Experiment) -> None:
    """Checks that the harness is installed where a config names a task.

    Raises:
        UsageError: it is not.
    """
    if (names := list(tasks_of(experiment))) and importlib.util.find_spec("lm_eval") is None:
        raise UsageError(
            f"evaluation.measures.{names[0]}: lm-evaluation-harness is not installed.", "pip install 'ppo-cli[lm-eval]'"
        )


def measured_capabilities(
    experiment: Experiment, models: AnsweringModels, on_event: EventHandler
) -> dict[str, dict[str, Any]]:
    """The policy's value in each task of a config, as summary.json keeps it.

    Args:
        experiment: names the tasks.
        models: whose policy answers.
        on_event: called with progress.

    Raises:
        ConfigError: there is no such task or metric, or the harness fails at it.
    """
    values = {}
    for name, task in tasks_of(experiment).items():
        on_event(Phase(name=f"task {task.task}"))
        with models.policy() as model:
            values[own_name(name)] = asdict(
                _value(f"evaluation.measures.{name}", task, model, models.tokenizer.tokenizer)
            )
    return values


def read_capabilities(summary: Mapping[str, Any]) -> dict[str, CapabilityValue]:
    """The values in a summary, by name."""
    return {str(name): CapabilityValue(**value) for name, value in summary.get(KEY, {}).items()}


def capability_changes(
    experiment: Experiment,
    before: Sequence[Mapping[str, CapabilityValue]],
    after: Sequence[Mapping[str, CapabilityValue]],
) -> tuple[CapabilityChange, ...]:
    """Each task that every policy of both arms answered: means over the arm's seeds, and the difference.

    Args:
        experiment: names the tasks.
        before: the values of A, one mapping per seed.
        after: the values of B.
    """
    changes = []
    for name, task in tasks_of(experiment).items():
        arms = [[values[own_name(name)] for values in arm if own_name(name) in values] for arm in (before, after)]
        if not all(arms) or [len(arm) for arm in arms] != [len(before), len(after)]:
            continue
        means = [sum(value.value for value in arm) / len(arm) for arm in arms]
        errors = [value.standard_error for arm in arms for value in arm]
        half = None
        if all(error is not None for error in errors):  # seeds answer the same questions, so their errors add up
            of_arms = [sum(value.standard_error or 0.0 for value in arm) / len(arm) for arm in arms]
            half = Z95 * math.hypot(*of_arms)
        difference = means[1] - means[0]
        changes.append(
            CapabilityChange(
                name=own_name(name),
                title=task.title or name,
                unit=task.unit,
                better=task.better,
                before=means[0],
                after=means[1],
                low_95=None if half is None else difference - half,
                high_95=None if half is None else difference + half,
                examples=min(value.examples for arm in arms for value in arm),
            )
        )
    return tuple(changes)


def _value(path: str, task: LmEval, model: Any, tokenizer: Any) -> CapabilityValue:  # noqa: ANN401
    """The model's value in one task."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    try:
        with UserCode().running():  # it seeds every generator, prints, and may run functions of a task
            tasks = TaskManager(include_path=task.tasks_folder, include_defaults=task.tasks_folder is None)
            if task.task not in tasks.all_tasks:
                raise ConfigError(
                    f"{path}.task: there is no task '{task.task}'.",
                    "List those of the harness with `lm-eval ls tasks`.",
                )
            results = simple_evaluate(
                model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=task.batch_size),
                tasks=[task.task],
                task_manager=tasks,
                num_fewshot=task.shots,
                limit=task.examples,
                log_samples=False,
            )
    except PpoError:
        raise
    except Exception as error:
        if (known := as_ppo_error(error)) is not None:
            raise known from error
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(
            f"{path}: lm-evaluation-harness fails at {task.task}: {lines[0][:200].rstrip('.')}.", "Try it by itself."
        ) from error
    found = results["results"].get(task.task, {})
    metrics = {key.partition(",")[0]: key for key in found if "_stderr" not in key and isinstance(found[key], float)}
    if task.metric not in metrics:
        raise ConfigError(
            f"{path}.metric: {task.task} has no metric '{task.metric}'.", f"It has {', '.join(metrics) or 'none'}."
        )
    key = metrics[task.metric]
    error_of_it = found.get(key.replace(task.metric, f"{task.metric}_stderr", 1))
    return CapabilityValue(
        value=float(found[key]),
        standard_error=float(error_of_it) if isinstance(error_of_it, float) else None,
        examples=int(results["n-samples"][task.task]["effective"]),
    )
